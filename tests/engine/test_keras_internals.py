"""The private attributes of Keras that the engine reads: they work as it expects in these versions of Keras.

A failure with another version means: read `lwcnn/engine/keras_internals.py`, compare, and add the version here.
"""

import keras
import pytest
from keras import layers

from lwcnn.engine import keras_internals as internals
from lwcnn.engine.keras_internals import Unsupported

VERSIONS = ("3.15",)


def test_the_version_of_keras():
    assert ".".join(keras.version().split(".")[:2]) in VERSIONS


def two_paths():
    images = keras.Input((4, 4, 2))
    inner = keras.Sequential([layers.Input((4, 4, 2)), layers.Conv2D(2, 1, name="conv"), layers.ReLU(name="relu")])
    return keras.Model(images, layers.Add(name="add")([images, inner(images)]))


def test_the_graph_of_a_model_within_a_model():
    graph = internals.read_graph(two_paths(), training=True)
    assert [call.layer.name for call in graph.calls] == ["conv", "relu", "add"]
    conv, relu, add = graph.calls
    assert conv.inputs == tuple(graph.inputs) and relu.inputs == (conv.output,)
    assert add.inputs == (graph.inputs[0], relu.output) and graph.outputs == [add.output]
    assert graph.with_gradient == {conv.output, relu.output, add.output}
    assert graph.only_reader(conv.output) is relu and graph.only_reader(add.output) is None


def test_unsupported_calls_are_named():
    images = keras.Input((4, 4, 2))
    with pytest.raises(Unsupported, match="add.*arguments that are not tensors"):
        internals.read_graph(keras.Model(images, images + 1.0), training=True)
    with pytest.raises(Unsupported, match="neither a functional nor a built Sequential"):
        internals.read_graph(keras.Sequential([layers.Dense(2)]), training=True)
    a, b = keras.Input((4,), name="a"), keras.Input((4,), name="b")
    inner = keras.Model([b, a], layers.Concatenate()([a, layers.Dense(2)(b)]), name="inner")
    with pytest.raises(Unsupported, match="inner.*has a list of inputs, but is called with a dict"):
        internals.read_graph(keras.Model([a, b], inner({"a": a, "b": b})), training=True)


@pytest.mark.parametrize("kind", internals.SLOTS)
def test_the_state_of_optimizers(kind):
    model = two_paths()
    optimizer = kind(learning_rate=0.25)
    optimizer.build(model.trainable_variables)
    for name in internals.SLOTS[kind]:
        assert len(getattr(optimizer, name)) == (0 if kind is keras.optimizers.SGD else 2)
    assert float(internals.learning_rate(optimizer)) == 0.25
    kernel, bias = model.trainable_variables
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    assert internals.is_decayed(optimizer, kernel) and not internals.is_decayed(optimizer, bias)
    if kind is keras.optimizers.Muon:
        assert not internals.is_orthogonalized(optimizer, kernel)  # four dimensions
    if kind is keras.optimizers.Nadam:
        assert float(internals.momentum_product(optimizer)) == 1


def test_what_a_model_was_compiled_with():
    model = two_paths()
    model.compile("sgd", "mse")
    assert internals.compiled_metrics(model) == []
    assert internals.loss_weights(model) is None
    model.compile("sgd", ["mse"], metrics=["mae"], loss_weights=[0.5])
    assert internals.compiled_metrics(model) == ["mae"] and internals.loss_weights(model) == [0.5]

"""The patterns that the engine recognizes in a model, and that what it makes of them is what Keras does."""

from functools import partial

import keras
import numpy as np
import pytest
from against_keras import assert_same, patterns, random_weights
from keras import layers
from made_data import make_block

from lwcnn.engine import Predictor
from lwcnn.engine import epoch as engine
from lwcnn.engine.keras_internals import read_graph
from lwcnn.engine.match import match_layers

BLOCKS = [
    ((8, 8, 16), {"filters": 16}),
    ((9, 7, 16), {"filters": 24, "se_reduction": None, "activation": "relu", "kernel_size": 3}),
    ((6, 6, 8), {"filters": 8, "residual": False, "expansion": 3, "se_reduction": 4, "kernel_size": 7}),
    ((5, 5, 12), {"filters": 20, "se_reduction": 3}),  # widths that fill no whole vectors
    ((8, 8, 16), {"filters": 16, "attention": "eca"}),
    ((7, 6, 20), {"filters": 4, "attention": "eca", "activation": "relu"}),  # fewer channels than ECA's kernel
]
SIZES = [(4, 4, 1), (5, 4, 2), (12, 12, 3), (13, 14, 3), (15, 11, 1)]


def inputs(shape, count=9, seed=1):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


def classifier(images, x):
    return random_weights(keras.Model(images, layers.Dense(3)(layers.Flatten()(x))))


def conv_relu_pool(x, filters=6, **changes):
    x = layers.Conv2D(filters, **{"kernel_size": 3, "activation": "relu"} | changes)(x)
    return layers.MaxPooling2D(2)(x)


@pytest.mark.parametrize("shape", SIZES)
def test_convolution_relu_and_pooling_are_one_operation(shape):
    images = keras.Input(shape)
    model = classifier(images, conv_relu_pool(images))
    assert patterns(model) == ["conv_relu_max_pool"]
    assert_same(model, [inputs(shape)], np.arange(9) % 3)


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_gradients_through_two_blocks(padding):
    images = keras.Input((13, 15, 3))
    first = conv_relu_pool(images, use_bias=False, padding=padding)
    model = classifier(images, conv_relu_pool(first, 7, padding=padding))
    assert patterns(model) == ["conv_relu_max_pool"] * 2
    assert_same(model, [inputs((13, 15, 3))], np.arange(9) % 3)


def test_a_value_with_other_readers_is_computed():
    images = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, activation="relu")(images)
    for output in (
        layers.Concatenate()([layers.MaxPooling2D(2)(x), layers.MaxPooling2D(2)(x)]),
        keras.Model(images, [layers.MaxPooling2D(2)(x), x]),
    ):
        model = output if isinstance(output, keras.Model) else keras.Model(images, output)
        assert patterns(model) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"strides": 2}, {"kernel_size": 5}, {"activation": "sigmoid"}, {"dilation_rate": 2}, {"groups": 3},
        {"dtype": "mixed_bfloat16"}, {"data_format": "channels_first"},
    ],
)  # fmt: skip
def test_other_convolutions_are_not_the_pattern(changes):
    images = keras.Input((12, 12, 3))
    model = classifier(images, conv_relu_pool(images, **changes))
    assert patterns(model) == []


@pytest.mark.parametrize(
    "changes", [{"pool_size": 3}, {"strides": 1}, {"padding": "same"}, {"data_format": "channels_first"}]
)
def test_other_poolings_are_not_the_pattern(changes):
    images = keras.Input((13, 13, 3))
    x = layers.Conv2D(6, 3, activation="relu")(images)
    assert patterns(classifier(images, layers.MaxPooling2D(**{"pool_size": 2, "strides": 2} | changes)(x))) == []


@pytest.mark.parametrize("shape, arguments", BLOCKS)
def test_a_depthwise_block_is_one_operation(shape, arguments):
    """Two of them, so that the gradient of the second one's input counts too."""
    images = keras.Input(shape)
    x = make_block(images, name="first", **arguments)
    model = classifier(images, make_block(x, name="second", **arguments | {"filters": x.shape[-1]}))
    assert patterns(model) == ["depthwise_block"] * 2
    assert_same(model, [inputs(shape)], np.arange(9) % 3)


@pytest.mark.parametrize("changes", [{"kernel_size": 4}, {"use_bias": True}, {"activation": "tanh"}])
def test_other_convolutions_of_means_are_computed(changes):
    """With kernels of other sizes attention is a part of the block; with a bias or another activation it is not."""
    images = keras.Input((6, 5, 8))
    x = make_block(images, 8, se_reduction=None, residual=False, name="block")
    row = layers.Reshape((8, 1))(layers.GlobalAveragePooling2D()(x))
    settings = {"kernel_size": 5, "padding": "same", "use_bias": False, "activation": "sigmoid"} | changes
    factor = layers.Reshape((1, 1, 8))(layers.Conv1D(1, **settings)(row))
    model = classifier(images, layers.Multiply()([x, factor]))
    (block, *_) = match_layers(read_graph(model, training=True))
    assert (len(block.calls) == 10) == ("kernel_size" in changes)
    assert_same(model, [inputs((6, 5, 8))], np.arange(9) % 3)


@pytest.mark.parametrize("setting", ["center", "scale"])
def test_a_block_whose_norm_has_no_offset_or_scale_goes_layer_by_layer(setting, monkeypatch):
    images = keras.Input((6, 5, 8))
    with monkeypatch.context() as patch:
        patch.setattr(layers, "BatchNormalization", partial(layers.BatchNormalization, **{setting: False}))
        x = make_block(images, 8, se_reduction=2, name="block")
    model = classifier(images, x)
    assert patterns(model) == []
    assert_same(model, [inputs((6, 5, 8))], np.arange(9) % 3)


def test_a_block_added_to_another_value():
    images = keras.Input((6, 6, 8))
    other = layers.Conv2D(8, 1)(images)
    x = make_block(images, 8, se_reduction=2, residual=False, name="block")
    model = classifier(images, layers.Add()([x, other]))
    assert_same(model, [inputs((6, 6, 8))], np.arange(9) % 3)


@pytest.mark.parametrize("frozen", ["block_norm", "block_expand", "block_", "conv"])
def test_gradients_flow_through_frozen_layers(frozen):
    """What is frozen stays bit-identical and passes gradients to the trained layers before it."""
    images = keras.Input((7, 7, 8))
    x = layers.Conv2D(8, 1, name="conv")(images)
    model = classifier(images, make_block(x, 8, se_reduction=2, name="block"))
    for layer in model.layers:
        layer.trainable = not layer.name.startswith(frozen)
    assert_same(model, [inputs((7, 7, 8))], np.arange(9) % 3)


@pytest.mark.parametrize("arguments", [{}, {"scale": False}, {"center": False}, {"trainable": False}])
def test_batch_normalization(arguments):
    images = keras.Input((5, 4, 8))
    x = layers.BatchNormalization(**arguments)(layers.Conv2D(8, 1)(images))
    assert_same(classifier(images, x), [inputs((5, 4, 8))], np.arange(9) % 3, tolerance=1e-4)


@pytest.mark.parametrize("activation", ["relu", "relu6", "hard_silu", "silu", "gelu", "tanh", "sigmoid", "softmax"])
@pytest.mark.parametrize("trainable", [True, False])
def test_an_activation_overwrites_the_normalization_that_it_alone_reads(activation, trainable):
    images = keras.Input((5, 4, 8))
    norm = layers.BatchNormalization(trainable=trainable)(layers.Conv2D(8, 1)(images))
    x = layers.Activation(activation)(norm)
    model = classifier(images, x)
    assert patterns(model) == ["normalized_activation"]
    assert_same(model, [inputs((5, 4, 8))], np.arange(9) % 3, tolerance=1e-4)
    both = classifier(images, layers.Add()([x, norm]))
    assert patterns(both) == []
    assert_same(both, [inputs((5, 4, 8))], np.arange(9) % 3, tolerance=1e-4)


def test_an_activation_of_another_type_of_numbers_is_not_fused():
    images = keras.Input((8, 8, 3))
    x = layers.Activation("relu", dtype="bfloat16", name="act")(layers.Conv2D(4, 3)(images))
    model = classifier(images, layers.MaxPooling2D(2, dtype="float32")(x))
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert "act (Activation) has compute_dtype='bfloat16'" in engine.unsupported(model)


def test_models_within_a_model():
    """`training=False` changes nothing in Keras 3.15: what the whole model is called with takes its place."""
    images = keras.Input((5, 4, 8))
    inner = keras.Sequential([layers.Input((5, 4, 8)), layers.Conv2D(8, 1), layers.BatchNormalization()])
    x = inner(images, training=False)
    assert_same(classifier(images, x), [inputs((5, 4, 8))], np.arange(9) % 3, tolerance=1e-4)


def test_a_softmax_that_is_read_within_the_model_stays():
    """The loss of an output's softmax is that of its logits, but the layer that reads it needs the shares."""
    images = keras.Input((5, 4, 2))
    shares = layers.Dense(3, activation="softmax")(layers.Flatten()(images))
    model = random_weights(keras.Model(images, [shares, layers.Dense(3)(shares)]))
    model.compile("sgd", [keras.losses.SparseCategoricalCrossentropy(from_logits=kind) for kind in (False, True)])
    assert "has a loss of probabilities" in engine.unsupported(model)
    ours = Predictor(model, logits=True)((inputs((5, 4, 2)),))
    for found, expected in zip(ours, model.predict(inputs((5, 4, 2)), verbose=0), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_loss_of_probabilities_that_no_softmax_gives_trains_in_keras():
    for activation, is_supported in (("softmax", True), ("sigmoid", False), (None, False)):
        images = keras.Input((5, 4, 2))
        model = keras.Model(images, layers.Dense(3, activation=activation)(layers.Flatten()(images)))
        model.compile("sgd", "sparse_categorical_crossentropy")
        assert (engine.unsupported(model) is None) == is_supported

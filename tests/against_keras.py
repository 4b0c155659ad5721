"""Compares the engine with Keras on a model."""

import keras
import numpy as np

from lwcnn.engine import epoch as engine
from lwcnn.engine.keras_internals import read_graph
from lwcnn.engine.match import PATTERNS
from lwcnn.engine.network import Network, Plan, Weights

EAGERLY = keras.backend.backend() != "jax"  # a step or two are made sooner than compiled


def random_weights(model, seed=0):
    """Gives a model random weights, positive where they must be, at which hardly any ReLU is dead."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if np.issubdtype(np.dtype(weight.dtype), np.floating):
            deviation = 1.4 / max(1, np.prod(weight.shape[:-1])) ** 0.5 if len(weight.shape) > 1 else 0.3
            value = rng.normal(0.05 if len(weight.shape) == 1 else 0, deviation, weight.shape)
            positive = weight.path.endswith(("variance", "gamma"))
            weight.assign(np.abs(value) + 0.5 if positive else value)
    return model


def patterns(model, training=True) -> list[str]:
    """Names of the patterns that the engine finds in a model, in order."""
    graph = read_graph(model, training)
    return [pattern.__name__ for call in graph.calls for pattern in PATTERNS if pattern(graph, call)]


def engine_outputs(model, inputs) -> list[np.ndarray]:
    """The outputs of a model for inference, computed by the engine."""
    return Network(Plan(model, training=False), Weights([], model.weights)).forward(inputs, training=False)


def assert_same(model, inputs, labels, tolerance=2e-5):
    """Checks that inference outputs, and all that one SGD step at rate 1 changes, equal Keras's within rounding."""
    expected = keras.tree.flatten(model(inputs if len(inputs) > 1 else inputs[0], training=False))
    for ours, theirs in zip(engine_outputs(model, inputs), map(keras.ops.convert_to_numpy, expected), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance * np.abs(theirs).max())
    start, moved = model.get_weights(), []
    for step in ("keras", "engine"):
        model.set_weights(start)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1.0), [loss] * len(model.outputs), jit_compile=False, run_eagerly=EAGERLY)
        if step == "keras":
            model.train_on_batch(inputs if len(inputs) > 1 else inputs[0], [labels] * len(model.outputs))
        else:
            assert engine.unsupported(model) is None
            with engine.Epoch(model) as epoch:
                epoch.step(tuple(inputs), (labels,) * len(model.outputs))
        moved.append([after - before for after, before in zip(model.get_weights(), start, strict=True)])
    for variable, theirs, ours in zip(model.weights, *moved, strict=True):
        largest = max(np.abs(change).max() for change in moved[0])
        np.testing.assert_allclose(
            ours, theirs, atol=tolerance * np.abs(theirs).max() + 1e-6 * largest, err_msg=variable.path
        )
        assert np.array_equal(ours, theirs) or variable.trainable or "moving" in variable.path, variable.path

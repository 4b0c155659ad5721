"""The limits of the engine's formulas: large logits, gradients of zero, and steps after a schedule's last."""

import keras
import numpy as np
import pytest

from lwcnn.engine.network import Weights
from lwcnn.engine.operations.activations import SOFTMAX
from lwcnn.engine.optimizers import VectorOptimizer
from lwcnn.training.optimizers import OptimizerConfig


def test_softmax_of_large_numbers_is_finite():
    y, _ = SOFTMAX.forward(np.array([[1000.0, 0.0], [-1000.0, -1000.0]], np.float32))
    np.testing.assert_array_equal(y, [[1, 0], [0.5, 0.5]])


def stepped(settings, gradients, num_steps=10):
    """The weights of a 1x1 kernel, initially 1, after the engine's steps and after Keras's."""
    found = []
    for is_ours in (True, False):
        kernel = keras.Variable(np.ones((1, 1, 3, 4), np.float32), name="kernel")
        optimizer = settings.build(num_steps)
        optimizer.build([kernel])
        weights = Weights([kernel], [])
        ours = VectorOptimizer(optimizer, weights) if is_ours else None
        for gradient in gradients:
            full = np.full((1, 1, 3, 4), gradient, np.float32)
            if is_ours:
                ours.step(weights.gather([full]))
            else:
                optimizer.apply([keras.ops.convert_to_tensor(full)], [kernel])
        found.append(weights.array(kernel).copy() if is_ours else keras.ops.convert_to_numpy(kernel))
    return found


def test_a_gradient_of_zero_moves_nothing_in_muon():
    ours, of_keras = stepped(OptimizerConfig("muon", 0.1, weight_decay=0.0), [0.0, 0.0])
    np.testing.assert_array_equal(ours, 1)
    np.testing.assert_array_equal(of_keras, 1)


@pytest.mark.parametrize("warmup", [0.0, 0.5])
def test_after_the_last_step_of_a_cosine_nothing_moves(warmup):
    settings = OptimizerConfig("sgd", 0.1, warmup=warmup)
    at_the_end, later = (stepped(settings, [1.0] * steps, 4) for steps in (4, 7))
    for ended, after in zip(at_the_end, later, strict=True):
        np.testing.assert_allclose(after, ended, rtol=0, atol=1e-7)
    np.testing.assert_allclose(at_the_end[0], at_the_end[1], rtol=1e-6)

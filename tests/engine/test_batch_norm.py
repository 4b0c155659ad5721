"""The kernel of batch normalization against an exact computation."""

import numpy as np
import pytest

from lwcnn.engine.operations.normalization import batch_norm, batch_norm_gradients

SHAPES = [(7, 5, 3, 8), (130, 4, 4, 24), (3, 70, 5), (200, 40)]
EPSILON = 1e-3


def maps(shape, seed=1):
    """A map with channels of unlike means, far from zero beside their deviation."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + rng.normal(0, 4, shape[-1])).astype(np.float32)


def parameters(channels, seed=0):
    """gamma and beta."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.5, 2, (2, channels)).astype(np.float32)


def exact_gradients(x, weight, gamma):
    """Of sum(weight * batch_norm(x)) by x, gamma and beta, in float64."""
    rows, weight = x.reshape(-1, x.shape[-1]).astype(float), weight.reshape(-1, x.shape[-1]).astype(float)
    inverse = 1 / np.sqrt(rows.var(0) + 1e-3)
    scaled = (rows - rows.mean(0)) * inverse
    by_gamma, by_beta = (weight * scaled).sum(0), weight.sum(0)
    by_x = gamma * inverse * (weight - by_beta / len(rows) - scaled * by_gamma / len(rows))
    return by_x.reshape(x.shape), by_gamma, by_beta


@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_statistics_and_gradients_are_exact(shape):
    x, weight, (gamma, beta) = maps(shape), maps(shape, 2), parameters(shape[-1])
    y, mean, variance = batch_norm(x, gamma, beta, EPSILON)
    rows = x.reshape(-1, shape[-1]).astype(float)
    np.testing.assert_allclose(mean, rows.mean(0), rtol=1e-5)
    np.testing.assert_allclose(variance, rows.var(0), rtol=1e-4)
    expected = (rows - rows.mean(0)) / np.sqrt(rows.var(0) + EPSILON) * gamma + beta
    np.testing.assert_allclose(y.reshape(rows.shape), expected, atol=1e-5)
    found = batch_norm_gradients(x, gamma, mean, variance, weight, EPSILON)
    for actual, exact in zip(found, exact_gradients(x, weight, gamma.astype(float)), strict=True):
        np.testing.assert_allclose(actual, exact, atol=1e-5 * np.abs(exact).max())

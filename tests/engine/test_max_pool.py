"""The pooling kernel against NumPy: maxima, which of the four they are, and the gradient."""

import numpy as np
import pytest

pytest.importorskip("numba")
from lwcnn.engine.kernels.max_pool import pool_by_two, pool_by_two_gradient


@pytest.mark.parametrize("shape", [(3, 4, 6, 8), (2, 5, 7, 3), (1, 2, 2, 1), (4, 16, 16, 32)])
def test_pooling_and_its_gradient_in_numpy(shape):
    generator = np.random.default_rng(0)
    n, h, w, c = shape
    x = generator.integers(0, 4, shape).astype(np.float32)  # many ties: the first of the four counts
    pooled, winner = np.empty((n, h // 2, w // 2, c), np.float32), np.empty((n, h // 2, w // 2, c), np.uint8)
    pool_by_two(x.reshape(n, -1), h, w, c, pooled.reshape(n, -1), winner.reshape(n, -1))
    windows = x[:, : h // 2 * 2, : w // 2 * 2].reshape(n, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 5, 2, 4)
    windows = windows.reshape(n, h // 2, w // 2, c, 4)
    np.testing.assert_array_equal(pooled, windows.max(axis=-1))
    np.testing.assert_array_equal(winner, windows.argmax(axis=-1))
    grad = generator.normal(size=pooled.shape).astype(np.float32)
    dx = np.empty(shape, np.float32)
    pool_by_two_gradient(grad.reshape(n, -1), winner.reshape(n, -1), h, w, c, dx.reshape(n, -1))
    expected = np.zeros(shape, np.float32)
    for i, j, k, f in np.ndindex(pooled.shape):
        which = windows[i, j, k, f].argmax()
        expected[i, 2 * j + which // 2, 2 * k + which % 2, f] = grad[i, j, k, f]
    np.testing.assert_array_equal(dx, expected)

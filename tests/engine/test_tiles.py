"""The matrix and depthwise kernels against NumPy in float64, at sizes with and without a remainder."""

import numpy as np
import pytest

from lwcnn.engine.kernels import products
from lwcnn.engine.kernels.depthwise import TAPS, add_kernel_gradient, convolve, copy_into_margin


def draw(rng, *shape):
    return rng.normal(size=shape).astype(np.float32)


@pytest.mark.parametrize("columns", [8, 16, 24, 32, 40, 48, 72])
@pytest.mark.parametrize("rows, depth", [(1, 5), (7, 32), (64, 24), (65, 3)])
def test_products(rows, depth, columns):
    rng = np.random.default_rng(rows * columns)
    a, b, bias = draw(rng, rows, depth), draw(rng, depth, columns), draw(rng, columns)
    c = np.zeros((rows, columns), np.float32)
    products.multiply(
        a.ravel(), 0, depth, 1, b.ravel(), columns, c.reshape(-1), 0, columns, rows, depth, columns,
        products.START_ROW, bias,
    )  # fmt: skip
    expected = a.astype(float) @ b + bias
    np.testing.assert_allclose(c, expected, atol=1e-5 * np.abs(expected).max())
    # By the transpose of a, added to what is there.
    g, total = draw(rng, rows, columns), draw(rng, depth, columns)
    expected = total + a.astype(float).T @ g
    products.multiply(
        a.ravel(), 0, 1, depth, g.ravel(), columns, total.reshape(-1), 0, columns, depth, rows, columns,
        products.START_SUM, bias,
    )  # fmt: skip
    np.testing.assert_allclose(total, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize("height, width, channels", [(16, 16, 32), (8, 8, 40), (5, 9, 8), (3, 2, 24), (1, 4, 16)])
def test_depthwise_convolution_and_its_kernel_gradient(height, width, channels, kernel_size):
    rng = np.random.default_rng(channels * kernel_size)
    k = kernel_size
    image, weights = draw(rng, height, width, channels), draw(rng, k, k, channels)
    padded = np.zeros((height + k - 1, width + k - 1, channels), np.float32)
    copy_into_margin(image.ravel(), height, width, channels, k, padded.reshape(-1))
    np.testing.assert_array_equal(padded, np.pad(image, [(k // 2, k // 2)] * 2 + [(0, 0)]))

    out, sums = np.zeros_like(image), np.zeros(2 * channels, np.float32)
    convolve(padded.ravel(), weights.ravel(), out.reshape(-1), height, width, channels, TAPS[k], sums)
    taps = [(i, j) for i in range(k) for j in range(k)]
    shifted = {(i, j): padded[i : i + height, j : j + width].astype(float) for i, j in taps}
    expected = sum(shifted[i, j] * weights[i, j] for i, j in taps)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    moments = [expected.sum((0, 1)), (expected**2).sum((0, 1))]
    np.testing.assert_allclose(sums.reshape(2, -1), moments, rtol=1e-4, atol=1e-3)

    grad, total = draw(rng, height, width, channels), np.zeros_like(weights)
    for _ in range(2):  # it adds
        add_kernel_gradient(padded.ravel(), grad.ravel(), height, width, channels, TAPS[k], total.reshape(-1))
    expected = np.array([2 * (shifted[tap] * grad).sum((0, 1)) for tap in taps]).reshape(weights.shape)
    np.testing.assert_allclose(total, expected, atol=1e-4 * np.abs(expected).max())

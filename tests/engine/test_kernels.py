"""The CPU kernel against TensorFlow-free references: NumPy convolutions in float64, ties and shapes."""

import numpy as np
import pytest

from lwcnn.engine.kernels.conv_pool import conv_pool_forward, conv_pool_input_gradient, conv_pool_kernel_gradients

SHAPES = [
    (3, 32, 32, 3, 10),
    (2, 15, 15, 10, 20),
    (2, 28, 28, 1, 10),
    (1, 4, 4, 1, 1),
    (2, 7, 12, 2, 33),
    (2, 5, 9, 13, 70),
]


def _reference(x, kernel, bias, grad_y):
    """Pooled values and gradients in float64; a tie's gradient goes to the first of the four positions."""
    x, kernel, bias, grad_y = (a.astype(np.float64) for a in (x, kernel, bias, grad_y))
    n, h, w, c = x.shape
    maps = (
        sum(x[:, i : i + h - 2, j : j + w - 2] @ kernel[i, j] for i in range(3) for j in range(3)) + bias
    )  # (n, h-2, w-2, f)
    p, q, f = (h - 2) // 2, (w - 2) // 2, kernel.shape[-1]
    windows = maps[:, : 2 * p, : 2 * q].reshape(n, p, 2, q, 2, f).transpose(0, 1, 3, 5, 2, 4).reshape(n, p, q, f, 4)
    first = windows.argmax(-1)
    pooled = np.maximum(windows.max(-1), 0)
    grad_maps = np.zeros((n, p, q, f, 4))
    np.put_along_axis(grad_maps, first[..., None], (grad_y * (pooled > 0))[..., None], -1)
    grad_maps = grad_maps.reshape(n, p, q, f, 2, 2).transpose(0, 1, 4, 2, 5, 3).reshape(n, 2 * p, 2 * q, f)
    grad_x, grad_kernel = np.zeros_like(x), np.zeros_like(kernel)
    for i in range(3):
        for j in range(3):
            patch = x[:, i : i + 2 * p, j : j + 2 * q]
            grad_kernel[i, j] = np.einsum("nhwc,nhwf->cf", patch, grad_maps)
            grad_x[:, i : i + 2 * p, j : j + 2 * q] += grad_maps @ kernel[i, j].T
    return pooled, grad_x, grad_kernel, grad_maps.sum((0, 1, 2))


def _kernel_results(x, kernel, bias, grad_y):
    pooled, winner = conv_pool_forward(x, kernel, bias)
    grad_kernel, grad_bias = conv_pool_kernel_gradients(x, winner, grad_y)
    return pooled, conv_pool_input_gradient(x, kernel, winner, grad_y), grad_kernel, grad_bias


def _arrays(shape, draw):
    n, h, w, c, f = shape
    sizes = (n, h, w, c), (3, 3, c, f), (f,), (n, (h - 2) // 2, (w - 2) // 2, f)
    return [draw(size).astype(np.float32) for size in sizes]


@pytest.mark.parametrize("shape", SHAPES)
def test_kernel_equals_float64_reference(shape):
    rng = np.random.default_rng(0)
    arrays = _arrays(shape, lambda size: rng.normal(size=size))
    for value, wanted in zip(_kernel_results(*arrays), _reference(*arrays), strict=True):
        np.testing.assert_allclose(value, wanted, atol=2e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("shape", SHAPES)
def test_ties_go_to_the_first_position_exactly(shape):
    rng = np.random.default_rng(1)  # small whole numbers: every float32 sum is exact, and ties are everywhere
    arrays = _arrays(shape, lambda size: rng.integers(-1, 2, size))
    for value, wanted in zip(_kernel_results(*arrays), _reference(*arrays), strict=True):
        np.testing.assert_array_equal(value, wanted)


def test_same_arguments_give_the_same_bits():
    rng = np.random.default_rng(2)
    arrays = _arrays((4, 15, 15, 10, 20), lambda size: rng.normal(size=size))
    for first, second in zip(_kernel_results(*arrays), _kernel_results(*arrays), strict=True):
        assert first.tobytes() == second.tobytes()


def test_nan_is_not_hidden():
    rng = np.random.default_rng(3)
    x, kernel, bias, _ = _arrays((2, 6, 6, 2, 8), lambda size: rng.normal(size=size))
    x[0, 0, 0, 0] = np.nan
    pooled, _ = conv_pool_forward(x, kernel, bias)
    assert np.isnan(pooled[0, 0, 0]).all()
    assert not np.isnan(pooled[1]).any()

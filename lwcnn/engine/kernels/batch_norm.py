"""Batch normalization in training, forward and backward, on the CPU with Numba: two passes over the map each.

    y = (x - mean) * factor + beta,    factor = gamma / sqrt(variance + epsilon), of the batch, channel by channel

Maps are rows of C channels, (M, C). Sums are taken in float32 over blocks of rows and in float64 over the blocks.
"""

import numpy as np
from numba import njit

from lwcnn.engine.kernels.arrays import aligned_empty, contiguous, frozen, no_reduce, parallel_for

BLOCK = 64  # rows
_jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract"})


@_jit
def _add_sums(a, b, a_shift, b_shift, first, last, totals):
    """totals (2, C) float64 += sums of a - a_shift and of that times b - b_shift, over rows [first, last)."""
    C = a.shape[1]
    sums, products = np.zeros(C, np.float32), np.zeros(C, np.float32)
    for start in range(first, last, BLOCK):
        sums[:] = 0
        products[:] = 0
        for row in range(start, min(start + BLOCK, last)):
            left, right = a[row], b[row]
            for c in range(C):
                value = left[c] - a_shift[c]
                sums[c] += value
                products[c] += value * (right[c] - b_shift[c])
        for c in range(C):
            totals[0, c] += sums[c]
            totals[1, c] += products[c]


@_jit
def _scale(x, factor, offset, first, last, y):
    """y = factor * x + offset, by channel, in rows [first, last)."""
    for row in range(first, last):
        given, out = x[row], y[row]
        for c in range(x.shape[1]):
            out[c] = factor[c] * given[c] + offset[c]


@_jit
def _combine(grad, x, of_grad, of_x, offset, first, last, dx):
    """dx = of_grad * grad + of_x * x + offset, by channel, in rows [first, last)."""
    for row in range(first, last):
        g, given, out = grad[row], x[row], dx[row]
        for c in range(x.shape[1]):
            out[c] = of_grad[c] * g[c] + of_x[c] * given[c] + offset[c]


def batch_norm(x, gamma, beta, epsilon, all_reduce=no_reduce):
    """The normalized x, and mean and variance, (C) float64 each.

    Args:
        x: (..., C) float32, a part of a batch.
        gamma: (C) float32.
        beta: (C) float32.
        epsilon: Added to the variance.
        all_reduce: Gives sums over the whole batch, whose statistics these are, of values of its parts.
    """
    rows, gamma, beta = _rows_of_channels(x, gamma, beta)
    near = rows[0].copy()  # a channel's values less one of them: nothing is lost where its mean is large
    sums, squares = _sums(rows, rows, near, near)
    beyond = sums / len(rows)
    mean, variance = near + beyond, squares / len(rows) - beyond * beyond
    count, means, from_zero = all_reduce(np.float64(len(rows)), len(rows) * mean, len(rows) * (variance + mean * mean))
    if count > len(rows):
        mean = means / count
        variance = from_zero / count - mean * mean
    variance = np.maximum(variance, 0)
    factor = gamma / np.sqrt(variance + epsilon)
    y = _each_row(_scale, rows, _narrow(factor), _narrow(beta - mean * factor))
    return y.reshape(x.shape), mean, variance


def batch_norm_gradients(x, gamma, mean, variance, grad, epsilon, all_reduce=no_reduce):
    """Gradients by x, gamma and beta; the last two are of this part of the batch.

    Args:
        x, gamma, epsilon, all_reduce: As given to `batch_norm`.
        mean, variance: As they came from there.
        grad: Gradient by its output, (..., C).
    """
    rows, gamma, _ = _rows_of_channels(x, gamma, gamma)
    grads = _rows(grad)
    inverse, center = 1 / np.sqrt(variance + epsilon), _narrow(mean)
    grad_beta, products = _sums(grads, rows, np.zeros_like(center), center)
    grad_gamma = (products - (mean - center) * grad_beta) * inverse
    # dx = factor * (g - mean(g) - xhat * mean(g * xhat)), where xhat = (x - mean) * inverse
    count, all_gamma, all_beta = all_reduce(np.float64(len(rows)), grad_gamma, grad_beta)
    factor, share = gamma * inverse, inverse * all_gamma / count
    offset = factor * (mean * share - all_beta / count)
    dx = _each_row(_combine, grads, rows, _narrow(factor), _narrow(-factor * share), _narrow(offset))
    return dx.reshape(x.shape), _narrow(grad_gamma), _narrow(grad_beta)


def _rows_of_channels(x, gamma, beta):
    """x as (M, C), and the two as float64."""
    return _rows(x), gamma.astype(np.float64), beta.astype(np.float64)


def _rows(x):
    (x,) = contiguous([x])
    return frozen(x.reshape(-1, x.shape[-1]))


def _sums(a, b, a_shift, b_shift):
    """Sums of a - a_shift and of (a - a_shift) * (b - b_shift), (C) float64 each."""

    def part(first, last):
        totals = np.zeros((2, a.shape[1]))
        _add_sums(a, b, a_shift, b_shift, first, last, totals)
        return totals

    return sum(parallel_for(part, len(a)))


def _each_row(function, *arguments):
    """What a function of rows writes, in an array like the first."""
    out = aligned_empty(arguments[0].shape)
    parallel_for(lambda first, last: function(*arguments, first, last, out), len(out))
    return out


def _narrow(array):
    return array.astype(np.float32)

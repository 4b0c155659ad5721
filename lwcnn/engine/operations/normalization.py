"""Batch normalization.

y = (x - mean) * factor + beta,    factor = gamma / sqrt(variance + epsilon), of the batch, per channel

Forward and backward take two passes over the map each, as rows of C channels, (M, C). Sums are accumulated in float32
within blocks of rows, in float64 over the blocks.
"""

from collections.abc import Sequence

import numpy as np

from lwcnn.engine.kernels.arrays import aligned_empty, jit_fused, rows
from lwcnn.engine.operations.activations import LINEAR, find_function
from lwcnn.engine.operations.base import Operation, no_reduce

BLOCK = 64  # rows


class BatchNorm(Operation):
    """`keras.layers.BatchNormalization` of the last axis.

    `activation` is its only reader, a layer that overwrites the result to save an array and a copy.
    """

    expected = {"renorm": False}

    @classmethod
    def unsupported_setting(cls, layer):
        axis = None if layer.axis in (-1, len(layer.output.shape) - 1) else f"axis={layer.axis}"
        return axis or super().unsupported_setting(layer)

    def __init__(self, layer, bind, activation=None):
        super().__init__(layer, bind)
        self.function = find_function(activation) if activation else LINEAR
        (self.mean, _), (self.variance, _) = bind(layer.moving_mean), bind(layer.moving_variance)
        width = self.mean.size
        self.gamma, self.g_gamma = bind(layer.gamma) if layer.scale else (np.ones(width, np.float32), None)
        self.beta, self.g_beta = bind(layer.beta) if layer.center else (np.zeros(width, np.float32), None)

    def forward(self, x, training):
        y, self.kept = self.function.forward(self._normalized(x, training))
        return y

    def _normalized(self, x, training):
        self.x, self.by_batch = x, training and self.layer.trainable
        if not self.by_batch:
            self.factor = self.gamma / np.sqrt(self.variance + np.float32(self.layer.epsilon))
            return x * self.factor + (self.beta - self.mean * self.factor)
        y, *self.moments = batch_norm(x, self.gamma, self.beta, self.layer.epsilon, self.all_reduce)
        if self.is_leader:
            follow((self.mean, self.variance), self.moments, self.layer.momentum)
        return y

    def backward(self, grad, wanted):
        grad = self.function.backward(grad, self.kept)
        if not self.by_batch:
            return grad * self.factor if wanted else None
        dx, g_gamma, g_beta = batch_norm_gradients(
            self.x, self.gamma, *self.moments, grad, self.layer.epsilon, self.all_reduce
        )
        for total, g in ((self.g_gamma, g_gamma), (self.g_beta, g_beta)):
            if total is not None:
                total += g
        return dx


def follow(averages: Sequence[np.ndarray], values: Sequence[np.ndarray], momentum: float) -> None:
    """Updates moving averages in place."""
    for average, value in zip(averages, values, strict=True):
        average *= np.float32(momentum)
        average += value.astype(np.float32) * np.float32(1 - momentum)


@jit_fused
def _sums(a, b, a_shift, b_shift):
    """Returns the sums of a - a_shift and of its product with b - b_shift, (2, C) float64."""
    M, C = a.shape
    totals = np.zeros((2, C))
    sums, products = np.zeros(C, np.float32), np.zeros(C, np.float32)
    for start in range(0, M, BLOCK):
        sums[:] = 0
        products[:] = 0
        for row in range(start, min(start + BLOCK, M)):
            left, right = a[row], b[row]
            for c in range(C):
                value = left[c] - a_shift[c]
                sums[c] += value
                products[c] += value * (right[c] - b_shift[c])
        for c in range(C):
            totals[0, c] += sums[c]
            totals[1, c] += products[c]
    return totals


@jit_fused
def _scale(x, factor, offset, y):
    for row in range(x.shape[0]):
        given, out = x[row], y[row]
        for c in range(x.shape[1]):
            out[c] = factor[c] * given[c] + offset[c]


@jit_fused
def _combine(grad, x, of_grad, of_x, offset, dx):
    for row in range(x.shape[0]):
        g, given, out = grad[row], x[row], dx[row]
        for c in range(x.shape[1]):
            out[c] = of_grad[c] * g[c] + of_x[c] * given[c] + offset[c]


def batch_norm(x, gamma, beta, epsilon, all_reduce=no_reduce):
    """Returns the normalized x (..., C), and mean and variance of the batch, (C) float64 each.

    With `all_reduce`, x is a part of a batch, and the statistics are those of the whole batch.
    """
    part, gamma, beta = _by_channel(x), gamma.astype(np.float64), beta.astype(np.float64)
    near = part[0].copy()  # subtracting one of a channel's values keeps the precision where its mean is large
    sums, squares = _sums(part, part, near, near)
    beyond = sums / len(part)
    mean, variance = near + beyond, squares / len(part) - beyond * beyond
    count, means, from_zero = all_reduce(np.float64(len(part)), len(part) * mean, len(part) * (variance + mean * mean))
    if count > len(part):
        mean = means / count
        variance = from_zero / count - mean * mean
    variance = np.maximum(variance, 0)
    factor = gamma / np.sqrt(variance + epsilon)
    y = aligned_empty(part.shape)
    _scale(part, _narrow(factor), _narrow(beta - mean * factor), y)
    return y.reshape(x.shape), mean, variance


def batch_norm_gradients(x, gamma, mean, variance, grad, epsilon, all_reduce=no_reduce):
    """Returns the gradients of x, gamma and beta, the last two for this part of the batch.

    Takes the arguments of `batch_norm`, the mean and variance that it returned, and the gradient of its output.
    """
    part, grads, gamma = _by_channel(x), _by_channel(grad), gamma.astype(np.float64)
    inverse, center = 1 / np.sqrt(variance + epsilon), _narrow(mean)
    grad_beta, products = _sums(grads, part, np.zeros_like(center), center)
    grad_gamma = (products - (mean - center) * grad_beta) * inverse
    # dx = factor * (g - mean(g) - xhat * mean(g * xhat)), where xhat = (x - mean) * inverse
    count, all_gamma, all_beta = all_reduce(np.float64(len(part)), grad_gamma, grad_beta)
    factor, share = gamma * inverse, inverse * all_gamma / count
    offset = factor * (mean * share - all_beta / count)
    dx = aligned_empty(part.shape)
    _combine(grads, part, _narrow(factor), _narrow(-factor * share), _narrow(offset), dx)
    return dx.reshape(x.shape), _narrow(grad_gamma), _narrow(grad_beta)


def _by_channel(x):
    """Reshapes x (..., C) to (M, C), read-only."""
    return rows(x.reshape(-1, x.shape[-1]))


def _narrow(array):
    return array.astype(np.float32)

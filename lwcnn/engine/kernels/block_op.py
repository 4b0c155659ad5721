"""The depthwise residual block (`block.py`): inference, training and gradients."""

from dataclasses import dataclass

import numpy as np

from lwcnn.engine.kernels import depthwise_block
from lwcnn.engine.kernels.arrays import (
    aligned_copy,
    aligned_empty,
    contiguous,
    frozen,
    no_reduce,
    parallel_for,
    rowwise,
)
from lwcnn.engine.kernels.depthwise import TAPS
from lwcnn.engine.kernels.tiles import aligned_zeros

ACTIVATIONS = {"relu": depthwise_block.RELU, "hard_silu": depthwise_block.HARD_SILU}
NUM_WEIGHTS = 11
"""Kernel (k, k, C, 1), gamma, beta (C), w1 (C, E), b1 (E), w2 (E, F), b2 (F), and w3 (F, S), b3 (S), w4 (S, F), b4
(F) of squeeze-and-excitation, where S = 0 means none."""


@dataclass(frozen=True)
class BlockFunctions:
    """The block's functions. Inputs are x (N, H, W, C), keep (N), the factor of each image's branch, and `NUM_WEIGHTS`.

    Attributes:
        activation: A name of `ACTIVATIONS`.
        residual: Whether x is added, for F = C.
        epsilon: Of batch normalization.
    """

    activation: str
    residual: bool
    epsilon: float

    def infer(self, x, keep, weights, mean, variance):
        """The output with given statistics."""
        x, keep, *weights = contiguous((x, keep, *weights))
        u, _ = _depthwise(x, weights[0])
        return self._pointwise(x, u, keep, weights, mean, variance)[0]

    def train(self, x, keep, weights, all_reduce=no_reduce):
        """The output, the batch's mean and variance (C), and what `gradients` needs.

        Of a part of a batch, `all_reduce` gives sums over the whole, whose statistics these are.
        """
        x, keep, *weights = contiguous((x, keep, *weights))
        u, totals = _depthwise(x, weights[0])
        count, totals = all_reduce(_positions(x), totals)
        mean = totals[0] / count
        variance = np.maximum(totals[1] / count - mean * mean, 0).astype(np.float32)
        mean = mean.astype(np.float32)
        out, *kept = self._pointwise(x, u, keep, weights, mean, variance)
        return out, mean, variance, (u, *kept, mean, variance)

    def gradients(self, x, keep, weights, kept, grad, all_reduce=no_reduce):
        """The gradients by x and by each of the weights, the latter of this part of the batch."""
        x, keep, grad, *weights = contiguous((x, keep, grad, *weights))
        code = ACTIVATIONS[self.activation]
        return _backward(x, keep, weights, kept, grad, self.epsilon, self.residual, code, all_reduce)

    def _pointwise(self, x, u, keep, weights, mean, variance):
        code = ACTIVATIONS[self.activation]
        return _pointwise(x, u, keep, weights, mean, variance, self.epsilon, self.residual, code)


def _positions(x):
    return np.float64(np.prod(x.shape[:3]))


def _depthwise(x, kernel):
    """The depthwise convolution u (N, H, W, C) of x, and the sums of u and u^2, (2, C) float64."""
    (N, H, W, C), k = x.shape, len(kernel)
    u, flat = aligned_empty(x.shape), aligned_copy(kernel).reshape(-1)

    def part(first, last):
        totals = np.zeros(2 * C)
        depthwise_block.depthwise_moments(frozen(x), flat, rowwise(u), H, W, C, k, TAPS[k], first, last, totals)
        return totals

    return u, sum(parallel_for(part, N)).reshape(2, C)


def _folded(weights, mean, variance, epsilon):
    """w1 and b1 with the normalization folded in, its factor a and offset c (float64), and 1 / deviation."""
    _, gamma, beta, w1, b1 = weights[:5]
    inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + epsilon)
    a = gamma * inverse
    c = beta - mean * a
    return aligned_copy(a[:, None] * w1), aligned_copy(c @ w1 + b1), a, c, inverse


def _pointwise(x, u, keep, weights, mean, variance, epsilon, residual, code):
    """out, and the projection's maps, their means and the excitations, for the gradient."""
    N, H, W, C = x.shape
    w2, b2, w3, b3, w4, b4 = (aligned_copy(w) for w in weights[5:])
    (E, F), S = w2.shape, w3.shape[1]
    w1, b1, *_ = _folded(weights, mean, variance, epsilon)
    out, means, scales = aligned_empty((N, H, W, F)), aligned_empty((N, F)), aligned_empty((N, F))
    y = aligned_empty((N, H, W, F if S else 0))
    flat = [w.reshape(-1) for w in (w1, b1, w2, b2, w3, b3, w4, b4)]

    def part(first, last):
        depthwise_block.mlp_forward(
            frozen(x), frozen(u), frozen(keep), *flat, rowwise(out), rowwise(y), means, scales,
            H * W, C, E, F, S, residual, code, first, last,
        )  # fmt: skip

    parallel_for(part, N)
    return out, y, means, scales


def _backward(x, keep, weights, kept, grad, epsilon, residual, code, all_reduce):
    """The gradients by x and by each of the weights."""
    u, y, means, scales, mean, variance = kept
    kernel, _, _, w1, _, w2, _, w3, b3, w4, b4 = weights
    N, H, W, C = x.shape
    (E, F), S, k = w2.shape, w3.shape[1], len(kernel)
    folded, b1, a, c, inverse = _folded(weights, mean, variance, epsilon)
    q, dx = aligned_empty(x.shape), aligned_empty(x.shape)
    constants = [aligned_copy(w).reshape(-1) for w in (folded, folded.T, b1, w2.T, w3, b3, w4)]
    sizes = (C * E, E, E * F, F, F * S, S, S * F, F)

    def pointwise_part(first, last):
        totals = [aligned_zeros(size) for size in sizes]
        depthwise_block.mlp_backward(
            frozen(u), frozen(keep), frozen(grad), frozen(y), frozen(means), frozen(scales), *constants, rowwise(q),
            *totals, H * W, C, E, F, S, code, first, last,
        )  # fmt: skip
        return totals

    parts = parallel_for(pointwise_part, N)
    g_w1, g_b1, g_w2, g_b2, g_w3, g_b3, g_w4, g_b4 = (sum(p[1:], p[0]) for p in zip(*parts))
    g_w1, g_b1 = g_w1.reshape(C, E).astype(np.float64), g_b1.astype(np.float64)
    sum_v, g_gamma = _through_norm(w1, g_w1, g_b1, mean, inverse)
    count, all_w1, all_b1 = all_reduce(_positions(x), g_w1, g_b1)
    sum_all, gamma_all = _through_norm(w1, all_w1, all_b1, mean, inverse)
    slope = a * inverse * gamma_all / count
    shift = a * sum_all / count - slope * mean
    flipped = aligned_copy(kernel[::-1, ::-1]).reshape(-1)
    shift, slope = aligned_copy(shift), aligned_copy(slope)

    def depthwise_part(first, last):
        total = aligned_zeros(k * k * C)
        depthwise_block.depthwise_backward(
            frozen(x), frozen(u), rowwise(q), frozen(grad), flipped, shift, slope, rowwise(dx), total,
            H, W, C, k, TAPS[k], residual, first, last,
        )  # fmt: skip
        return total

    g_kernel = sum(parallel_for(depthwise_part, N))
    g_w1 = a[:, None] * g_w1 + np.outer(c, g_b1)
    grads = (g_kernel, g_gamma, sum_v, g_w1, g_b1, g_w2, g_b2, g_w3, g_b3, g_w4, g_b4)
    return dx, *(aligned_copy(g).reshape(w.shape) for g, w in zip(grads, weights, strict=True))


def _through_norm(w1, g_w1, g_b1, mean, inverse):
    """The sums over positions of the gradient by v = a u + c, which is that by beta, and the gradient by gamma.

    What came for a u comes for v, so both are the gradients by the folded w1 and b1 seen from the other side.
    """
    sum_v, sum_vu = w1 @ g_b1, (w1 * g_w1).sum(axis=1)
    return sum_v, inverse * (sum_vu - mean * sum_v)

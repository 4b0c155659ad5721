"""The depthwise block of the residual networks as one operation, on `kernels.depthwise_block`."""

import keras
import numpy as np

from lwcnn.engine.kernels import depthwise_block as kernels
from lwcnn.engine.kernels.arrays import aligned_copy, aligned_empty, rows
from lwcnn.engine.kernels.depthwise import TAPS, convolve_images
from lwcnn.engine.kernels.tiles import WIDTH, aligned_zeros
from lwcnn.engine.operations.base import Operation, kernel_and_bias
from lwcnn.engine.operations.normalization import follow

ACTIVATIONS = {keras.activations.relu: kernels.RELU, keras.activations.hard_silu: kernels.HARD_SILU}


class DepthwiseBlock(Operation):
    """The layers of `lwcnn.models.blocks.depthwise_block`.

    `parts` are by role: depthwise, norm, expand, project, drop or None, and optionally squeeze and excite, or
    neighbors, the convolution of efficient channel attention.
    """

    @staticmethod
    def fits(parts: dict[str, keras.Layer], activation) -> bool:
        """Returns whether the kernel supports the kernel size and the activation."""
        height, width = parts["depthwise"].kernel_size
        return activation in ACTIVATIONS and height == width in TAPS

    def __init__(self, parts, activation, residual, bind):
        super().__init__(parts["drop"], bind)
        self.norm, self.activation, self.residual = parts["norm"], ACTIVATIONS[activation], residual
        (self.mean, _), (self.variance, _) = bind(self.norm.moving_mean), bind(self.norm.moving_variance)
        bound = [bind(parts["depthwise"].kernel), bind(self.norm.gamma), bind(self.norm.beta)]
        for role in ("expand", "project", "squeeze", "excite"):
            if role in parts:
                bound += kernel_and_bias(parts[role], bind)
        # Kernel (k, k, C), gamma, beta (C), w1 (C, E), b1 (E), w2 (E, F), b2 (F), and w3 (F, S), b3 (S), w4 (S, F),
        # b4 (F) of channel attention, where S = 0 means none.
        self.arrays, self.g_arrays = ([_without_ones(array) for array in arrays] for arrays in zip(*bound))
        self.filters = parts["project"].filters
        missing = np.zeros((0, 1, 1), np.float32), None
        self.neighbors, self.g_neighbors = bind(parts["neighbors"].kernel) if "neighbors" in parts else missing
        self.floor = np.float32(-np.inf if self.neighbors.size else 0)  # efficient channel attention has no ReLU
        self.rate = parts["drop"].rate if parts["drop"] else 0.0
        self.random = () if self.rate else None

    def forward(self, inputs, training):
        self.x = _whole_vectors(inputs[0])
        self.weights = [_whole_vectors(array) for array in (*self.arrays, *self._attention())]
        self.keep = np.ones(len(self.x), np.float32)
        if training and self.rate:
            self.keep = (self.draws >= self.rate).astype(np.float32) / np.float32(1 - self.rate)
        u, totals = self._depthwise()
        mean, variance = _whole_vectors(self.mean), _whole_vectors(self.variance)
        if training and self.norm.trainable:
            count, totals = self.all_reduce(_num_positions(self.x), totals)
            mean = totals[0] / count
            variance = np.maximum(totals[1] / count - mean * mean, 0).astype(np.float32)
            mean = mean.astype(np.float32)
            if self.is_leader:
                for moving, new in ((self.mean, mean), (self.variance, variance)):
                    follow(moving, new[: moving.size], self.norm.momentum)
        y, *kept = self._pointwise(u, mean, variance)
        self.kept = u, *kept, mean, variance
        return np.ascontiguousarray(y[..., : self.filters])

    def backward(self, grad, wanted):
        dx, *grads = self._gradients(_whole_vectors(grad))
        grads = [aligned_copy(g).reshape(weight.shape) for g, weight in zip(grads, self.weights)]
        for total, g in zip(self.g_arrays, grads):  # more gradients than arrays without squeeze-and-excitation
            if total is not None:
                total += g[tuple(map(slice, total.shape))]
        if self.g_neighbors is not None:
            for i, offset in _offsets(self.g_neighbors):
                self.g_neighbors[i] += np.trace(grads[-2], offset)
        return [np.ascontiguousarray(dx[..., : self.mean.size])]

    def _attention(self):
        """Returns w3, b3, w4 and b4 where there are no dense layers: S = 0, or an identity and ECA as a matrix."""
        if len(self.arrays) > 7:
            return []
        F = self.filters
        S, w4 = (F if self.neighbors.size else 0), np.zeros((F, F))
        for i, offset in _offsets(self.neighbors):
            w4 += self.neighbors[i] * np.eye(F, k=offset)
        return np.eye(F, S), np.zeros(S), w4[:S], np.zeros(F)

    def _depthwise(self):
        """Returns the depthwise convolution u (N, H, W, C) of x, and the sums of u and u^2, (2, C) float64."""
        (_, H, W, C), kernel = self.x.shape, self.weights[0]
        u, totals = aligned_empty(self.x.shape), np.zeros(2 * C)
        flat = aligned_copy(kernel).reshape(-1)
        convolve_images(rows(self.x), flat, _writable_rows(u), H, W, C, TAPS[len(kernel)], totals)
        return u, totals.reshape(2, C)

    def _folded(self, mean, variance):
        """Returns w1 and b1 with the normalization folded in, its factor a and offset c, and 1 / deviation."""
        _, gamma, beta, w1, b1 = self.weights[:5]
        inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + self.norm.epsilon)
        a = gamma * inverse
        c = beta - mean * a
        return aligned_copy(a[:, None] * w1), aligned_copy(c @ w1 + b1), a, c, inverse

    def _pointwise(self, u, mean, variance):
        """Returns the output, and for the gradient the projection's maps, their means and the excitations."""
        N, H, W, C = self.x.shape
        w2, b2, w3, b3, w4, b4 = (aligned_copy(w) for w in self.weights[5:])
        (E, F), S = w2.shape, w3.shape[1]
        w1, b1, *_ = self._folded(mean, variance)
        out, means, scales = aligned_empty((N, H, W, F)), aligned_empty((N, F)), aligned_empty((N, F))
        y = aligned_empty((N, H, W, F if S else 0))
        flat = [w.reshape(-1) for w in (w1, b1, w2, b2, w3, b3, w4, b4)]
        kernels.mlp_forward(
            rows(self.x), rows(u), rows(self.keep), *flat, _writable_rows(out), _writable_rows(y), means, scales,
            H * W, C, E, F, S, self.floor, self.residual, self.activation,
        )  # fmt: skip
        return out, y, means, scales

    def _gradients(self, grad):
        """Returns the gradients by x and by each weight; the latter cover this part of the batch."""
        u, y, means, scales, mean, variance = self.kept
        kernel, _, _, w1, _, w2, _, w3, b3, w4, _ = self.weights
        N, H, W, C = self.x.shape
        (E, F), S, k = w2.shape, w3.shape[1], len(kernel)
        folded, b1, a, c, inverse = self._folded(mean, variance)
        q, dx = aligned_empty(self.x.shape), aligned_empty(self.x.shape)
        constants = [aligned_copy(w).reshape(-1) for w in (folded, folded.T, b1, w2.T, w3, b3, w4)]
        totals = [aligned_zeros(size) for size in (C * E, E, E * F, F, F * S, S, S * F, F)]
        kernels.mlp_backward(
            rows(u), rows(self.keep), rows(grad), rows(y), rows(means), rows(scales), *constants, _writable_rows(q),
            *totals, H * W, C, E, F, S, self.floor, self.activation,
        )  # fmt: skip
        g_w1, g_b1, *others = totals
        g_w1, g_b1 = g_w1.reshape(C, E).astype(np.float64), g_b1.astype(np.float64)
        sum_v, g_gamma = _through_norm(w1, g_w1, g_b1, mean, inverse)
        count, all_w1, all_b1 = self.all_reduce(_num_positions(self.x), g_w1, g_b1)
        sum_all, gamma_all = _through_norm(w1, all_w1, all_b1, mean, inverse)
        slope = a * inverse * gamma_all / count
        shift = a * sum_all / count - slope * mean
        g_kernel = aligned_zeros(k * k * C)
        kernels.depthwise_backward(
            rows(self.x), rows(u), _writable_rows(q), rows(grad), aligned_copy(kernel[::-1, ::-1]).reshape(-1),
            aligned_copy(shift), aligned_copy(slope), _writable_rows(dx), g_kernel, H, W, C, TAPS[k], self.residual,
        )  # fmt: skip
        return dx, g_kernel, g_gamma, sum_v, a[:, None] * g_w1 + np.outer(c, g_b1), g_b1, *others


def _num_positions(x):
    return np.float64(np.prod(x.shape[:3]))


def _whole_vectors(array):
    """Returns an array with zeros appended to its channels, which are both axes of a matrix, up to a multiple of 8."""
    shape = [n + -n % WIDTH if axis == array.ndim - 1 or array.ndim == 2 else n for axis, n in enumerate(array.shape)]
    if shape == list(array.shape):
        return np.ascontiguousarray(array, np.float32)
    padded = np.zeros(shape, np.float32)
    padded[tuple(map(slice, array.shape))] = array
    return padded


def _without_ones(array):
    """Returns (1, 1, c, f) as (c, f) and (k, k, c, 1) as (k, k, c); other arrays, and None, unchanged."""
    if array is None or array.ndim < 4:
        return array
    return array[0, 0] if array.shape[:2] == (1, 1) else array[..., 0]


def _offsets(kernel):
    """Returns the index of each weight of ECA's kernel and the diagonal where it stands in the matrix."""
    return [(i, (len(kernel) - 1) // 2 - i) for i in range(len(kernel))]


def _writable_rows(array):
    return array.reshape(len(array), -1)


def _through_norm(w1, g_w1, g_b1, mean, inverse):
    """Returns the gradients by beta and gamma, given those by the folded w1 and b1.

    The gradient by beta is the sum over positions of that by v = a u + c.
    """
    sum_v, sum_vu = w1 @ g_b1, (w1 * g_w1).sum(axis=1)
    return sum_v, inverse * (sum_vu - mean * sum_v)

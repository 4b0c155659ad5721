"""The depthwise block of the residual networks as one operation, on `kernels.depthwise_block`."""

import keras
import numpy as np

from lwcnn.engine.kernels import depthwise_block as kernels
from lwcnn.engine.kernels.arrays import aligned_copy, aligned_empty, rows
from lwcnn.engine.kernels.depthwise import TAPS
from lwcnn.engine.kernels.tiles import aligned_zeros
from lwcnn.engine.operations.base import Operation, as_matrix
from lwcnn.engine.operations.normalization import follow

ACTIVATIONS = {keras.activations.relu: kernels.RELU, keras.activations.hard_silu: kernels.HARD_SILU}


class DepthwiseBlock(Operation):
    """The layers of `lwcnn.models.blocks.depthwise_block`.

    Args:
        parts: Layers by role: depthwise, norm, expand, project, and optionally squeeze and excite, and drop.
        activation: Activation function between expand and project.
        residual: Whether the block's input is added.
    """

    @staticmethod
    def fits(parts: dict[str, keras.Layer], activation) -> bool:
        """Returns whether the kernel supports the widths, the kernel size and the activation."""
        widths = [parts["norm"].gamma.shape[0], parts["expand"].filters, parts["project"].filters]
        height, width = parts["depthwise"].kernel_size
        return activation in ACTIVATIONS and height == width in TAPS and all(width % 8 == 0 for width in widths)

    def __init__(self, parts, activation, residual, bind):
        super().__init__(parts["drop"], bind)
        self.norm, self.activation, self.residual = parts["norm"], ACTIVATIONS[activation], residual
        (self.mean, _), (self.variance, _) = bind(self.norm.moving_mean), bind(self.norm.moving_variance)
        bound = [bind(parts["depthwise"].kernel), bind(self.norm.gamma), bind(self.norm.beta)]
        for role in ("expand", "project", "squeeze", "excite"):
            if role in parts:
                bound += _kernel_and_bias(parts[role], bind)
        # Kernel (k, k, C, 1), gamma, beta (C), w1 (C, E), b1 (E), w2 (E, F), b2 (F), and w3 (F, S), b3 (S), w4 (S, F),
        # b4 (F) of squeeze-and-excitation, where S = 0 means none.
        self.weights = [as_matrix(value) for value, _ in bound]
        self.g_weights = [None if g is None else as_matrix(g) for _, g in bound]
        filters = parts["project"].filters
        if "squeeze" not in parts:
            self.weights += [np.zeros(shape, np.float32) for shape in ((filters, 0), (0,), (0, filters), (filters,))]
        self.rate = parts["drop"].rate if parts["drop"] else 0.0
        self.random = () if self.rate else None

    def forward(self, inputs, training):
        self.x = np.ascontiguousarray(inputs[0])
        self.keep = np.ones(len(self.x), np.float32)
        if training and self.rate:
            self.keep = (self.draws >= self.rate).astype(np.float32) / np.float32(1 - self.rate)
        u, totals = self._depthwise()
        mean, variance = self.mean, self.variance
        if training and self.norm.trainable:
            count, totals = self.all_reduce(_num_positions(self.x), totals)
            mean = totals[0] / count
            variance = np.maximum(totals[1] / count - mean * mean, 0).astype(np.float32)
            mean = mean.astype(np.float32)
            if self.is_leader:
                follow(self.mean, mean, self.norm.momentum)
                follow(self.variance, variance, self.norm.momentum)
        y, *kept = self._pointwise(u, mean, variance)
        self.kept = u, *kept, mean, variance
        return y

    def backward(self, grad, wanted):
        dx, *grads = self._gradients(np.ascontiguousarray(grad))
        for total, g in zip(self.g_weights, grads):  # more gradients than weights without squeeze-and-excitation
            if total is not None:
                total += aligned_copy(g).reshape(total.shape)
        return [dx]

    def _depthwise(self):
        """Returns the depthwise convolution u (N, H, W, C) of x, and the sums of u and u^2, (2, C) float64."""
        (_, H, W, C), kernel = self.x.shape, self.weights[0]
        u, totals, k = aligned_empty(self.x.shape), np.zeros(2 * C), len(kernel)
        flat = aligned_copy(kernel).reshape(-1)
        kernels.depthwise_moments(rows(self.x), flat, _writable_rows(u), H, W, C, k, TAPS[k], totals)
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
            H * W, C, E, F, S, self.residual, self.activation,
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
            *totals, H * W, C, E, F, S, self.activation,
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
            aligned_copy(shift), aligned_copy(slope), _writable_rows(dx), g_kernel, H, W, C, k, TAPS[k], self.residual,
        )  # fmt: skip
        return dx, g_kernel, g_gamma, sum_v, a[:, None] * g_w1 + np.outer(c, g_b1), g_b1, *others


def _num_positions(x):
    return np.float64(np.prod(x.shape[:3]))


def _writable_rows(array):
    return array.reshape(len(array), -1)


def _through_norm(w1, g_w1, g_b1, mean, inverse):
    """Returns the gradients by beta and gamma, given those by the folded w1 and b1.

    The gradient by beta is the sum over positions of that by v = a u + c.
    """
    sum_v, sum_vu = w1 @ g_b1, (w1 * g_w1).sum(axis=1)
    return sum_v, inverse * (sum_vu - mean * sum_v)


def _kernel_and_bias(layer: keras.Layer, bind) -> list:
    """Returns kernel and bias with the arrays of their gradients; a missing bias is zero."""
    kernel = bind(layer.kernel)
    return [kernel, bind(layer.bias) if layer.use_bias else (np.zeros(kernel[0].shape[-1], np.float32), None)]

"""The depthwise block of the residual networks as one operation, on `kernels.depthwise_block`."""

import keras
import numpy as np

from lwcnn.engine.kernels import depthwise_block as kernels
from lwcnn.engine.kernels.arrays import aligned_empty, aligned_zeros, rows
from lwcnn.engine.kernels.depthwise import TAPS, convolve_images
from lwcnn.engine.kernels.tiles import WIDTH
from lwcnn.engine.operations.base import Operation, kernel_and_bias
from lwcnn.engine.operations.normalization import follow

ACTIVATIONS = {keras.activations.relu: kernels.RELU, keras.activations.hard_silu: kernels.HARD_SILU}
DENSE = {"expand": ("w1", "b1"), "project": ("w2", "b2"), "squeeze": ("w3", "b3"), "excite": ("w4", "b4")}
POINTWISE = [name for names in DENSE.values() for name in names]  # w1, b1, ..., b4, as the kernels take them


class DepthwiseBlock(Operation):
    """The layers of `lwcnn.models.blocks.depthwise_block`.

    `parts` maps roles to layers: depthwise, norm, expand, project, drop (may be None), and optionally squeeze and
    excite, or neighbors, the convolution of efficient channel attention.
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
        bound = {"gamma": bind(self.norm.gamma), "beta": bind(self.norm.beta)}
        bound["kernel"] = bind(parts["depthwise"].kernel)
        for role, names in DENSE.items():
            if role in parts:
                bound |= zip(names, kernel_and_bias(parts[role], bind), strict=True)
        self.arrays = {name: _without_ones(array) for name, (array, _) in bound.items()}
        self.g_arrays = {name: _without_ones(total) for name, (_, total) in bound.items() if total is not None}
        self.filters = parts["project"].filters
        missing = np.zeros((0, 1, 1), np.float32), None
        self.neighbors, self.g_neighbors = bind(parts["neighbors"].kernel) if "neighbors" in parts else missing
        self.floor = np.float32(-np.inf if self.neighbors.size else 0)  # efficient channel attention has no ReLU
        self.rate = parts["drop"].rate if parts["drop"] else 0.0
        self.random = () if self.rate else None

    def forward(self, x, training):
        self.x = _whole_vectors(x)
        arrays = self.arrays | self._attention()
        self.weights = {name: _whole_vectors(array) for name, array in arrays.items()}
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
                C = self.mean.size
                follow((self.mean, self.variance), (mean[:C], variance[:C]), self.norm.momentum)
        folded = self._folded(mean, variance)
        out, *kept = self._pointwise(u, folded[0])
        self.kept = u, mean, folded, *kept
        return np.ascontiguousarray(out[..., : self.filters])

    def backward(self, grad, wanted):
        dx, grads = self._gradients(_whole_vectors(grad))
        for name, total in self.g_arrays.items():
            whole = grads[name].reshape(self.weights[name].shape).astype(np.float32, copy=False)
            total += whole[tuple(map(slice, total.shape))]
        if self.g_neighbors is not None:
            for i, offset in _offsets(self.g_neighbors):
                self.g_neighbors[i] += np.trace(grads["w4"].reshape(self.weights["w4"].shape), offset)
        return np.ascontiguousarray(dx[..., : self.mean.size])

    def _attention(self) -> dict[str, np.ndarray]:
        """Returns w3 to b4 of blocks without dense layers: empty (S = 0), or an identity and ECA's matrix."""
        if "w3" in self.arrays:
            return {}
        F = self.filters
        S, w4 = (F if self.neighbors.size else 0), np.zeros((F, F))
        for i, offset in _offsets(self.neighbors):
            w4 += self.neighbors[i] * np.eye(F, k=offset)
        return {"w3": np.eye(F, S), "b3": np.zeros(S), "w4": w4[:S], "b4": np.zeros(F)}

    def _sizes(self) -> tuple[int, ...]:
        """Returns (P, C, E, F, S) for the kernels."""
        _, H, W, C = self.x.shape
        return (H * W, C, *self.weights["w2"].shape, self.weights["w3"].shape[1])

    def _depthwise(self):
        """Returns the depthwise convolution u (N, H * W * C) of x, and the sums of u and u^2, (2, C) float64."""
        (N, H, W, C), kernel = self.x.shape, self.weights["kernel"]
        u, totals = aligned_empty((N, H * W * C)), np.zeros(2 * C)
        convolve_images(rows(self.x), _flat(kernel), u, H, W, C, TAPS[len(kernel)], totals)
        return u, totals.reshape(2, C)

    def _folded(self, mean, variance):
        """Returns w1 to b4, flat, with the normalization folded in, its factor a and offset c, and 1 / deviation."""
        w1, b1, *others = (self.weights[name] for name in POINTWISE)
        inverse = 1 / np.sqrt(np.asarray(variance, np.float64) + self.norm.epsilon)
        a = self.weights["gamma"] * inverse
        c = self.weights["beta"] - mean * a
        return tuple(map(_flat, (a[:, None] * w1, c @ w1 + b1, *others))), a, c, inverse

    def _pointwise(self, u, weights):
        """Returns the output, and for the gradient the projection's maps, their means and the excitations."""
        N, (P, _, _, F, S) = len(u), self._sizes()
        out, means, scales = aligned_empty((N, P * F)), aligned_empty((N, F)), aligned_empty((N, F))
        y = aligned_empty((N, P * F if S else 0))
        kernels.mlp_forward(
            rows(self.x), rows(u), rows(self.keep), weights, out, y, means, scales, self._sizes(), self.floor,
            self.residual, self.activation,
        )  # fmt: skip
        return out.reshape(*self.x.shape[:3], F), y, means, scales

    def _gradients(self, grad):
        """Returns the gradients of x and of the weights; the latter cover this part of the batch."""
        u, mean, (weights, a, c, inverse), y, means, scales = self.kept
        kernel, w1 = self.weights["kernel"], self.weights["w1"]
        totals = tuple(aligned_zeros(array.size) for array in weights)
        q, dx, g_kernel = aligned_empty(u.shape), aligned_empty(u.shape), aligned_zeros(kernel.size)
        w1_t, w2_t = _flat(weights[0].reshape(w1.shape).T), _flat(self.weights["w2"].T)
        kernels.mlp_backward(
            rows(u), rows(self.keep), rows(grad), rows(y), rows(means), rows(scales), weights, w1_t, w2_t,
            q, totals, self._sizes(), self.floor, self.activation,
        )  # fmt: skip
        g_w1, g_b1 = totals[0].reshape(w1.shape).astype(np.float64), totals[1].astype(np.float64)
        sum_v, g_gamma = _through_norm(w1, g_w1, g_b1, mean, inverse)
        count, all_w1, all_b1 = self.all_reduce(_num_positions(self.x), g_w1, g_b1)
        sum_all, gamma_all = _through_norm(w1, all_w1, all_b1, mean, inverse)
        slope = a * inverse * gamma_all / count
        shift = a * sum_all / count - slope * mean
        kernels.depthwise_backward(
            rows(self.x), rows(u), q, rows(grad), _flat(kernel[::-1, ::-1]), _flat(shift), _flat(slope), dx,
            g_kernel, *self.x.shape[1:], TAPS[len(kernel)], self.residual,
        )  # fmt: skip
        grads = dict(zip(POINTWISE, totals, strict=True)) | {"w1": a[:, None] * g_w1 + np.outer(c, g_b1)}
        return dx.reshape(self.x.shape), grads | {"kernel": g_kernel, "gamma": g_gamma, "beta": sum_v}


def _num_positions(x):
    return np.float64(np.prod(x.shape[:3]))


def _whole_vectors(array):
    """Returns an array with its channels (of a matrix, both axes) padded with zeros to a multiple of 8."""
    shape = [n + -n % WIDTH if axis == array.ndim - 1 or array.ndim == 2 else n for axis, n in enumerate(array.shape)]
    if shape == list(array.shape):
        return np.ascontiguousarray(array, np.float32)
    padded = np.zeros(shape, np.float32)
    padded[tuple(map(slice, array.shape))] = array
    return padded


def _without_ones(array):
    """Returns (1, 1, c, f) as (c, f) and (k, k, c, 1) as (k, k, c); other arrays unchanged."""
    if array.ndim < 4:
        return array
    return array[0, 0] if array.shape[:2] == (1, 1) else array[..., 0]


def _offsets(kernel):
    """Returns the index of each weight of ECA's kernel and its diagonal in the matrix."""
    return [(i, (len(kernel) - 1) // 2 - i) for i in range(len(kernel))]


def _flat(array):
    copy = aligned_empty(array.shape)
    copy[...] = array
    return copy.reshape(-1)


def _through_norm(w1, g_w1, g_b1, mean, inverse):
    """Returns the gradients of beta and gamma, given those of the folded w1 and b1.

    The gradient of beta is the sum over positions of the gradient of v = a u + c.
    """
    sum_v, sum_vu = w1 @ g_b1, (w1 * g_w1).sum(axis=1)
    return sum_v, inverse * (sum_vu - mean * sum_v)

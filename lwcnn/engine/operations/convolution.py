"""Convolutions and dense layers."""

import numpy as np

from lwcnn.engine.kernels import conv_pool
from lwcnn.engine.kernels.arrays import rows
from lwcnn.engine.kernels.windows import Geometry, gather, scatter
from lwcnn.engine.operations.activations import find_function, unknown_function
from lwcnn.engine.operations.base import Operation, kernel_and_bias

CACHE = 100_000  # floats that fit into a core's own cache together with a kernel and some outputs


class Affine(Operation):
    """Base class of layers with a bias and an activation; subclasses compute the sums."""

    @classmethod
    def unsupported_setting(cls, layer):
        return super().unsupported_setting(layer) or unknown_function(layer)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.bias, self.g_bias = bind(layer.bias) if layer.use_bias else (None, None)
        self.function = find_function(layer.activation)

    def finish(self, sums: np.ndarray) -> np.ndarray:
        """Adds the bias and applies the activation; may overwrite the sums."""
        if self.bias is not None:
            sums += self.bias
        y, self.kept = self.function.forward(sums)
        return y

    def gradient_of_sums(self, grad: np.ndarray) -> np.ndarray:
        """Returns the gradient of the sums, given that of the output; adds the gradient of the bias."""
        grad = self.function.backward(grad, self.kept)
        if self.g_bias is not None:
            self.g_bias += grad.sum(axis=tuple(range(grad.ndim - 1)))
        return grad


class Linear(Affine):
    """`keras.layers.Dense`: a matrix product over the last axis."""

    def __init__(self, layer, bind, kernel=None):
        super().__init__(layer, bind)
        kernel, g_kernel = bind(layer.kernel if kernel is None else kernel)
        shape = -1, kernel.shape[-1]
        self.kernel, self.g_kernel = kernel.reshape(shape), None if g_kernel is None else g_kernel.reshape(shape)

    def forward(self, x, training):
        self.x = x.reshape(-1, x.shape[-1])
        return self.finish((self.x @ self.kernel).reshape(*x.shape[:-1], -1))

    def backward(self, grad, wanted):
        shape = grad.shape
        grad = self.gradient_of_sums(grad).reshape(-1, shape[-1])
        if self.g_kernel is not None:
            self.g_kernel += self.x.T @ grad
        return (grad @ self.kernel.T).reshape(*shape[:-1], -1) if wanted else None


class Convolution(Linear):
    """`keras.layers.Conv2D`: a matrix product of windows and kernel, over a few rows of positions at a time."""

    expected = {"groups": 1, "dilation_rate": (1, 1)}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.window, self.strides = tuple(layer.kernel_size), tuple(layer.strides)

    @property
    def is_pointwise(self):
        return self.window == self.strides == (1, 1)

    def forward(self, x, training):
        if self.is_pointwise:
            return super().forward(x, training)
        self.x, self.geometry = rows(x), Geometry.of(x.shape[1:], self.window, self.strides, self.layer.padding)
        y = np.empty((len(x), *self.geometry.positions, self.layer.filters), np.float32)
        lines = y.reshape(-1, self.layer.filters)
        for windows, first, last, places in self._parts():
            gather(self.x, self.geometry.numbers, first, last, windows.reshape(-1))
            np.matmul(windows, self.kernel, out=lines[places])
        return self.finish(y)

    def backward(self, grad, wanted):
        if self.is_pointwise:
            return super().backward(grad, wanted)
        dx = np.zeros_like(self.x) if wanted else None
        lines = self.gradient_of_sums(grad).reshape(-1, self.layer.filters)
        for windows, first, last, places in self._parts():
            if self.g_kernel is not None:
                gather(self.x, self.geometry.numbers, first, last, windows.reshape(-1))
                self.g_kernel += windows.T @ lines[places]
            if wanted:
                np.matmul(lines[places], self.kernel.T, out=windows)
                scatter(windows.reshape(-1), self.geometry.numbers, first, last, dx)
        return dx.reshape(-1, *self.geometry.shape) if wanted else None

    def _parts(self):
        """Yields rows of positions that fit the cache: a buffer for their windows, their range, the output's slice."""
        down, across = self.geometry.positions
        num_lines, width = len(self.x) * down, len(self.kernel)
        step = max(1, CACHE // (across * width))
        room = np.empty((step * across, width), np.float32)
        for first in range(0, num_lines, step):
            last = min(first + step, num_lines)
            yield room[: (last - first) * across], first, last, slice(first * across, last * across)


class Convolution1D(Convolution):
    """`keras.layers.Conv1D`: the convolution of maps of one row."""

    expected = {"groups": 1, "dilation_rate": (1,)}

    @classmethod
    def unsupported_setting(cls, layer):
        return "padding='causal'" if layer.padding == "causal" else super().unsupported_setting(layer)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.window, self.strides = (1, *layer.kernel_size), (1, *layer.strides)

    def forward(self, x, training):
        return super().forward(x[:, None], training)[:, 0]

    def backward(self, grad, wanted):
        dx = super().backward(grad[:, None], wanted)
        return dx[:, 0] if wanted else None


class ConvReluMaxPool(Operation):
    """A 3x3 `keras.layers.Conv2D` with ReLU, and `MaxPooling2D(2)`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        (self.kernel, self.g_kernel), (self.bias, self.g_bias) = kernel_and_bias(layer, bind)

    def forward(self, x, training):
        self.x = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0))) if self.layer.padding == "same" else x
        y, self.winner = conv_pool.conv_pool_forward(self.x, self.kernel, self.bias)
        return y

    def backward(self, grad, wanted):
        if self.g_kernel is not None or self.g_bias is not None:
            found = conv_pool.conv_pool_kernel_gradients(self.x, self.winner, grad)
            for own, part in zip((self.g_kernel, self.g_bias), found):
                if own is not None:
                    own += part
        if not wanted:
            return None
        dx = conv_pool.conv_pool_input_gradient(self.x, self.kernel, self.winner, grad)
        return np.ascontiguousarray(dx[:, 1:-1, 1:-1]) if self.layer.padding == "same" else dx

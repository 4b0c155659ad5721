"""Pooling over windows and over whole maps."""

import numpy as np

from lwcnn.engine.kernels import max_pool, window_pool
from lwcnn.engine.kernels.patches import Geometry, flat
from lwcnn.engine.operations.base import Operation


class WindowPool(Operation):
    """What the layers that pool windows have in common."""

    def place(self, x: np.ndarray) -> None:
        """Sets how the windows lie on x (n, h, w, c)."""
        layer, (self.n, h, w, self.c) = self.layer, x.shape
        self.geometry = Geometry.of((h, w), layer.pool_size, layer.strides, layer.padding)

    def pooled_shape(self) -> tuple[int, ...]:
        """Shape of the output."""
        return self.n, *self.geometry.positions, self.c

    def input_zeros(self) -> np.ndarray:
        """Zeros like the input, (n, h*w*c)."""
        h, w = self.geometry.size
        return np.zeros((self.n, h * w * self.c), np.float32)

    def as_input(self, rows: np.ndarray) -> np.ndarray:
        """Rows (n, h*w*c) as (n, h, w, c)."""
        return rows.reshape(self.n, *self.geometry.size, self.c)


class MaxPool(WindowPool):
    """`keras.layers.MaxPooling2D`; that of 2x2 has a kernel of its own."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.place(x)
        if self._is_by_two():
            y, self.winner = max_pool.max_pool(x)
            return y
        y = np.empty(self.pooled_shape(), np.float32)
        self.winner = np.empty((self.n, y[0].size), np.uint16)
        window_pool.max_pool(flat(x), self.c, self.geometry.numbers, y.reshape(self.n, -1), self.winner)
        return y

    def backward(self, grad, wanted):
        if not wanted[0]:
            return [None]
        if self._is_by_two():
            return [max_pool.max_pool_gradient(grad, self.winner, *self.geometry.size)]
        dx = self.input_zeros()
        window_pool.add_max_pool_gradient(flat(grad), self.winner, self.c, self.geometry.numbers, dx)
        return [self.as_input(dx)]

    def _is_by_two(self) -> bool:
        halves = tuple(length // 2 for length in self.geometry.size)
        return self.geometry.window == self.geometry.strides == (2, 2) and self.geometry.positions == halves


class AveragePool(WindowPool):
    """`keras.layers.AveragePooling2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.place(x)
        y = np.empty(self.pooled_shape(), np.float32)
        window_pool.average_pool(flat(x), self.c, self.geometry.numbers, y.reshape(self.n, -1))
        return y

    def backward(self, grad, wanted):
        if not wanted[0]:
            return [None]
        dx = self.input_zeros()
        window_pool.add_average_pool_gradient(flat(grad), self.c, self.geometry.numbers, dx)
        return [self.as_input(dx)]


class GlobalAverage(Operation):
    """`keras.layers.GlobalAveragePooling2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        y = x.reshape(n, h * w, c).sum(axis=1) / np.float32(h * w)
        return y.reshape(n, 1, 1, c) if self.layer.keepdims else y

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        share = (grad / np.float32(h * w)).reshape(n, 1, 1, c)
        return [np.ascontiguousarray(np.broadcast_to(share, self.shape)) if wanted[0] else None]


class GlobalMax(Operation):
    """`keras.layers.GlobalMaxPooling2D`; equal values share the gradient, as in TensorFlow."""

    def forward(self, inputs, training):
        (self.x,) = inputs
        self.y = self.x.max(axis=(1, 2), keepdims=True)
        return self.y if self.layer.keepdims else self.y.reshape(len(self.x), -1)

    def backward(self, grad, wanted):
        if not wanted[0]:
            return [None]
        is_largest = self.x == self.y
        share = grad.reshape(self.y.shape) / is_largest.sum(axis=(1, 2), keepdims=True, dtype=np.float32)
        return [is_largest * share]

"""Pooling over windows and over whole feature maps."""

import math

import numpy as np

from lwcnn.engine.kernels.arrays import jit, rows
from lwcnn.engine.kernels.windows import Geometry
from lwcnn.engine.operations.base import Operation
from lwcnn.engine.operations.depthwise import DepthwiseSums


class MaxPool(Operation):
    @classmethod
    def unsupported_setting(cls, layer):
        return f"pool_size={layer.pool_size}" if math.prod(layer.pool_size) > 2**16 else None  # winners are uint16

    def forward(self, x, training):
        n, *shape = x.shape
        self.geometry = Geometry.of(shape, self.layer.pool_size, self.layer.strides, self.layer.padding)
        y = np.empty((n, *self.geometry.positions, shape[-1]), np.float32)
        self.winner = np.empty((n, y[0].size), np.uint16)
        max_pool(rows(x), self.geometry.numbers, y.reshape(n, -1), self.winner)
        return y

    def backward(self, grad, wanted):
        dx = np.zeros((len(grad), *self.geometry.shape), np.float32)
        max_pool_gradient(rows(grad), self.winner, self.geometry.numbers, dx.reshape(len(dx), -1))
        return dx


class AveragePool(Operation):
    """`keras.layers.AveragePooling2D`: sums over windows, divided by the number of positions inside the map."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.sums = DepthwiseSums(layer, np.ones((*layer.pool_size, layer.input.shape[-1]), np.float32))

    def forward(self, x, training):
        self.share = 1 / self.sums.forward(np.ones((1, *x.shape[1:]), np.float32))
        return self.sums.forward(x) * self.share

    def backward(self, grad, wanted):
        return self.sums.backward(grad * self.share)


class GlobalAverage(Operation):
    def forward(self, x, training):
        self.shape = n, h, w, c = x.shape
        y = x.reshape(n, h * w, c).sum(axis=1) / np.float32(h * w)
        return y.reshape(n, 1, 1, c) if self.layer.keepdims else y

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        share = (grad / np.float32(h * w)).reshape(n, 1, 1, c)
        return np.broadcast_to(share, self.shape).copy()


class GlobalMax(Operation):
    """`keras.layers.GlobalMaxPooling2D`; equal maxima share the gradient, as in TensorFlow."""

    def forward(self, x, training):
        self.x, self.y = x, x.max(axis=(1, 2), keepdims=True)
        return self.y if self.layer.keepdims else self.y.reshape(len(x), -1)

    def backward(self, grad, wanted):
        is_largest = self.x == self.y
        share = grad.reshape(self.y.shape) / is_largest.sum(axis=(1, 2), keepdims=True, dtype=np.float32)
        return is_largest * share


@jit
def max_pool(x, numbers, pooled, winner):
    """Pools x (N, H*W*C) into pooled (N, P*Q*C); winner is the first largest of a window, row by row."""
    H, W, C, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(x)):
        image = x[n]
        for i in range(P):
            for j in range(Q):
                at, y0, z0 = (i * Q + j) * C, i * down - top, j * across - left
                best, which = pooled[n, at : at + C], winner[n, at : at + C]
                best[:] = -np.inf
                which[:] = 0
                for y in range(max(y0, 0), min(y0 + kh, H)):
                    for z in range(max(z0, 0), min(z0 + kw, W)):
                        number = np.uint16((y - y0) * kw + z - z0)
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            more = values[c] > best[c]
                            best[c] = values[c] if more else best[c]
                            which[c] = number if more else which[c]


@jit
def max_pool_gradient(grad, winner, numbers, dx):
    """Adds the gradient (N, P*Q*C) of each window at its winner to dx (N, H*W*C)."""
    H, W, C, kh, kw, down, across, top, left, P, Q = numbers
    nothing = np.float32(0)
    for n in range(len(dx)):
        image = dx[n]
        for i in range(P):
            for j in range(Q):
                at, y0, z0 = (i * Q + j) * C, i * down - top, j * across - left
                g, which = grad[n, at : at + C], winner[n, at : at + C]
                for y in range(max(y0, 0), min(y0 + kh, H)):
                    for z in range(max(z0, 0), min(z0 + kw, W)):
                        number = np.uint16((y - y0) * kw + z - z0)
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            values[c] += g[c] if which[c] == number else nothing

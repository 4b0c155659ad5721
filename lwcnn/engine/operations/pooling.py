"""Pooling over windows and over whole feature maps."""

import numpy as np

from lwcnn.engine.kernels.arrays import rows
from lwcnn.engine.kernels.depthwise import depthwise, depthwise_input_gradient
from lwcnn.engine.kernels.windows import Geometry, max_pool, max_pool_gradient
from lwcnn.engine.operations.base import Operation


class MaxPool(Operation):
    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        layer = self.layer
        self.geometry = Geometry.of((h, w), layer.pool_size, layer.strides, layer.padding)
        y = np.empty((n, *self.geometry.positions, c), np.float32)
        self.winner = np.empty((n, y[0].size), np.uint16)
        max_pool(rows(x), c, self.geometry.numbers, y.reshape(n, -1), self.winner)
        return y

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        dx = np.zeros((n, h * w * c), np.float32)
        max_pool_gradient(rows(grad), self.winner, c, self.geometry.numbers, dx)
        return [dx.reshape(self.shape)]


class AveragePool(Operation):
    """`keras.layers.AveragePooling2D`: depthwise sums over windows, divided by the positions inside the map."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        layer = self.layer
        self.geometry = Geometry.of((h, w), layer.pool_size, layer.strides, layer.padding)
        self.ones = np.ones(layer.pool_size[0] * layer.pool_size[1] * c, np.float32)
        self.share = 1 / depthwise(rows(np.ones((1, h * w * c), np.float32)), self.ones, self.geometry)
        y = depthwise(rows(x), self.ones, self.geometry) * self.share
        return y.reshape(n, *self.geometry.positions, c)

    def backward(self, grad, wanted):
        return [depthwise_input_gradient(rows(rows(grad) * self.share), self.ones, self.geometry).reshape(self.shape)]


class GlobalAverage(Operation):
    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        y = x.reshape(n, h * w, c).sum(axis=1) / np.float32(h * w)
        return y.reshape(n, 1, 1, c) if self.layer.keepdims else y

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        share = (grad / np.float32(h * w)).reshape(n, 1, 1, c)
        return [np.ascontiguousarray(np.broadcast_to(share, self.shape))]


class GlobalMax(Operation):
    """`keras.layers.GlobalMaxPooling2D`; equal maxima share the gradient, as in TensorFlow."""

    def forward(self, inputs, training):
        (self.x,) = inputs
        self.y = self.x.max(axis=(1, 2), keepdims=True)
        return self.y if self.layer.keepdims else self.y.reshape(len(self.x), -1)

    def backward(self, grad, wanted):
        is_largest = self.x == self.y
        share = grad.reshape(self.y.shape) / is_largest.sum(axis=(1, 2), keepdims=True, dtype=np.float32)
        return [is_largest * share]

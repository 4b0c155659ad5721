"""Pooling over windows and over whole maps."""

import numpy as np

from lwcnn.engine.kernels import max_pool
from lwcnn.engine.operations.base import Operation, first_difference


class MaxPool(Operation):
    """`keras.layers.MaxPooling2D(2)`."""

    @staticmethod
    def unsupported_setting(layer):
        return first_difference(layer, pool_size=(2, 2), strides=(2, 2), padding="valid")

    def forward(self, inputs, training):
        (x,) = inputs
        self.size = x.shape[1:3]
        y, self.winner = max_pool.max_pool(x)
        return y

    def backward(self, grad, wanted):
        return [max_pool.max_pool_gradient(grad, self.winner, *self.size) if wanted[0] else None]


class GlobalAverage(Operation):
    """`keras.layers.GlobalAveragePooling2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        return (x.reshape(n, h * w, c).sum(axis=1) / np.float32(h * w)).reshape(self._pooled_shape())

    def _pooled_shape(self):
        n, _, _, c = self.shape
        return (n, 1, 1, c) if self.layer.keepdims else (n, c)

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        share = (grad / np.float32(h * w)).reshape(n, 1, 1, c)
        return [np.ascontiguousarray(np.broadcast_to(share, self.shape)) if wanted[0] else None]

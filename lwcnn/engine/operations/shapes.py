"""Layers that move values without changing them."""

import numpy as np

from lwcnn.engine.operations.base import Operation


class ZeroPadding(Operation):
    """`keras.layers.ZeroPadding2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        (top, bottom), (left, right) = self.layer.padding
        n, h, w, c = x.shape
        y = np.zeros((n, h + top + bottom, w + left + right, c), np.float32)
        y[:, top : top + h, left : left + w] = x
        return y

    def backward(self, grad, wanted):
        (top, bottom), (left, right) = self.layer.padding
        h, w = grad.shape[1:3]
        return [np.ascontiguousarray(grad[:, top : h - bottom, left : w - right])]


class Reshape(Operation):
    """`keras.layers.Flatten` and `Reshape`."""

    @staticmethod
    def unsupported_setting(layer):
        shape = layer.output.shape[1:]
        return f"output of shape {shape}" if shape.count(None) > 1 else None

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = x.shape
        return x.reshape(len(x), *(-1 if size is None else size for size in self.layer.output.shape[1:]))

    def backward(self, grad, wanted):
        return [grad.reshape(self.shape)]


class Identity(Operation):
    """`keras.layers.Identity`."""

    def forward(self, inputs, training):
        return inputs[0]

    def backward(self, grad, wanted):
        return [grad]

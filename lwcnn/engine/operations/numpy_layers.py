"""Layers in plain NumPy: elementwise operations, and operations that join or move values."""

from functools import reduce

import keras
import numpy as np
from keras import layers
from scipy.special import log_softmax

from lwcnn.engine.operations.base import Operation


class Rescale(Operation):
    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.scale, self.offset = np.asarray(layer.scale, np.float32), np.asarray(layer.offset, np.float32)

    def forward(self, x, training):
        return x * self.scale + self.offset

    def backward(self, grad, wanted):
        return grad * self.scale


class Normalize(Operation):
    expected = {"invert": False}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.mean, variance = (keras.ops.convert_to_numpy(part) for part in (layer.mean, layer.variance))
        self.factor = 1 / np.maximum(np.sqrt(variance), np.float32(keras.config.epsilon()))

    def forward(self, x, training):
        return (x - self.mean) * self.factor

    def backward(self, grad, wanted):
        return grad * self.factor


class Dropout(Operation):
    """`keras.layers.Dropout` and `SpatialDropout2D`."""

    @classmethod
    def unsupported_setting(cls, layer):
        noise_shape = getattr(layer, "noise_shape", None)
        if noise_shape and noise_shape[0] is not None:
            return f"noise_shape={noise_shape}"
        if layer.rate == 1:
            return "rate=1"
        return f"output shape {layer.output.shape}" if None in layer.output.shape[1:] else None

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        noise_shape = getattr(layer, "noise_shape", None)  # 1 covers a whole axis
        if type(layer) is layers.SpatialDropout2D:
            noise_shape = (None, 1, 1, None)
        shape = [
            size if one is None else one for size, one in zip(layer.output.shape, noise_shape or layer.output.shape)
        ]
        self.random = tuple(shape[1:]) if layer.rate else None

    def forward(self, x, training):
        self.factors = None
        if not training or not self.layer.rate:
            return x
        rate = np.float32(self.layer.rate)
        self.factors = (self.draws >= rate).astype(np.float32) / (1 - rate)
        return x * self.factors

    def backward(self, grad, wanted):
        return grad if self.factors is None else grad * self.factors


class Concatenate(Operation):
    def forward(self, *inputs, training):
        axis = self.layer.axis
        self.ends = np.cumsum([x.shape[axis] for x in inputs])[:-1]
        return np.concatenate(inputs, axis=axis)

    def backward(self, grad, *wanted):
        parts = np.split(grad, self.ends, axis=self.layer.axis)
        return [np.ascontiguousarray(part) if wants else None for part, wants in zip(parts, wanted)]


class Elementwise(Operation):
    """Base class of layers whose inputs are broadcast to one shape."""

    @classmethod
    def unsupported_setting(cls, layer):
        ranks = [len(x.shape) for x in keras.tree.flatten(layer.input)]
        return f"inputs of ranks {ranks}" if len(set(ranks)) > 1 else None


class Add(Elementwise):
    def forward(self, *inputs, training):
        self.shapes = [x.shape for x in inputs]
        return sum(inputs[1:], inputs[0])

    def backward(self, grad, *wanted):
        return [_reduced(grad, shape) if wants else None for shape, wants in zip(self.shapes, wanted)]


class Average(Add):
    def forward(self, *inputs, training):
        return super().forward(*inputs, training=training) / np.float32(len(inputs))

    def backward(self, grad, *wanted):
        return super().backward(grad / np.float32(len(wanted)), *wanted)


class SoftVoting(Operation):
    """`lwcnn.models.layers.SoftVoting`."""

    def forward(self, *inputs, training):
        log_shares = [log_softmax(logits, axis=1) for logits in inputs]
        self.log_shares = [one - np.float32(np.log(len(inputs))) for one in log_shares]
        self.output = np.logaddexp.reduce(self.log_shares)
        return self.output

    def backward(self, grad, *wanted):
        return [self._gradient(grad, one) if wants else None for one, wants in zip(self.log_shares, wanted)]

    def _gradient(self, grad, log_shares):
        of_shares = grad * np.exp(log_shares - self.output)
        return of_shares - np.exp(log_softmax(log_shares, axis=1)) * of_shares.sum(axis=1, keepdims=True)


class Multiply(Elementwise):
    def forward(self, *inputs, training):
        self.inputs = inputs
        return reduce(np.multiply, inputs)

    def backward(self, grad, *wanted):
        return [self._gradient(grad, i) if wants else None for i, wants in enumerate(wanted)]

    def _gradient(self, grad, i):
        others = self.inputs[:i] + self.inputs[i + 1 :]
        return _reduced(reduce(np.multiply, others, grad), self.inputs[i].shape)


class ZeroPadding(Operation):
    def forward(self, x, training):
        (top, bottom), (left, right) = self.layer.padding
        n, h, w, c = x.shape
        y = np.zeros((n, h + top + bottom, w + left + right, c), np.float32)
        y[:, top : top + h, left : left + w] = x
        return y

    def backward(self, grad, wanted):
        (top, bottom), (left, right) = self.layer.padding
        h, w = grad.shape[1:3]
        return np.ascontiguousarray(grad[:, top : h - bottom, left : w - right])


class Reshape(Operation):
    """`keras.layers.Flatten` and `Reshape`."""

    @classmethod
    def unsupported_setting(cls, layer):
        shape = layer.output.shape[1:]
        return f"output of shape {shape}" if shape.count(None) > 1 else None

    def forward(self, x, training):
        self.shape = x.shape
        return x.reshape(len(x), *(-1 if size is None else size for size in self.layer.output.shape[1:]))

    def backward(self, grad, wanted):
        return grad.reshape(self.shape)


def _reduced(grad: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Sums the gradient over the axes along which an input of this shape was broadcast."""
    axes = tuple(axis for axis, (wide, size) in enumerate(zip(grad.shape, shape)) if size == 1 < wide)
    return grad.sum(axis=axes, keepdims=True) if axes else grad

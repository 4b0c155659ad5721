"""Batch normalization and the scaling of images."""

import keras
import numpy as np

from lwcnn.engine.kernels import batch_norm
from lwcnn.engine.operations.base import Operation


class Rescale(Operation):
    def forward(self, inputs, training):
        (x,) = inputs
        scale, offset = np.asarray(self.layer.scale, np.float32), np.asarray(self.layer.offset, np.float32)
        return x * scale + offset

    def backward(self, grad, wanted):
        return [grad * np.asarray(self.layer.scale, np.float32)]


class Normalize(Operation):
    expected = {"invert": False}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.mean, variance = (keras.ops.convert_to_numpy(part) for part in (layer.mean, layer.variance))
        self.factor = 1 / np.maximum(np.sqrt(variance), np.float32(keras.config.epsilon()))

    def forward(self, inputs, training):
        return (inputs[0] - self.mean) * self.factor

    def backward(self, grad, wanted):
        return [grad * self.factor]


class BatchNorm(Operation):
    """`keras.layers.BatchNormalization` of the last axis."""

    @classmethod
    def unsupported_setting(cls, layer):
        return None if layer.axis in (-1, len(layer.output.shape) - 1) else f"axis={layer.axis}"

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        (self.mean, _), (self.variance, _) = bind(layer.moving_mean), bind(layer.moving_variance)
        width = self.mean.size
        self.gamma, self.g_gamma = bind(layer.gamma) if layer.scale else (np.ones(width, np.float32), None)
        self.beta, self.g_beta = bind(layer.beta) if layer.center else (np.zeros(width, np.float32), None)

    def forward(self, inputs, training):
        (self.x,) = inputs
        self.by_batch = training and self.layer.trainable
        if not self.by_batch:
            self.factor = self.gamma / np.sqrt(self.variance + np.float32(self.layer.epsilon))
            return self.x * self.factor + (self.beta - self.mean * self.factor)
        y, *self.moments = batch_norm.batch_norm(self.x, self.gamma, self.beta, self.layer.epsilon, self.all_reduce)
        if self.is_leader:
            for moving, new in zip((self.mean, self.variance), self.moments):
                follow(moving, new.astype(np.float32), self.layer.momentum)
        return y

    def backward(self, grad, wanted):
        if not self.by_batch:
            return [grad * self.factor if wanted[0] else None]
        dx, g_gamma, g_beta = batch_norm.batch_norm_gradients(
            self.x, self.gamma, *self.moments, grad, self.layer.epsilon, self.all_reduce
        )
        for total, g in ((self.g_gamma, g_gamma), (self.g_beta, g_beta)):
            if total is not None:
                total += g
        return [dx]


def follow(moving: np.ndarray, new: np.ndarray, momentum: float) -> None:
    """Updates a moving average in place."""
    moving *= np.float32(momentum)
    moving += new * np.float32(1 - momentum)

"""Batch normalization and the scaling of images."""

import keras
import numpy as np

from lwcnn.engine.kernels import batch_norm
from lwcnn.engine.kernels.arrays import in_parts
from lwcnn.engine.operations.base import Operation, first_difference


class Rescale(Operation):
    """`keras.layers.Rescaling`, of images of any type."""

    def forward(self, inputs, training):
        (x,) = inputs
        scale, offset = np.asarray(self.layer.scale, np.float32), np.asarray(self.layer.offset, np.float32)
        y = np.empty(x.shape, np.float32)

        def part(first, last):
            np.multiply(x[first:last], scale, out=y[first:last])
            if offset.any():
                y[first:last] += offset

        in_parts(part, len(x))
        return y

    def backward(self, grad, wanted):
        return [grad * np.asarray(self.layer.scale, np.float32) if wanted[0] else None]


class Normalize(Operation):
    """`keras.layers.Normalization`, of images of any type."""

    @staticmethod
    def unsupported_setting(layer):
        return first_difference(layer, invert=False)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.mean, variance = (keras.ops.convert_to_numpy(part) for part in (layer.mean, layer.variance))
        self.factor = 1 / np.maximum(np.sqrt(variance), np.float32(keras.config.epsilon()))

    def forward(self, inputs, training):
        return (inputs[0] - self.mean) * self.factor

    def backward(self, grad, wanted):
        return [grad * self.factor if wanted[0] else None]


class BatchNorm(Operation):
    """`lwcnn.engine.fused.FusedBatchNormalization`."""

    @staticmethod
    def unsupported_setting(layer):
        return first_difference(layer, center=True, scale=True)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.operation = batch_norm.batch_norm_operation(layer.epsilon)
        (self.gamma, self.g_gamma), (self.beta, self.g_beta) = bind(layer.gamma), bind(layer.beta)
        (self.mean, _), (self.variance, _) = bind(layer.moving_mean), bind(layer.moving_variance)

    def forward(self, inputs, training):
        (self.x,) = inputs
        if not training:
            factor = self.gamma / np.sqrt(self.variance + np.float32(self.layer.epsilon))
            return self.x * factor + (self.beta - self.mean * factor)
        y, mean, variance, *self.kept = self.operation.forward(self.x, self.gamma, self.beta, exchange=self.exchange)
        if self.leads:
            follow(self.mean, mean, self.layer.momentum)
            follow(self.variance, variance, self.layer.momentum)
        return y

    def backward(self, grad, wanted):
        inputs = self.x, self.gamma, self.beta
        dx, g_gamma, g_beta = self.operation.gradients[0].function(inputs, self.kept, grad, exchange=self.exchange)
        self.g_gamma += g_gamma
        self.g_beta += g_beta
        return [dx]


def follow(moving: np.ndarray, new: np.ndarray, momentum: float) -> None:
    moving *= np.float32(momentum)
    moving += new * np.float32(1 - momentum)

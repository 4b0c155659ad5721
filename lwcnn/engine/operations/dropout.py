"""Layers that are random in training."""

import numpy as np

from lwcnn.engine.operations.base import Operation, first_difference


class Dropout(Operation):
    """`keras.layers.Dropout`."""

    @staticmethod
    def unsupported_setting(layer):
        return first_difference(layer, noise_shape=None)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.random = self.noise_shape() if layer.rate else None

    def noise_shape(self) -> tuple[int, ...]:
        """Returns the shape of an image's random numbers; a size of 1 covers the whole axis."""
        return tuple(self.layer.output.shape[1:])

    def forward(self, inputs, training):
        (x,) = inputs
        self.factors = None
        if not training or not self.layer.rate:
            return x
        rate = np.float32(self.layer.rate)
        self.factors = (self.draws >= rate).astype(np.float32) / (1 - rate)
        return x * self.factors

    def backward(self, grad, wanted):
        return [grad if self.factors is None else grad * self.factors]


class SpatialDropout(Dropout):
    """`keras.layers.SpatialDropout2D`."""

    def noise_shape(self):
        return (1, 1, self.layer.output.shape[-1])


class StochasticDepth(Dropout):
    """`lwcnn.models.layers.StochasticDepth`."""

    def noise_shape(self):
        return (1,) * (len(self.layer.output.shape) - 1)

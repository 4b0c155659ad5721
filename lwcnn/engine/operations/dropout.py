"""Layers that are random in training."""

import numpy as np
from keras import layers

from lwcnn.engine.operations.base import Operation
from lwcnn.models.layers import StochasticDepth


class Dropout(Operation):
    """`keras.layers.Dropout`, `SpatialDropout2D` and `lwcnn.models.layers.StochasticDepth`."""

    expected = {"noise_shape": None}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        shape = layer.output.shape[1:]  # of an image's random numbers, where 1 covers a whole axis
        if type(layer) is layers.SpatialDropout2D:
            shape = (1, 1, shape[-1])
        if type(layer) is StochasticDepth:
            shape = (1,) * len(shape)
        self.random = tuple(shape) if layer.rate else None

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

"""Layers that draw random numbers in training."""

import numpy as np

from lwcnn.engine.operations.base import Operation, first_difference
from lwcnn.models.blocks import ScheduledDropout


class Dropout(Operation):
    """`keras.layers.Dropout` and `ScheduledDropout`."""

    @staticmethod
    def unsupported_setting(layer):
        return None if isinstance(layer, ScheduledDropout) else first_difference(layer, noise_shape=None)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.rate = float(bind(layer.rate)[0]) if isinstance(layer, ScheduledDropout) else layer.rate
        self.random = tuple(layer.output.shape[1:]) if self.rate else None

    def forward(self, inputs, training):
        (x,) = inputs
        self.factors = None
        if not training or not self.rate:
            return x
        self.factors = (self.draws >= np.float32(self.rate)).astype(np.float32) / np.float32(1 - self.rate)
        return x * self.factors

    def backward(self, grad, wanted):
        if not wanted[0]:
            return [None]
        return [grad if self.factors is None else grad * self.factors]

"""Layers with several inputs."""

import numpy as np

from lwcnn.engine.operations.base import Operation


class Concatenate(Operation):
    """`keras.layers.Concatenate` over the last axis."""

    @staticmethod
    def unsupported_setting(layer):
        return None if layer.axis in (-1, len(layer.output.shape) - 1) else f"axis={layer.axis}"

    def forward(self, inputs, training):
        self.ends = np.cumsum([x.shape[-1] for x in inputs])[:-1]
        return np.concatenate(inputs, axis=-1)

    def backward(self, grad, wanted):
        parts = np.split(grad, self.ends, axis=-1)
        return [np.ascontiguousarray(part) if wants else None for part, wants in zip(parts, wanted)]


class Average(Operation):
    """`keras.layers.Average`, of teachers; without gradients."""

    def forward(self, inputs, training):
        return sum(inputs[1:], inputs[0]) / np.float32(len(inputs))

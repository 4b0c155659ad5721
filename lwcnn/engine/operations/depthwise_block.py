"""The residual networks' depthwise block as one operation."""

import numpy as np

from lwcnn.engine.kernels import block_op
from lwcnn.engine.operations.base import Operation, as_matrix, first_difference
from lwcnn.engine.operations.normalization import follow
from lwcnn.models.configs import EPSILON


class DepthwiseBlock(Operation):
    """`lwcnn.engine.fused.FusedDepthwiseBlock`."""

    @staticmethod
    def unsupported_setting(layer):
        return first_difference(layer, by_kernel=True)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        inner, key = layer.inner, (layer.arguments["activation"], layer.residual, EPSILON)
        self.training, self.inference = block_op.training_operation(*key), block_op.inference_operation(*key)
        self.norm = inner["norm"]
        (self.mean, _), (self.variance, _) = bind(self.norm.moving_mean), bind(self.norm.moving_variance)
        variables = [inner["depthwise"].kernel, self.norm.gamma, self.norm.beta]
        roles = ("expand", "project", "squeeze", "excite")
        variables += [part for role in roles if role in inner for part in (inner[role].kernel, inner[role].bias)]
        bound = [bind(variable) for variable in variables]
        self.weights = [as_matrix(value) for value, _ in bound]
        self.g_weights = [None if g is None else as_matrix(g) for _, g in bound]
        filters = self.weights[5].shape[1]
        if "squeeze" not in inner:
            self.weights += [np.zeros(shape, np.float32) for shape in ((filters, 0), (0,), (0, filters), (filters,))]
        self.rate = layer.arguments["drop_rate"]
        self.random = () if self.rate else None

    def forward(self, inputs, training):
        (self.x,) = inputs
        if not training:
            return self.inference.forward(self.x, self.mean, self.variance, *self.weights)[0]
        self.keep = np.ones(len(self.x), np.float32)
        if self.rate:
            self.keep = (self.draws >= self.rate).astype(np.float32) / np.float32(1 - self.rate)
        y, mean, variance, *self.kept = self.training.forward(self.x, self.keep, *self.weights, exchange=self.exchange)
        if self.leads:
            follow(self.mean, mean, self.norm.momentum)
            follow(self.variance, variance, self.norm.momentum)
        return y

    def backward(self, grad, wanted):
        inputs = self.x, self.keep, *self.weights
        dx, *grads = self.training.gradients[0].function(inputs, self.kept, grad, exchange=self.exchange)
        for total, g in zip(self.g_weights, grads):  # without squeeze-and-excitation its gradients go nowhere
            total += g
        return [dx]

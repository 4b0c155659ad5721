"""The residual networks' depthwise block as one operation."""

import keras
import numpy as np

from lwcnn.engine.kernels import block_op
from lwcnn.engine.operations.base import Operation, as_matrix
from lwcnn.engine.operations.normalization import follow

ACTIVATIONS = {keras.activations.relu: "relu", keras.activations.hard_silu: "hard_silu"}
KERNEL_SIZES = ((3, 3), (5, 5), (7, 7))


class DepthwiseBlock(Operation):
    """The layers of `lwcnn.models.blocks.depthwise_block`.

    Args:
        parts: Layers by role: depthwise, norm, expand, project and, if there is one of them, squeeze, excite, drop.
        activation: Function between expand and project.
        residual: Whether the block's input is added.
    """

    @staticmethod
    def fits(parts: dict[str, keras.Layer], activation) -> bool:
        """Whether the kernel knows the widths, the kernel size and the activation."""
        widths = [parts["norm"].gamma.shape[0], parts["expand"].filters, parts["project"].filters]
        has_kernel = activation in ACTIVATIONS and tuple(parts["depthwise"].kernel_size) in KERNEL_SIZES
        return has_kernel and all(width % 8 == 0 for width in widths)

    def __init__(self, parts, activation, residual, bind):
        super().__init__(parts["drop"], bind)
        self.norm = parts["norm"]
        self.functions = block_op.BlockFunctions(ACTIVATIONS[activation], residual, self.norm.epsilon)
        (self.mean, _), (self.variance, _) = bind(self.norm.moving_mean), bind(self.norm.moving_variance)
        bound = [bind(parts["depthwise"].kernel), bind(self.norm.gamma), bind(self.norm.beta)]
        for role in ("expand", "project", "squeeze", "excite"):
            if role in parts:
                bound += _kernel_and_bias(parts[role], bind)
        self.weights = [as_matrix(value) for value, _ in bound]
        self.g_weights = [None if g is None else as_matrix(g) for _, g in bound]
        filters = parts["project"].filters
        if "squeeze" not in parts:
            self.weights += [np.zeros(shape, np.float32) for shape in ((filters, 0), (0,), (0, filters), (filters,))]
        self.rate = parts["drop"].rate if parts["drop"] else 0.0
        self.random = () if self.rate else None

    def forward(self, inputs, training):
        (self.x,) = inputs
        self.keep = np.ones(len(self.x), np.float32)
        if training and self.rate:
            self.keep = (self.draws >= self.rate).astype(np.float32) / np.float32(1 - self.rate)
        if not training or not self.norm.trainable:
            return self.functions.infer(self.x, self.keep, self.weights, self.mean, self.variance)
        y, mean, variance, self.kept = self.functions.train(self.x, self.keep, self.weights, self.all_reduce)
        if self.is_leader:
            follow(self.mean, mean, self.norm.momentum)
            follow(self.variance, variance, self.norm.momentum)
        return y

    def backward(self, grad, wanted):
        dx, *grads = self.functions.gradients(self.x, self.keep, self.weights, self.kept, grad, self.all_reduce)
        for total, g in zip(self.g_weights, grads):  # without squeeze-and-excitation its gradients go nowhere
            if total is not None:
                total += g
        return [dx]


def _kernel_and_bias(layer: keras.Layer, bind) -> list:
    """Both with the arrays of their gradients; a bias of zeros where the layer has none."""
    kernel = bind(layer.kernel)
    return [kernel, bind(layer.bias) if layer.use_bias else (np.zeros(kernel[0].shape[-1], np.float32), None)]

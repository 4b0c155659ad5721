"""Convolutions and dense layers."""

import keras
import numpy as np

from lwcnn.engine.kernels import conv_pool
from lwcnn.engine.operations.base import Operation, as_matrix, first_difference


class Linear(Operation):
    """`keras.layers.Dense`, and `Conv2D` of 1x1: a matrix product over the last axis, with ReLU or without."""

    @staticmethod
    def unsupported_setting(layer):
        if layer.activation not in (keras.activations.linear, keras.activations.relu):
            return f"activation={keras.activations.serialize(layer.activation)!r}"
        if isinstance(layer, keras.layers.Conv2D):
            return first_difference(layer, kernel_size=(1, 1), strides=(1, 1), groups=1)
        return None

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        kernel, g_kernel = bind(layer.kernel)
        self.kernel, self.g_kernel = as_matrix(kernel), None if g_kernel is None else as_matrix(g_kernel)
        self.bias, self.g_bias = bind(layer.bias) if layer.use_bias else (None, None)
        self.relu = layer.activation is keras.activations.relu

    def forward(self, inputs, training):
        (x,) = inputs
        self.x = x.reshape(-1, x.shape[-1])
        y = self.x @ self.kernel
        if self.bias is not None:
            y += self.bias
        if self.relu:
            np.maximum(y, np.float32(0), out=y)
        self.y = y
        return y.reshape(*x.shape[:-1], -1)

    def backward(self, grad, wanted):
        shape = grad.shape
        grad = grad.reshape(-1, shape[-1])
        if self.relu:
            grad = grad * (self.y > 0)
        if self.g_kernel is not None:
            self.g_kernel += self.x.T @ grad
            if self.g_bias is not None:
                self.g_bias += grad.sum(axis=0)
        return [(grad @ self.kernel.T).reshape(*shape[:-1], -1) if wanted[0] else None]


class ConvPool(Operation):
    """`lwcnn.engine.fused.ConvReluMaxPool`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        (self.kernel, self.g_kernel), (self.bias, self.g_bias) = bind(layer.kernel), bind(layer.bias)

    def forward(self, inputs, training):
        (self.x,) = inputs
        y, self.winner = conv_pool.conv_pool_forward(self.x, self.kernel, self.bias)
        return y

    def backward(self, grad, wanted):
        if self.g_kernel is not None:
            g_kernel, g_bias = conv_pool.conv_pool_kernel_gradients(self.x, self.winner, grad)
            self.g_kernel += g_kernel
            self.g_bias += g_bias
        return [conv_pool.conv_pool_input_gradient(self.x, self.kernel, self.winner, grad) if wanted[0] else None]

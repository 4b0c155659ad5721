"""Depthwise and separable convolutions."""

import numpy as np

from lwcnn.engine.kernels.arrays import rows
from lwcnn.engine.kernels.depthwise import depthwise, depthwise_input_gradient, depthwise_kernel_gradient
from lwcnn.engine.kernels.windows import Geometry
from lwcnn.engine.operations.convolution import Affine, Linear


class DepthwiseConvolution(Affine):
    """`keras.layers.DepthwiseConv2D` with one filter per channel."""

    expected = {"depth_multiplier": 1, "dilation_rate": (1, 1)}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.windows = Windows(layer, *bind(layer.kernel))

    def forward(self, inputs, training):
        return self.finish(self.windows.forward(inputs[0]))

    def backward(self, grad, wanted):
        return [self.windows.backward(self.begin(grad), wanted[0])]


class SeparableConvolution(Linear):
    """`keras.layers.SeparableConv2D` with one filter per channel: a depthwise convolution, then a pointwise one."""

    expected = DepthwiseConvolution.expected

    def __init__(self, layer, bind):
        super().__init__(layer, bind, layer.pointwise_kernel)
        self.windows = Windows(layer, *bind(layer.depthwise_kernel))

    def forward(self, inputs, training):
        return super().forward([self.windows.forward(inputs[0])], training)

    def backward(self, grad, wanted):
        (grad,) = super().backward(grad, [True])
        return [self.windows.backward(grad, wanted[0])]


class Windows:
    """The depthwise sums of a layer, with its kernel (k, k, c, 1) and the array of its gradient, or None."""

    def __init__(self, layer, kernel: np.ndarray, g_kernel: np.ndarray | None):
        self._layer, self._kernel, self._g_kernel = layer, kernel, g_kernel

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Returns the sums (n, p, q, c) for x (n, h, w, c)."""
        self._shape, self._x = x.shape, rows(x)
        self._geometry = Geometry.of(x.shape[1:3], self._kernel.shape[:2], self._layer.strides, self._layer.padding)
        sums = depthwise(self._x, self._kernel.reshape(-1), self._geometry)
        return sums.reshape(len(x), *self._geometry.positions, x.shape[3])

    def backward(self, grad: np.ndarray, wanted: bool) -> np.ndarray | None:
        """Adds the gradient by the kernel; returns that by x, or None if it is not wanted."""
        grad = rows(grad)
        if self._g_kernel is not None:
            total = depthwise_kernel_gradient(self._x, grad, self._geometry)
            self._g_kernel += total.reshape(self._g_kernel.shape)
        if not wanted:
            return None
        return depthwise_input_gradient(grad, self._kernel.reshape(-1), self._geometry).reshape(self._shape)

"""Depthwise and separable convolutions."""

import math

import numpy as np

from lwcnn.engine.kernels.arrays import aligned_zeros, jit_fused, rows
from lwcnn.engine.kernels.depthwise import TAPS, add_kernel_gradients, convolve_images
from lwcnn.engine.kernels.tiles import WIDTH
from lwcnn.engine.kernels.windows import Geometry
from lwcnn.engine.operations.convolution import Affine, Linear

FORWARD, INPUT, KERNEL = 0, 1, 2


class DepthwiseConvolution(Affine):
    """`keras.layers.DepthwiseConv2D` with one filter per channel."""

    expected = {"depth_multiplier": 1, "dilation_rate": (1, 1)}

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.windows = Windows(layer, *bind(layer.kernel))

    def forward(self, x, training):
        return self.finish(self.windows.forward(x))

    def backward(self, grad, wanted):
        return self.windows.backward(self.begin(grad), wanted)


class SeparableConvolution(Linear):
    """`keras.layers.SeparableConv2D` with one filter per channel: a depthwise convolution, then a pointwise one."""

    expected = DepthwiseConvolution.expected

    def __init__(self, layer, bind):
        super().__init__(layer, bind, layer.pointwise_kernel)
        self.windows = Windows(layer, *bind(layer.depthwise_kernel))

    def forward(self, x, training):
        return super().forward(self.windows.forward(x), training)

    def backward(self, grad, wanted):
        return self.windows.backward(super().backward(grad, True), wanted)


class Windows:
    """The depthwise sums of a layer, with its kernel (k, k, c, 1) and the array of its gradient, or None.

    The common ones, of stride 1 and padding "same", are computed in registers; others add in memory.
    """

    def __init__(self, layer, kernel: np.ndarray, g_kernel: np.ndarray | None = None):
        self._layer, self._kernel, self._g_kernel = layer, kernel, g_kernel

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Returns the sums (n, p, q, c) for x (n, h, w, c)."""
        self._shape, self._x = x.shape, rows(x)
        self._geometry = Geometry.of(x.shape[1:3], self._kernel.shape[:2], self._layer.strides, self._layer.padding)
        return self._sums(FORWARD, self._x, self._geometry.positions)

    def backward(self, grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
        """Adds the gradient of the kernel; returns that of x, or None if it is not wanted."""
        grad = rows(grad)
        if self._g_kernel is not None:
            self._g_kernel += self._kernel_gradient(grad).reshape(self._g_kernel.shape)
        return self._sums(INPUT, grad, self._geometry.size) if wanted else None

    def _is_common(self) -> bool:
        geometry, k = self._geometry, self._geometry.window[0]
        is_same = geometry.strides == (1, 1) and geometry.positions == geometry.size
        return is_same and geometry.window == (k, k) and k in TAPS and self._shape[3] % WIDTH == 0

    def _sums(self, kind: int, given: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Returns maps of a size: the sums for x or, given the gradients of the sums, the gradients of x."""
        C, geometry = self._shape[3], self._geometry
        kernel, sums = self._kernel.reshape(-1, C), np.zeros((len(given), math.prod(size) * C), np.float32)
        if self._is_common():
            flat = np.ascontiguousarray(kernel if kind == FORWARD else kernel[::-1]).reshape(-1)
            convolve_images(given, flat, sums, *geometry.size, C, TAPS[geometry.window[0]], np.zeros(0))
        else:
            _add_products(
                kind, given.reshape(-1), kernel.reshape(-1), sums.reshape(-1), len(given), C, geometry.numbers
            )
        return sums.reshape(len(given), *size, C)

    def _kernel_gradient(self, grad: np.ndarray) -> np.ndarray:
        C, geometry = self._shape[3], self._geometry
        total = aligned_zeros(self._kernel.size)
        if self._is_common():
            add_kernel_gradients(self._x, grad, *geometry.size, C, TAPS[geometry.window[0]], total)
        else:
            _add_products(KERNEL, grad.reshape(-1), self._x.reshape(-1), total, len(grad), C, geometry.numbers)
        return total


@jit_fused
def _add_products(kind, a, b, total, N, C, numbers):
    """Adds a * b to total for every position, tap and channel, each at its own place.

    (a, b, total) are (map, kernel, output), or for INPUT (output, kernel, map) and for KERNEL (output, map, kernel).
    """
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(N):
        for i in range(P):
            for j in range(Q):
                output, y0, x0 = ((n * P + i) * Q + j) * C, i * down - top, j * across - left
                for y in range(max(-y0, 0), min(kh, H - y0)):
                    for x in range(max(-x0, 0), min(kw, W - x0)):
                        image, tap = ((n * H + y0 + y) * W + x0 + x) * C, (y * kw + x) * C
                        at_a = image if kind == FORWARD else output
                        at_b = image if kind == KERNEL else tap
                        at = output if kind == FORWARD else (image if kind == INPUT else tap)
                        left_of, right_of, sums = a[at_a : at_a + C], b[at_b : at_b + C], total[at : at + C]
                        for c in range(C):
                            sums[c] += left_of[c] * right_of[c]

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
        self.sums = DepthwiseSums(layer, *bind(layer.kernel))

    def forward(self, x, training):
        return self.finish(self.sums.forward(x))

    def backward(self, grad, wanted):
        return self.sums.backward(self.gradient_of_sums(grad), wanted)


class SeparableConvolution(Linear):
    """`keras.layers.SeparableConv2D` with one filter per channel: a depthwise convolution, then a pointwise one."""

    expected = DepthwiseConvolution.expected

    def __init__(self, layer, bind):
        super().__init__(layer, bind, layer.pointwise_kernel)
        self.sums = DepthwiseSums(layer, *bind(layer.depthwise_kernel))

    def forward(self, x, training):
        return super().forward(self.sums.forward(x), training)

    def backward(self, grad, wanted):
        return self.sums.backward(super().backward(grad, True), wanted)


class DepthwiseSums:
    """The depthwise sums of a layer, with its kernel (k, k, c, 1) and the array of its gradient, or None.

    The common ones, of stride 1 and padding "same", are computed in registers; others add in memory.
    """

    def __init__(self, layer, kernel: np.ndarray, g_kernel: np.ndarray | None = None):
        self._layer, self._kernel, self._g_kernel = layer, kernel, g_kernel

    def forward(self, x: np.ndarray) -> np.ndarray:
        """Returns the sums (n, p, q, c) for x (n, h, w, c)."""
        self._x, window = rows(x), self._kernel.shape[:2]
        self._geometry = Geometry.of(x.shape[1:], window, self._layer.strides, self._layer.padding)
        (H, W, C), (height, width), strides, _, positions = self._geometry
        is_common = strides == (1, 1) and positions == (H, W) and height == width and C % WIDTH == 0
        self._taps = TAPS.get(height) if is_common else None
        return self._sums(FORWARD, self._x, (*positions, C))

    def backward(self, grad: np.ndarray, wanted: bool = True) -> np.ndarray | None:
        """Adds the gradient of the kernel; returns that of x, or None if it is not wanted."""
        grad, geometry = rows(grad), self._geometry
        if self._g_kernel is not None:
            total = aligned_zeros(self._kernel.size)
            if self._taps:
                add_kernel_gradients(self._x, grad, *geometry.shape, self._taps, total)
            else:
                _add_products(KERNEL, grad.reshape(-1), self._x.reshape(-1), total, len(grad), geometry.numbers)
            self._g_kernel += total.reshape(self._g_kernel.shape)
        return self._sums(INPUT, grad, geometry.shape) if wanted else None

    def _sums(self, kind: int, given: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Returns maps of a shape: the sums for x or, given the gradients of the sums, the gradients of x."""
        kernel, geometry = self._kernel.reshape(-1, shape[-1]), self._geometry
        sums = np.zeros((len(given), math.prod(shape)), np.float32)
        if self._taps:
            flat = np.ascontiguousarray(kernel if kind == FORWARD else kernel[::-1]).reshape(-1)
            convolve_images(given, flat, sums, *geometry.shape, self._taps, np.zeros(0))
        else:
            _add_products(kind, given.reshape(-1), kernel.reshape(-1), sums.reshape(-1), len(given), geometry.numbers)
        return sums.reshape(len(given), *shape)


@jit_fused
def _add_products(kind, a, b, total, N, numbers):
    """Adds a * b to total for every position, tap and channel, each at its own place.

    (a, b, total) are (map, kernel, output), or for INPUT (output, kernel, map) and for KERNEL (output, map, kernel).
    """
    H, W, C, kh, kw, down, across, top, left, P, Q = numbers
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

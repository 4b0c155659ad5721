"""Depthwise convolution of any kernel, stride and padding on the CPU with Numba: forward and both gradients.

Maps are (N, H*W*C), kernels (k*k*C). The common case (stride 1, padding "same", widths that fill vectors) has a kernel
that keeps its sums in registers (`depthwise.py`); other cases add in memory.
"""

import math

import numpy as np

from lwcnn.engine.kernels.arrays import jit_fused
from lwcnn.engine.kernels.depthwise import TAPS, add_kernel_gradient, convolve, copy_into_margin
from lwcnn.engine.kernels.patches import Geometry
from lwcnn.engine.kernels.tiles import WIDTH, aligned_zeros

FORWARD, INPUT, KERNEL = 0, 1, 2


def depthwise(x: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the convolution, (N, P*Q*C)."""
    C = kernel.size // math.prod(geometry.window)
    y = np.zeros((len(x), math.prod(geometry.positions) * C), np.float32)
    if _is_common(geometry, C):
        _convolve_images(x, kernel, *geometry.size, C, TAPS[geometry.window[0]], y)
    else:
        _add_products(FORWARD, x.reshape(-1), kernel, y.reshape(-1), len(x), C, geometry.numbers)
    return y


def depthwise_input_gradient(grad: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the gradient by the map, (N, H*W*C), given that by the convolution, (N, P*Q*C)."""
    C = kernel.size // math.prod(geometry.window)
    dx = np.zeros((len(grad), math.prod(geometry.size) * C), np.float32)
    if _is_common(geometry, C):
        flipped = np.ascontiguousarray(kernel.reshape(-1, C)[::-1]).reshape(-1)
        _convolve_images(grad, flipped, *geometry.size, C, TAPS[geometry.window[0]], dx)
    else:
        _add_products(INPUT, grad.reshape(-1), kernel, dx.reshape(-1), len(grad), C, geometry.numbers)
    return dx


def depthwise_kernel_gradient(x: np.ndarray, grad: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the gradient by the kernel, (k*k*C)."""
    C = x.shape[1] // math.prod(geometry.size)
    total = aligned_zeros(math.prod(geometry.window) * C)
    if _is_common(geometry, C):
        _add_kernel_gradient_of_images(x, grad, *geometry.size, C, TAPS[geometry.window[0]], total)
    else:
        _add_products(KERNEL, grad.reshape(-1), x.reshape(-1), total, len(x), C, geometry.numbers)
    return total


def _is_common(geometry: Geometry, channels: int) -> bool:
    """Returns whether the kernel for stride 1 and padding "same" applies."""
    k = geometry.window[0]
    is_same = geometry.strides == (1, 1) and geometry.positions == geometry.size
    return is_same and geometry.window == (k, k) and k in TAPS and channels % WIDTH == 0


@jit_fused
def _convolve_images(x, kernel, H, W, C, taps, y):
    k = len(taps)
    padded, no_sums = aligned_zeros((H + k - 1) * (W + k - 1) * C), np.zeros(0, np.float32)
    for n in range(len(x)):
        copy_into_margin(x[n], 0, H, W, C, k, padded)
        convolve(padded, kernel, y[n], 0, H, W, C, k, taps, no_sums)


@jit_fused
def _add_kernel_gradient_of_images(x, grad, H, W, C, taps, total):
    k = len(taps)
    padded = aligned_zeros((H + k - 1) * (W + k - 1) * C)
    for n in range(len(x)):
        copy_into_margin(x[n], 0, H, W, C, k, padded)
        add_kernel_gradient(padded, grad[n], 0, H, W, C, k, taps, total)


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

"""Depthwise convolution of any kernel, stride and padding on the CPU with Numba: forward and both gradients.

Maps are (N, H*W*C), kernels (k*k*C). The common case (stride 1, padding "same", widths that fill vectors) has a kernel
that keeps its sums in registers (`depthwise.py`); other cases add in memory.
"""

import numpy as np

from lwcnn.engine.kernels.arrays import jit_fused
from lwcnn.engine.kernels.depthwise import TAPS, add_kernel_gradient, convolve, copy_into_margin
from lwcnn.engine.kernels.patches import Geometry
from lwcnn.engine.kernels.tiles import WIDTH, aligned_zeros


def depthwise(x: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the convolution, (N, P*Q*C)."""
    C = kernel.size // (geometry.window[0] * geometry.window[1])
    y = np.zeros((len(x), geometry.positions[0] * geometry.positions[1] * C), np.float32)
    if _is_common(geometry, C):
        _convolve_images(x, kernel, *geometry.size, C, TAPS[geometry.window[0]], y)
    else:
        _forward(x, kernel, C, geometry.numbers, y)
    return y


def depthwise_input_gradient(grad: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the gradient by the map, (N, H*W*C), given that by the convolution, (N, P*Q*C)."""
    C = kernel.size // (geometry.window[0] * geometry.window[1])
    dx = np.zeros((len(grad), geometry.size[0] * geometry.size[1] * C), np.float32)
    if _is_common(geometry, C):
        flipped = np.ascontiguousarray(kernel.reshape(-1, C)[::-1]).reshape(-1)
        _convolve_images(grad, flipped, *geometry.size, C, TAPS[geometry.window[0]], dx)
    else:
        _add_input_gradient(grad, kernel, C, geometry.numbers, dx)
    return dx


def depthwise_kernel_gradient(x: np.ndarray, grad: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the gradient by the kernel, (k*k*C)."""
    C = x.shape[1] // (geometry.size[0] * geometry.size[1])
    total = aligned_zeros(geometry.window[0] * geometry.window[1] * C)
    if _is_common(geometry, C):
        _add_kernel_gradient_of_images(x, grad, *geometry.size, C, TAPS[geometry.window[0]], total)
    else:
        _add_kernel_gradient(x, grad, C, geometry.numbers, total)
    return total


def _is_common(geometry: Geometry, channels: int) -> bool:
    """Returns whether the kernel for stride 1 and padding "same" applies."""
    k = geometry.window[0]
    square = geometry.window[1] == k and k in (3, 5, 7)
    same = geometry.strides == (1, 1) and geometry.positions == geometry.size
    return square and same and channels % WIDTH == 0


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
def _forward(x, kernel, C, numbers, y):
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(x)):
        for i in range(P):
            for j in range(Q):
                out, y0, x0 = y[n, (i * Q + j) * C : (i * Q + j + 1) * C], i * down - top, j * across - left
                for a in range(max(-y0, 0), min(kh, H - y0)):
                    for b in range(max(-x0, 0), min(kw, W - x0)):
                        values = x[n, ((y0 + a) * W + x0 + b) * C : ((y0 + a) * W + x0 + b + 1) * C]
                        weights = kernel[(a * kw + b) * C : (a * kw + b + 1) * C]
                        for c in range(C):
                            out[c] += values[c] * weights[c]


@jit_fused
def _add_input_gradient(grad, kernel, C, numbers, dx):
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(dx)):
        for i in range(P):
            for j in range(Q):
                g, y0, x0 = grad[n, (i * Q + j) * C : (i * Q + j + 1) * C], i * down - top, j * across - left
                for a in range(max(-y0, 0), min(kh, H - y0)):
                    for b in range(max(-x0, 0), min(kw, W - x0)):
                        values = dx[n, ((y0 + a) * W + x0 + b) * C : ((y0 + a) * W + x0 + b + 1) * C]
                        weights = kernel[(a * kw + b) * C : (a * kw + b + 1) * C]
                        for c in range(C):
                            values[c] += g[c] * weights[c]


@jit_fused
def _add_kernel_gradient(x, grad, C, numbers, total):
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(x)):
        for i in range(P):
            for j in range(Q):
                g, y0, x0 = grad[n, (i * Q + j) * C : (i * Q + j + 1) * C], i * down - top, j * across - left
                for a in range(max(-y0, 0), min(kh, H - y0)):
                    for b in range(max(-x0, 0), min(kw, W - x0)):
                        values = x[n, ((y0 + a) * W + x0 + b) * C : ((y0 + a) * W + x0 + b + 1) * C]
                        weights = total[(a * kw + b) * C : (a * kw + b + 1) * C]
                        for c in range(C):
                            weights[c] += g[c] * values[c]

"""Depthwise convolution on the CPU: forward and both gradients.

For k x k, stride 1 and "same" padding, lanes are channels (a multiple of 8), and the sums of several positions stay in
registers over all taps. Images have a margin of zeros, `(H + k - 1, W + k - 1, C)`, so that no tap needs a bounds
check. Other kernels, strides and paddings add in memory.
"""

import math

import numpy as np

from lwcnn.engine.kernels.arrays import jit, jit_fused
from lwcnn.engine.kernels.tiles import (
    WIDE,
    WIDTH,
    add_moments,
    add_taps,
    aligned_zeros,
    load_tile,
    store_tile,
    zeros_tile,
)  # fmt: skip
from lwcnn.engine.kernels.windows import Geometry

FORWARD, INPUT, KERNEL = 0, 1, 2
_R1, _R2, _R4, _R8 = (0,), (0,) * 2, (0,) * 4, (0,) * 8
_V1, _V2 = (0,), (0,) * 2
_MANY = _R8 if WIDE == 16 else _R4  # positions at once: enough sums that none has to wait for its previous addition


@jit
def copy_into_margin(image, H, W, C, k, padded):
    """Copies the image (H*W*C) into the middle of padded; its margin is unchanged."""
    margin, row = k // 2, (W + k - 1) * C
    target, at = margin * row + margin * C, 0
    for _ in range(H):
        for t in range(W * C):
            padded[target + t] = image[at + t]
        at += W * C
        target += row


@jit
def _positions(padded, weights, out, W, C, c, y, x, rows, like, taps, total, moments):
    """Computes len(rows) positions of line y from x on; returns `total` with their moments added."""
    tile, k = zeros_tile(rows, like), len(taps)
    row = (W + k - 1) * C
    tap, at = c, y * row + x * C + c
    for _ in range(k):
        tile = add_taps(tile, rows, like, taps, padded, at, weights, tap, C)
        tap += k * C
        at += row
    store_tile(rows, like, tile, out, (y * W + x) * C + c, C)
    return add_moments(total, rows, like, tile) if moments else total


@jit
def _vectors_forward(padded, weights, out, H, W, C, c, rows, like, taps, moments, sums):
    """Computes channels c... of the convolution; stores their sums and squares in sums (2, C) if `moments`."""
    R = len(rows)
    total = zeros_tile(_R2, like)
    for y in range(H):
        x = 0
        while x + R <= W:
            total = _positions(padded, weights, out, W, C, c, y, x, rows, like, taps, total, moments)
            x += R
        while x < W:
            total = _positions(padded, weights, out, W, C, c, y, x, _R1, like, taps, total, moments)
            x += 1
    if moments:
        store_tile(_R2, like, total, sums, c, C)


TAPS = {k: (0,) * k for k in (3, 5, 7)}
"""The argument `taps` for each size of kernel: a tuple whose length is known when compiling."""


@jit
def convolve(padded, weights, out, H, W, C, taps, sums):
    """Convolves the padded image with weights (k*k*C) into out (H*W*C); taps = `TAPS[k]`.

    `sums` (2*C) receives the sums over positions of the outputs and of their squares, unless its size is 0.
    """
    moments = sums.size > 0
    for c in range(0, C - WIDTH, 2 * WIDTH):
        if W >= len(_MANY):
            _vectors_forward(padded, weights, out, H, W, C, c, _MANY, _V2, taps, moments, sums)
        else:
            _vectors_forward(padded, weights, out, H, W, C, c, _R4, _V2, taps, moments, sums)
    if C % (2 * WIDTH):
        _vectors_forward(padded, weights, out, H, W, C, C - WIDTH, _R4, _V1, taps, moments, sums)


@jit
def convolve_images(x, weights, u, H, W, C, taps, totals):
    """Computes u, the convolution of x, (N, H*W*C) each; adds the sums of u and u^2 to totals (2*C or 0) float64."""
    k = len(taps)
    padded = aligned_zeros((H + k - 1) * (W + k - 1) * C)
    sums = aligned_zeros(totals.size)
    for n in range(len(u)):
        copy_into_margin(x[n], H, W, C, k, padded)
        convolve(padded, weights, u[n], H, W, C, taps, sums)
        for i in range(totals.size):
            totals[i] += sums[i]


@jit
def _taps_gradient(padded, grad, H, W, C, c, ky, total, taps, like):
    """Adds the padded image at each tap of row ky, times grad, to total (k, k, C)[ky, :, c...]."""
    k = len(taps)
    row = (W + k - 1) * C
    tile = load_tile(taps, like, total, ky * k * C + c, C)
    P = len(_R4)
    for y in range(H):
        at = (y + ky) * row + c
        g = y * W * C + c
        x = 0
        while x + P <= W:
            tile = add_taps(tile, taps, like, _R4, padded, at, grad, g, C)
            at += P * C
            g += P * C
            x += P
        while x < W:
            tile = add_taps(tile, taps, like, _R1, padded, at, grad, g, C)
            at += C
            g += C
            x += 1
    store_tile(taps, like, tile, total, ky * k * C + c, C)


@jit
def add_kernel_gradient(padded, grad, H, W, C, taps, total):
    """Adds the gradient by the kernel to total (k*k*C), given grad (H*W*C); taps = `TAPS[k]`."""
    c, k = 0, len(taps)
    while c < C:
        if (WIDE == 16 or k < 7) and c + 2 * WIDTH <= C:
            for ky in range(k):
                _taps_gradient(padded, grad, H, W, C, c, ky, total, taps, _V2)
            c += 2 * WIDTH
        else:
            for ky in range(k):
                _taps_gradient(padded, grad, H, W, C, c, ky, total, taps, _V1)
            c += WIDTH


def depthwise(x: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the convolution, (N, P*Q*C)."""
    C = kernel.size // math.prod(geometry.window)
    y = np.zeros((len(x), math.prod(geometry.positions) * C), np.float32)
    if _is_common(geometry, C):
        convolve_images(x, kernel, y, *geometry.size, C, TAPS[geometry.window[0]], np.zeros(0))
    else:
        _add_products(FORWARD, x.reshape(-1), kernel, y.reshape(-1), len(x), C, geometry.numbers)
    return y


def depthwise_input_gradient(grad: np.ndarray, kernel: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the gradient by the map, (N, H*W*C), given that by the convolution, (N, P*Q*C)."""
    C = kernel.size // math.prod(geometry.window)
    dx = np.zeros((len(grad), math.prod(geometry.size) * C), np.float32)
    if _is_common(geometry, C):
        flipped = np.ascontiguousarray(kernel.reshape(-1, C)[::-1]).reshape(-1)
        convolve_images(grad, flipped, dx, *geometry.size, C, TAPS[geometry.window[0]], np.zeros(0))
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
def _add_kernel_gradient_of_images(x, grad, H, W, C, taps, total):
    k = len(taps)
    padded = aligned_zeros((H + k - 1) * (W + k - 1) * C)
    for n in range(len(x)):
        copy_into_margin(x[n], H, W, C, k, padded)
        add_kernel_gradient(padded, grad[n], H, W, C, taps, total)


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

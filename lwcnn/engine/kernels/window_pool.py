"""Max- and average-pooling of any size, stride and padding on the CPU with Numba, forward and backward.

Maps are (N, H*W*C), `numbers` those of a `patches.Geometry`. Windows leave out what lies beyond the map. Ties go to the
first value of a window, as in TensorFlow.
"""

import numpy as np
from numba import njit

_jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_jit
def max_pool(x, C, numbers, pooled, winner):
    """pooled (N, P*Q*C) = the largest of each window; winner = its number in the window, row by row."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(x)):
        image = x[n]
        for i in range(P):
            for j in range(Q):
                at = (i * Q + j) * C
                best, which = pooled[n, at : at + C], winner[n, at : at + C]
                best[:] = -np.inf
                which[:] = 0
                for y in range(max(i * down - top, 0), min(i * down - top + kh, H)):
                    for z in range(max(j * across - left, 0), min(j * across - left + kw, W)):
                        number = np.uint16((y - i * down + top) * kw + z - j * across + left)
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            more = values[c] > best[c]
                            best[c] = values[c] if more else best[c]
                            which[c] = number if more else which[c]


@_jit
def add_max_pool_gradient(grad, winner, C, numbers, dx):
    """dx (N, H*W*C) += the gradient (N, P*Q*C) of each window at its winner."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    nothing = np.float32(0)
    for n in range(len(dx)):
        image = dx[n]
        for i in range(P):
            for j in range(Q):
                at = (i * Q + j) * C
                g, which = grad[n, at : at + C], winner[n, at : at + C]
                for y in range(max(i * down - top, 0), min(i * down - top + kh, H)):
                    for z in range(max(j * across - left, 0), min(j * across - left + kw, W)):
                        number = np.uint16((y - i * down + top) * kw + z - j * across + left)
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            values[c] += g[c] if which[c] == number else nothing


@_jit
def average_pool(x, C, numbers, pooled):
    """pooled (N, P*Q*C) = the mean of each window."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(x)):
        image = x[n]
        for i in range(P):
            first, last = max(i * down - top, 0), min(i * down - top + kh, H)
            for j in range(Q):
                left_most, right_most = max(j * across - left, 0), min(j * across - left + kw, W)
                share = np.float32(1 / ((last - first) * (right_most - left_most)))
                total = pooled[n, (i * Q + j) * C : (i * Q + j + 1) * C]
                total[:] = 0
                for y in range(first, last):
                    for z in range(left_most, right_most):
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            total[c] += values[c]
                for c in range(C):
                    total[c] *= share


@_jit
def add_average_pool_gradient(grad, C, numbers, dx):
    """dx (N, H*W*C) += the gradient (N, P*Q*C) of each window, in equal shares."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    for n in range(len(dx)):
        image = dx[n]
        for i in range(P):
            first, last = max(i * down - top, 0), min(i * down - top + kh, H)
            for j in range(Q):
                left_most, right_most = max(j * across - left, 0), min(j * across - left + kw, W)
                share = np.float32(1 / ((last - first) * (right_most - left_most)))
                g = grad[n, (i * Q + j) * C : (i * Q + j + 1) * C]
                for y in range(first, last):
                    for z in range(left_most, right_most):
                        values = image[(y * W + z) * C : (y * W + z + 1) * C]
                        for c in range(C):
                            values[c] += share * g[c]

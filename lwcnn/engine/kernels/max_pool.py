"""Max-pooling of channels-last maps on the CPU with Numba, forward and backward.

The first of equal values wins, as in TensorFlow. Windows of 2x2 have loops of their own, which compile to vector code;
these ignore an odd last row or column, whose gradient is zero.
"""

import numpy as np

from lwcnn.engine.kernels.arrays import jit


@jit
def pool_by_two(x, H, W, C, pooled, winner):
    """Pools x (N, H*W*C) into pooled (N, P*Q*C): the largest of each four; winner says which it was."""
    row = W * C
    for n in range(len(x)):
        image, best_of, which_of = x[n], pooled[n], winner[n]
        at = 0
        for i in range(H // 2):
            for j in range(W // 2):
                corner = 2 * i * row + 2 * j * C
                # Slices, so that no index can be negative: only then this becomes vector code.
                upper, lower = image[corner : corner + 2 * C], image[corner + row : corner + row + 2 * C]
                right, lower_right = upper[C:], lower[C:]
                best, which = best_of[at : at + C], which_of[at : at + C]
                for k in range(C):
                    a, b, c, d = upper[k], right[k], lower[k], lower_right[k]
                    top, bottom = max(a, b), max(c, d)
                    best[k] = max(top, bottom)
                    of_top, of_bottom = np.uint8(b > a), np.uint8(2) + np.uint8(d > c)
                    which[k] = of_bottom if bottom > top else of_top
                at += C


@jit
def pool_by_two_gradient(grad, winner, H, W, C, dx):
    """Computes dx (N, H*W*C): the gradient (N, P*Q*C) of each window at its winner."""
    row, nothing = W * C, np.float32(0)
    for n in range(len(dx)):
        g, which_of, out = grad[n], winner[n], dx[n]
        if H % 2 or W % 2:
            for k in range(H * W * C):
                out[k] = 0
        at = 0
        for i in range(H // 2):
            for j in range(W // 2):
                corner = 2 * i * row + 2 * j * C
                upper, lower = out[corner : corner + 2 * C], out[corner + row : corner + row + 2 * C]
                right, lower_right = upper[C:], lower[C:]
                value, which = g[at : at + C], which_of[at : at + C]
                for k in range(C):
                    upper[k] = value[k] if which[k] == 0 else nothing
                    right[k] = value[k] if which[k] == 1 else nothing
                    lower[k] = value[k] if which[k] == 2 else nothing
                    lower_right[k] = value[k] if which[k] == 3 else nothing
                at += C


@jit
def pool(x, C, numbers, pooled, winner):
    """Like `pool_by_two`, for the windows of `patches.Geometry.numbers`; winners are numbered row by row."""
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


@jit
def pool_gradient(grad, winner, C, numbers, dx):
    """Adds the gradient (N, P*Q*C) of each window at its winner to dx (N, H*W*C)."""
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

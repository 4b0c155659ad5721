"""2x2 max-pooling of channels-last maps on the CPU with Numba, forward and backward.

Ties go to the first of the four, as in TensorFlow; an odd last row or column is left out, and has the gradient zero.
"""

import numpy as np
from numba import njit

from lwcnn.engine.kernels.arrays import aligned_empty, contiguous, frozen, parallel_for, rowwise

_jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")


@_jit
def _forward(x, pooled, winner, H, W, C, first, last):
    """x (N, H*W*C) -> pooled and winner (N, P*Q*C): the largest of each four, and which it was."""
    row = W * C
    for n in range(first, last):
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


@_jit
def _backward(grad, winner, dx, H, W, C, first, last):
    row, nothing = W * C, np.float32(0)
    for n in range(first, last):
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


def max_pool(x):
    """pooled (N, H//2, W//2, C) float32 and winner, same shape, uint8, of x (N, H, W, C) float32."""
    (x,) = contiguous([x])
    N, H, W, C = x.shape
    shape = (N, H // 2, W // 2, C)
    pooled, winner = aligned_empty(shape), np.empty(shape, np.uint8)
    rows = frozen(x), rowwise(pooled), rowwise(winner)
    parallel_for(lambda first, last: _forward(*rows, H, W, C, first, last), N)
    return pooled, winner


def max_pool_gradient(grad, winner, H, W):
    """The gradient (N, H, W, C) by the input, of grad by the pooled map and its winners, (N, H//2, W//2, C)."""
    (grad,) = contiguous([grad])
    N, C = len(grad), grad.shape[-1]
    dx = aligned_empty((N, H, W, C))
    rows = frozen(grad), frozen(winner), rowwise(dx)
    parallel_for(lambda first, last: _backward(*rows, H, W, C, first, last), N)
    return dx

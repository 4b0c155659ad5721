"""Max-pooling of channels-last maps, forward and backward. The first of equal values wins, as in TensorFlow."""

import numpy as np

from lwcnn.engine.kernels.arrays import jit


@jit
def pool(x, C, numbers, pooled, winner):
    """Pools x (N, H*W*C) into pooled (N, P*Q*C); winner says which of a window's values it was, row by row."""
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

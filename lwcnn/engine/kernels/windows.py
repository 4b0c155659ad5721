"""Windows of channels-last maps: as the rows of a matrix, and the reverse; and max-pooling.

The rows turn a convolution into a matrix product, which BLAS computes near the processor's peak. A line is a row of
output positions of one image; callers process as many lines at a time as fit the cache.
"""

from typing import NamedTuple

import numpy as np

from lwcnn.engine.kernels.arrays import jit


class Geometry(NamedTuple):
    """Windows on a map, by height and width; the first window begins `margins` before the map."""

    size: tuple[int, int]
    window: tuple[int, int]
    strides: tuple[int, int]
    margins: tuple[int, int]
    positions: tuple[int, int]

    @classmethod
    def of(cls, size, window, strides, padding: str) -> "Geometry":
        """Returns the geometry for padding "valid" or "same", as in TensorFlow."""
        margins, positions = [], []
        for length, width, stride in zip(size, window, strides):
            if padding == "same":
                positions.append(-(-length // stride))
                margins.append(max((positions[-1] - 1) * stride + width - length, 0) // 2)
            else:
                positions.append((length - width) // stride + 1)
                margins.append(0)
        whole = [(int(a), int(b)) for a, b in (size, window, strides, margins, positions)]
        return cls(*whole)

    @property
    def numbers(self) -> tuple[int, ...]:
        """All fields as one tuple, for the kernels."""
        return sum(self, ())


@jit
def gather(x, C, numbers, first, last, rows):
    """Copies the windows of lines [first, last) of x (N, H*W*C) to rows, flat: (lines * positions, window * C)."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    at = 0
    for line in range(first, last):
        image, y0 = x[line // P], (line % P) * down - top
        for j in range(Q):
            x0 = j * across - left
            begin, end = max(-x0, 0), max(min(W - x0, kw), 0)
            for y in range(y0, y0 + kh):
                out = rows[at : at + kw * C]
                at += kw * C
                if y < 0 or y >= H or begin >= end:
                    out[:] = 0
                    continue
                for t in range(begin * C):
                    out[t] = 0
                source, target = image[(y * W + x0 + begin) * C : (y * W + x0 + end) * C], out[begin * C : end * C]
                for t in range(target.size):
                    target[t] = source[t]
                for t in range(end * C, kw * C):
                    out[t] = 0


@jit
def scatter(rows, C, numbers, first, last, x):
    """Adds the windows in rows to x, at the places where `gather` reads them."""
    H, W, kh, kw, down, across, top, left, P, Q = numbers
    at = 0
    for line in range(first, last):
        image, y0 = x[line // P], (line % P) * down - top
        for j in range(Q):
            x0 = j * across - left
            begin, end = max(-x0, 0), max(min(W - x0, kw), 0)
            for y in range(y0, y0 + kh):
                if 0 <= y < H and begin < end:
                    target = image[(y * W + x0 + begin) * C : (y * W + x0 + end) * C]
                    source = rows[at + begin * C : at + end * C]
                    for t in range(source.size):
                        target[t] += source[t]
                at += kw * C


@jit
def max_pool(x, C, numbers, pooled, winner):
    """Pools x (N, H*W*C) into pooled (N, P*Q*C); winner is the first largest of a window, row by row."""
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
def max_pool_gradient(grad, winner, C, numbers, dx):
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

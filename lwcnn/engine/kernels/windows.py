"""Windows of channels-last maps: as the rows of a matrix, and the reverse.

The rows turn a convolution into a matrix product, which BLAS computes near the processor's peak. A line is a row of
output positions of one image; callers process as many lines at a time as fit the cache.
"""

from typing import NamedTuple

from lwcnn.engine.kernels.arrays import jit


class Geometry(NamedTuple):
    """Windows on a map (h, w, c), by height and width; the first window begins `margins` before the map."""

    shape: tuple[int, int, int]
    window: tuple[int, int]
    strides: tuple[int, int]
    margins: tuple[int, int]
    positions: tuple[int, int]

    @classmethod
    def of(cls, shape, window, strides, padding: str) -> "Geometry":
        """Returns the geometry for padding "valid" or "same", as in TensorFlow."""
        margins, positions = [], []
        for length, width, stride in zip(shape, window, strides):
            if padding == "same":
                positions.append(-(-length // stride))
                margins.append(max((positions[-1] - 1) * stride + width - length, 0) // 2)
            else:
                positions.append((length - width) // stride + 1)
                margins.append(0)
        pairs = [(int(a), int(b)) for a, b in (window, strides, margins, positions)]
        return cls(tuple(shape), *pairs)

    @property
    def numbers(self) -> tuple[int, ...]:
        """All fields as one tuple, for the kernels."""
        return sum(self, ())


@jit
def gather(x, numbers, first, last, rows):
    """Copies the windows of lines [first, last) of x (N, H*W*C) to rows, flat: (lines * positions, window * C)."""
    H, W, C, kh, kw, down, across, top, left, P, Q = numbers
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
def scatter(rows, numbers, first, last, x):
    """Adds the windows in rows to x, at the places where `gather` reads them."""
    H, W, C, kh, kw, down, across, top, left, P, Q = numbers
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

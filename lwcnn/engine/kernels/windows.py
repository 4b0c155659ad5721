"""Windows of channels-last maps: as the rows of a matrix, and the reverse.

The rows turn a convolution into a matrix product, which BLAS computes near the processor's peak. Callers process as
many images at a time as fit the cache.
"""

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

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


def windows_of(x: np.ndarray, geometry: Geometry) -> np.ndarray:
    """Returns the windows of maps (n, h, w, c) as rows, (n * p * q, window * c)."""
    pads = [
        (margin, max((count - 1) * stride + width - margin - length, 0))
        for length, width, stride, margin, count in zip(*geometry)
    ]
    padded = np.pad(x, ((0, 0), *pads, (0, 0))) if any(map(any, pads)) else x
    (down, across), (p, q) = geometry.strides, geometry.positions
    views = sliding_window_view(padded, geometry.window, (1, 2))[:, ::down, ::across][:, :p, :q]
    return views.transpose(0, 1, 2, 4, 5, 3).reshape(len(x) * p * q, -1)


@jit
def scatter(rows, C, numbers, first, last, x):
    """Adds the windows in rows, flat, to x (N, H*W*C), at the places where `windows_of` reads them.

    Lines [first, last) are rows of output positions of one image.
    """
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

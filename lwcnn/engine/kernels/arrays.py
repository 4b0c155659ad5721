"""Layout of the kernels' arrays, and loops over images in parallel."""

import contextlib
import math
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from lwcnn.system.environment import num_threads

_here = threading.local()


@contextlib.contextmanager
def on_one_thread():
    """Keeps `parallel_for` to one part in this thread, for work that is a part of a batch already."""
    _here.alone = True
    try:
        yield
    finally:
        _here.alone = False


def parallel_for(function, count: int, most: int | None = None) -> list:
    """Calls function(first, last) on ranges of `count` images in at most `most` threads; returns the results."""
    threads = 1 if getattr(_here, "alone", False) else min(num_threads(), count, most or count)
    if threads <= 1:
        return [function(0, count)]
    bounds = np.linspace(0, count, threads + 1).astype(int).tolist()
    others = [_pool(threads - 1).submit(function, *share) for share in zip(bounds[1:-1], bounds[2:])]
    return [function(0, bounds[1]), *(other.result() for other in others)]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


def no_reduce(*values):
    """The sums over the parts of a batch of one part: the values."""
    return values


def rowwise(array):
    """The array (N, ...) as (N, everything else)."""
    return array.reshape(len(array), -1)


def frozen(array):
    """The array as read-only rows: one type for Numba, wherever it came from, or it would compile again."""
    rows = (rowwise(array) if array.ndim > 1 else array).view()
    rows.flags.writeable = False
    return rows


def aligned_empty(shape):
    """An uninitialized float32 array that begins at a cache line."""
    count = math.prod(shape)
    array = np.empty(count + 16, np.float32)
    skipped = -array.ctypes.data % 64 // 4
    return array[skipped : skipped + count].reshape(shape)


def aligned_copy(array):
    """A float32 copy that begins at a cache line."""
    copy = aligned_empty(array.shape)
    copy[...] = array
    return copy


def contiguous(arrays):
    """The arrays, copied where they are not contiguous."""
    return [np.ascontiguousarray(a) for a in arrays]

"""How the kernels take arrays, and how they are compiled."""

import math

import numpy as np
from numba import njit

jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
jit_fused = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract"})
"""Allows the compiler to fuse a product and a sum into one instruction, which rounds once."""


def no_reduce(*values):
    """The sums over the parts of a batch of one part: the values."""
    return values


def rows(array: np.ndarray) -> np.ndarray:
    """An array (N, ...) as read-only (N, everything else): one type for Numba, or it would compile for each."""
    array = np.ascontiguousarray(array)
    view = (array.reshape(len(array), -1) if array.ndim > 1 else array).view()
    view.flags.writeable = False
    return view


def aligned_empty(shape: tuple[int, ...]) -> np.ndarray:
    """An uninitialized float32 array that begins at a cache line."""
    count = math.prod(shape)
    array = np.empty(count + 16, np.float32)
    skipped = -array.ctypes.data % 64 // 4
    return array[skipped : skipped + count].reshape(shape)


def aligned_copy(array: np.ndarray) -> np.ndarray:
    """A float32 copy that begins at a cache line."""
    copy = aligned_empty(array.shape)
    copy[...] = array
    return copy

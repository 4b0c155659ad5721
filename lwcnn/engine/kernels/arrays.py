"""How arrays are passed to the kernels, and how the kernels are compiled."""

import math

import numpy as np
from numba import njit

jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
jit_fused = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy", fastmath={"contract"})
"""Allows the compiler to fuse a product and a sum into one instruction, which rounds once."""


def rows(array: np.ndarray) -> np.ndarray:
    """Reshapes an array (N, ...) to a read-only (N, rest), so that Numba compiles for one type only.

    Floats become float32, because a `Tile` reads float32 vectors from memory.
    """
    array = np.ascontiguousarray(array, np.float32 if array.dtype.kind == "f" else None)
    view = (array.reshape(len(array), -1) if array.ndim > 1 else array).view()
    view.flags.writeable = False
    return view


@jit
def aligned_zeros(count):
    """Returns `count` float32 zeros that start at a cache line: vectors across two lines take twice as long to load."""
    array = np.zeros(count + 16, np.float32)
    skipped = (-array.ctypes.data) % 64 // 4
    return array[skipped : skipped + count]


def aligned_empty(shape: tuple[int, ...]) -> np.ndarray:
    """Returns an uninitialized float32 array that starts at a cache line."""
    count = math.prod(shape)
    array = np.empty(count + 16, np.float32)
    skipped = -array.ctypes.data % 64 // 4
    return array[skipped : skipped + count].reshape(shape)

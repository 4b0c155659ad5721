"""Threads that share a batch, and all-reduce sums over its parts.

A waiting thread spins without holding the GIL, because sleeping and waking take as long as a layer; after a while it
yields to the system.
"""

import contextlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import Any

import numpy as np
from numba import njit, types
from numba.extending import intrinsic
from threadpoolctl import ThreadpoolController

SPIN_LIMIT = 20_000  # reads of the shared state, some tenths of a millisecond, before a thread yields
_submitting = Lock()
STRIDE = 16  # numbers, so that each thread's is in its own cache line


class BrokenGroup(Exception):
    """Another thread of the group failed."""


class ThreadGroup:
    """State shared by `size` threads during one pass. All threads call `sum` equally often."""

    def __init__(self, size: int):
        self.size, self.is_broken = size, False
        self._turns = np.zeros(size * STRIDE, np.int64)  # number of calls of `sum` that each thread has begun
        self._given: list[list] = [[None] * size, [None] * size]  # two rounds: no thread is more than one ahead

    def sum(self, rank: int, *values) -> tuple:
        """Returns the sums of all threads' numbers or arrays, bit-identical in every thread.

        Raises `BrokenGroup` if another thread fails.
        """
        turn = self._turns[rank * STRIDE] + 1
        given = self._given[turn % 2]
        given[rank] = values
        self._turns[rank * STRIDE] = turn
        while not _have_begun(self._turns, turn, SPIN_LIMIT):
            if self.is_broken:
                raise BrokenGroup
            os.sched_yield()
        return tuple(sum(parts[1:], parts[0]) for parts in zip(*given))


def run_in_group(group: ThreadGroup, function: Callable[[int], Any]) -> list:
    """Calls function(rank) in each thread of a group; returns the results by rank, or raises the first exception."""

    def work(rank: int):
        try:
            return function(rank)
        except BaseException:
            group.is_broken = True  # the other threads stop waiting
            raise

    with _submitting:  # a group as a whole: halves of two groups would wait for each other
        others = [_pool(group.size - 1).submit(work, rank) for rank in range(1, group.size)]
    try:
        first = work(0)
    except BrokenGroup:  # another thread has the reason
        for other in others:
            with contextlib.suppress(BrokenGroup):
                other.result()
        raise
    return [first, *(other.result() for other in others)]


class OneBlasThread:
    """Context in which NumPy's matrix products use one thread; the others would spin and slow down our kernels.

    The limit holds for the process. If several contexts overlap, the first sets it and the last restores it.
    """

    _lock = Lock()
    _limits: list = []  # the limiter, then None for each further context

    def __enter__(self) -> None:
        with self._lock:
            self._limits.append(None if self._limits else _thread_pools().limit(limits=1, user_api="blas"))

    def __exit__(self, *_) -> None:
        with self._lock:
            if len(self._limits) > 1:
                self._limits.pop()
            else:
                self._limits.pop().restore_original_limits()


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()


def share_out(count: int, size: int) -> list[slice]:
    """Splits `count` images into a slice for each of `size` threads; fewer slices if there are fewer images."""
    bounds = np.linspace(0, count, max(1, min(size, count)) + 1).astype(int).tolist()
    return [slice(first, last) for first, last in zip(bounds, bounds[1:])]


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads)


@intrinsic
def _look(typingctx, array, at):
    """Reads array[at] atomically."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, value=args[0]).data
        return builder.load_atomic(builder.gep(data, [args[1]]), "seq_cst", 8)

    return types.int64(array, types.intp), codegen


@njit(cache=True, nogil=True)
def _have_begun(turns, wanted, looks):
    """Returns whether all threads have begun a turn; gives up after `looks` reads."""
    at = 0
    for _ in range(looks):
        while _look(turns, at) >= wanted:
            at += STRIDE
            if at == turns.size:
                return True
    return False

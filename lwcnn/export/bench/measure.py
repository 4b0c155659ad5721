"""Times of calls: latency of one image and throughput of batches."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

PERCENTILES = (50, 90, 99)


def time_calls(call: Callable[[], object], num_calls: int, max_seconds: float, num_warm_up: int) -> np.ndarray:
    """Milliseconds of each of some calls, one after another, after a warm-up.

    Args:
        call: what is timed.
        num_calls: calls to time, 1 or more.
        max_seconds: no further call is begun after this time, but ten are always made where num_calls allows.
        num_warm_up: calls before them, not timed; they stop after max_seconds too.

    Returns:
        float64, shape (calls made,).
    """
    with _no_garbage_collection():
        for _ in _until(max_seconds, num_warm_up, at_least=1):
            call()
        times = []
        for _ in _until(max_seconds, num_calls, at_least=min(10, num_calls)):
            start = time.perf_counter_ns()
            call()
            times.append(time.perf_counter_ns() - start)
    return np.array(times) / 1e6


def images_per_second(call: Callable[[], object], batch_size: int, seconds: float) -> float:
    """Throughput of a call that takes batch_size images, over about some seconds after one warm-up call."""
    with _no_garbage_collection():
        call()
        start = time.perf_counter_ns()
        num_calls = 0
        while num_calls < 2 or time.perf_counter_ns() - start < seconds * 1e9:
            call()
            num_calls += 1
        return num_calls * batch_size / ((time.perf_counter_ns() - start) / 1e9)


def summarize_rounds(rounds: Sequence[np.ndarray]) -> dict[str, float]:
    """Mean and percentiles of each round's milliseconds, and of each of these the median over the rounds.

    Returns:
        mean_ms, p50_ms, p90_ms, p99_ms; and num_calls, over all rounds.
    """
    of_round = [[times.mean(), *np.percentile(times, PERCENTILES)] for times in rounds]
    names = ["mean_ms", *(f"p{p}_ms" for p in PERCENTILES)]
    medians = np.median(of_round, axis=0)
    return dict(zip(names, medians.tolist())) | {"num_calls": sum(map(len, rounds))}


def _until(seconds: float, num_calls: int, at_least: int) -> Iterator[int]:
    end = time.perf_counter() + seconds
    for i in range(num_calls):
        if i >= at_least and time.perf_counter() > end:
            return
        yield i


@contextmanager
def _no_garbage_collection():
    """As timeit does: a collection in the middle of a call is no part of it."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

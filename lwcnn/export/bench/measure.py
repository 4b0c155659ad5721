"""Measures latency and throughput of function calls."""

import gc
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

PERCENTILES = (50, 90, 99)


def time_calls(call: Callable[[], object], num_calls: int, max_seconds: float, num_warm_up: int) -> np.ndarray:
    """Times consecutive calls after a warm-up; returns the duration of each in milliseconds.

    Warm-up and timing each stop after `max_seconds`, but not before min(10, num_calls) calls are timed.
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
    """Measures the throughput of a function that processes a batch, for at least `seconds` after a warm-up call."""
    with _no_garbage_collection():
        call()
        start = time.perf_counter_ns()
        num_calls = 0
        while num_calls < 2 or time.perf_counter_ns() - start < seconds * 1e9:
            call()
            num_calls += 1
        return num_calls * batch_size / ((time.perf_counter_ns() - start) / 1e9)


def summarize_rounds(rounds: Sequence[np.ndarray]) -> dict[str, float]:
    """Returns `num_calls`, and mean and percentiles of the durations (ms) in a round as medians over the rounds."""
    by_round = [[times.mean(), *np.percentile(times, PERCENTILES)] for times in rounds]
    names = ["mean_ms", *(f"p{p}_ms" for p in PERCENTILES)]
    medians = np.median(by_round, axis=0)
    return dict(zip(names, medians.tolist())) | {"num_calls": sum(map(len, rounds))}


def _until(seconds: float, num_calls: int, at_least: int) -> Iterator[int]:
    end = time.perf_counter() + seconds
    for i in range(num_calls):
        if i >= at_least and time.perf_counter() > end:
            return
        yield i


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Disables garbage collection during timing, as timeit does."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()

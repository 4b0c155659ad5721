"""Measures latency and throughput of function calls."""

import time
import timeit
from collections.abc import Callable, Iterator, Sequence

import numpy as np

PERCENTILES = (50, 90, 99)


def time_calls(call: Callable[[], object], num_calls: int, max_seconds: float, num_warm_up: int) -> np.ndarray:
    """Times consecutive calls after a warm-up; returns the duration of each in milliseconds.

    Warm-up and timing each stop after `max_seconds`, but not before min(10, num_calls) calls are timed.
    """
    timer = timeit.Timer(call)  # without garbage collection
    for _ in _until(max_seconds, num_warm_up, at_least=1):
        call()
    return 1e3 * np.array([timer.timeit(1) for _ in _until(max_seconds, num_calls, at_least=min(10, num_calls))])


def images_per_second(call: Callable[[], object], batch_size: int, seconds: float) -> float:
    """Measures the throughput of a function that processes a batch, for at least `seconds` after a warm-up call."""
    timer, total, num_calls = timeit.Timer(call), 0.0, 0
    call()
    while num_calls < 2 or total < seconds:
        total += timer.timeit(1)
        num_calls += 1
    return num_calls * batch_size / total


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

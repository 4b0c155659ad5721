"""Measures latency and throughput, and peak memory in a process that imports only NumPy and one runtime."""

import json
import os
import subprocess
import sys
import time
import timeit
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.export.formats import FORMATS, Runtime
from lwcnn.system.environment import thread_environment
from lwcnn.system.errors import wrong

PERCENTILES = (50, 90, 99)
HOW_MEMORY = "VmHWM of a fresh process that imports the runtime, loads the file and runs one image 100 times"
KERAS = "keras function"
_NUM_MEMORY_CALLS = 100


def time_calls(call: Callable[[], object], num_calls: int, max_seconds: float, num_warm_up: int) -> np.ndarray:
    """Times calls (ms) after a warm-up; each stops after `max_seconds`, but not before 10 calls are timed."""
    timer = timeit.Timer(call)  # without garbage collection
    for _ in _until(max_seconds, num_warm_up, at_least=1):
        call()
    return 1e3 * np.array([timer.timeit(1) for _ in _until(max_seconds, num_calls, at_least=min(10, num_calls))])


def images_per_second(run: Callable[[np.ndarray], object], batch: np.ndarray, seconds: float) -> float:
    """Measures the throughput of a function for a batch, for at least `seconds` after a warm-up call."""
    timer, total, num_calls = timeit.Timer(partial(run, batch)), 0.0, 0
    run(batch)
    while total < seconds:
        total += timer.timeit(1)
        num_calls += 1
    return num_calls * len(batch) / total


def summarize_rounds(rounds: Sequence[np.ndarray]) -> dict[str, float]:
    """Returns `num_calls`, and mean and percentiles of the durations (ms) in a round as medians over the rounds."""
    by_round = [[times.mean(), *np.percentile(times, PERCENTILES)] for times in rounds]
    names = ["mean_ms", *(f"p{p}_ms" for p in PERCENTILES)]
    medians = np.median(by_round, axis=0).round(6)  # nanoseconds
    return dict(zip(names, medians.tolist())) | {"num_calls": sum(map(len, rounds))}


def _until(seconds: float, num_calls: int, at_least: int) -> Iterator[int]:
    end = time.perf_counter() + seconds
    for i in range(num_calls):
        if i >= at_least and time.perf_counter() > end:
            return
        yield i


def measure_memory(runtime: str, file: Path, image_shape: tuple[int, ...]) -> dict[str, int]:
    """Measures `peak_memory_bytes` of a new process, and `python_memory_bytes` before it imports the runtime."""
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-m", __name__, runtime, str(file.resolve()), *map(str, image_shape)],
        env=os.environ | thread_environment(1) | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        error = done.stderr.strip().rpartition("\n")[2]
        raise wrong("Check the runtime: measuring its memory failed", f"{runtime}, {error}")
    return json.loads(done.stdout.splitlines()[-1])


def peak_bytes() -> int:
    """Returns the peak resident memory of this process in bytes."""
    with open("/proc/self/status") as lines:  # not ru_maxrss, whose initial value is the parent's
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def open_keras(file: Path) -> Runtime:
    """Opens a model as a compiled function."""
    import tensorflow as tf

    from lwcnn.models.io import load_model

    model = load_model(file)
    signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)]
    function = tf.function(lambda images: model(images, training=False), input_signature=signature)
    return Runtime(lambda prepared: function(prepared).numpy())


def _print_memory(runtime: str, file: Path, image_shape: tuple[int, ...]) -> None:
    before = peak_bytes()
    model = open_keras(file) if runtime == KERAS else FORMATS[runtime].open(file.read_bytes())
    image = model.prepare(np.zeros((1, *image_shape), np.uint8))
    for _ in range(_NUM_MEMORY_CALLS):
        model.run(image)
    print(json.dumps({"peak_memory_bytes": peak_bytes(), "python_memory_bytes": before}))


if __name__ == "__main__":
    _print_memory(sys.argv[1], Path(sys.argv[2]), tuple(map(int, sys.argv[3:])))

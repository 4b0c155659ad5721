"""Runs a benchmark in a new process, limited to one thread before any library is imported."""

import multiprocessing
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from lwcnn.system.environment import load_backend, thread_environment
from lwcnn.system.errors import LwcnnError


def bench_in_one_thread(
    paths: Sequence[str], formats: Sequence[str], dataset: str | None, data_dir: str | None, settings: dict
) -> dict:
    """Runs `bench_models` in a new process with one thread; `settings` are the fields of its `Settings`."""
    before = dict(os.environ)
    os.environ.update(thread_environment(1))
    try:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            return pool.submit(_bench, list(map(str, paths)), list(formats), dataset, data_dir, settings).result()
    except BrokenProcessPool as error:
        raise LwcnnError(f"See the error of the benchmark process above. Received: {error}") from error
    finally:
        os.environ.clear()
        os.environ.update(before)


def _bench(paths: list[str], formats: list[str], dataset: str | None, data_dir: str | None, settings: dict) -> dict:
    load_backend()
    from lwcnn.data.datasets import load_dataset
    from lwcnn.experiments.zoo import load_dataset_for
    from lwcnn.export.bench.run import Settings, bench_models

    data = None
    if dataset and Path(paths[0]).is_file():
        data = load_dataset_for(paths[0], dataset, data_dir)
    elif dataset:
        data = load_dataset(dataset, data_dir)
    return bench_models(paths, formats, data, Settings(**settings), lambda line: print(line, flush=True))

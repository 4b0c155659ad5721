"""Training steps of a compiled model with minimal overhead."""

import contextlib
import math
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import keras

from lwcnn import engine
from lwcnn.engine.losses import Means
from lwcnn.system import environment
from lwcnn.system.errors import wrong
from lwcnn.training.average import MovingAverage
from lwcnn.training.progress import Progress


def train_epoch(
    model: keras.Model, batches, progress: Progress, average: MovingAverage | None = None
) -> dict[str, float]:
    """Trains on every batch (x, y), or until the loss is not finite; returns the means of loss and metrics."""
    logs = {}
    with open_epoch(model, average, len(batches)) as epoch:
        for i, batch in enumerate(prefetch(batches)):
            logs = epoch.step(*batch)
            if not math.isfinite(logs["loss"]):
                break
            progress.step(i + 1, logs["loss"])
    return logs


def open_epoch(model: keras.Model, average: MovingAverage | None = None, num_steps: int = 1):
    """Returns a context manager for `num_steps` training steps, the engine's if it supports the model."""
    if step_of(model) == "engine":
        return engine.Epoch(model, average)
    if keras.backend.backend() == "jax" and environment.num_replicas() == 1:
        from lwcnn.training.jax_epoch import JaxEpoch

        return JaxEpoch(model, average, num_steps)
    return contextlib.nullcontext(KerasEpoch(model, average))


def step_name() -> str:
    """Returns the value of `LWCNN_STEP`, by default "keras" on an accelerator and "engine" on a CPU."""
    wanted = os.environ.get("LWCNN_STEP", "")
    if wanted not in ("", "engine", "keras"):
        raise wrong("LWCNN_STEP must be engine or keras", repr(wanted))
    return wanted or ("keras" if environment.accelerator() else "engine")


def step_of(model: keras.Model) -> str:
    """Returns "engine" if the engine can train the compiled model, else "keras"."""
    return "keras" if step_name() == "keras" or engine.unsupported(model) else "engine"


def prefetch(batches) -> Iterator:
    """Yields all batches in order; with several threads, prepares the next one while the current one is used."""
    if environment.num_threads() == 1:
        yield from (batches[i] for i in range(len(batches)))
        return
    with ThreadPoolExecutor(1) as maker:
        coming = maker.submit(batches.__getitem__, 0)
        for i in range(len(batches)):
            batch = coming.result()
            if i + 1 < len(batches):
                coming = maker.submit(batches.__getitem__, i + 1)
            yield batch


class KerasEpoch:
    """Keras's `train_on_batch` with running means of loss and metrics; each step updates a `MovingAverage`.

    With several devices, each trains on an equal part of the batch; a remainder of fewer images than devices is
    dropped.
    """

    def __init__(self, model: keras.Model, average: MovingAverage | None = None):
        environment.keep_freed_memory()
        self._model, self._average, self._means = model, average, Means()

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch and returns the mean loss and metrics so far, by name."""
        size, num_devices = len(keras.tree.flatten(y)[0]), environment.num_replicas()
        if num_devices > 1:  # Keras gathers the parts of several processes
            size = size // num_devices * num_devices // environment.num_processes()
            if not size and not self._means.num_images:
                advice = "Choose at most as many devices as a batch has images, or larger batches"
                raise wrong(advice, f"{num_devices} devices, {len(keras.tree.flatten(y)[0])} images")
            start = environment.process_id() * size
            x, y = keras.tree.map_structure(lambda array: array[start : start + size], (x, y))
        sums = {}
        if size:
            logs = self._model.train_on_batch(x, y, return_dict=True)
            sums = {name: size * float(value) for name, value in logs.items()}
            if self._average:
                self._average.update()
        return self._means.add([sums], size)

"""Training steps of a compiled model, with as little around them as each backend allows."""

import importlib.util
import math
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.training.average import MovingAverage
from lwcnn.training.progress import Progress


def train_epoch(
    model: keras.Model, batches, progress: Progress, average: MovingAverage | None = None
) -> dict[str, float]:
    """Trains on every batch once and gives the epoch's mean loss and metrics, over its images.

    A loss that is NaN or infinite ends the epoch at once.

    Args:
        model: a compiled model.
        batches: with a length, giving (x, y) by number.
        progress: moved on with each step.
        average: updated after each step.
    """
    if environment.num_replicas() > 1:
        batches = EvenBatches(batches, environment.num_replicas())
    logs = {}
    with begin_epoch(model) as epoch:
        for i, batch in enumerate(in_advance(batches)):
            logs = epoch.step(*batch)
            if not math.isfinite(logs["loss"]):
                break
            if average:
                average.update(epoch.value_of)
            progress.step(i + 1, logs["loss"])
    return logs


def begin_epoch(model: keras.Model):
    """What makes a compiled model's steps, for a `with`: the engine (`lwcnn.engine`) where it can, else Keras."""
    engine = _engine()
    return Epoch(model) if engine is None or engine.unsupported(model) else engine.Epoch(model)


def step_name() -> str:
    """Returns "engine", or "keras" where Numba is not installed or `LWCNN_STEP` is "keras".

    Raises:
        LwcnnError: The variable is something else.
    """
    wanted = os.environ.get("LWCNN_STEP", "")
    if wanted not in ("", "engine", "keras"):
        raise LwcnnError(f"LWCNN_STEP must be engine or keras. Received: {wanted!r}")
    return "keras" if wanted == "keras" or importlib.util.find_spec("numba") is None else "engine"


def _engine():
    """The engine's module; None where Keras's step is chosen."""
    if step_name() == "keras":
        return None
    from lwcnn import engine

    return engine


def compile_seconds() -> float:
    """Seconds that this process has spent on compiling the engine so far."""
    if "lwcnn.engine.compilation" not in sys.modules:
        return 0.0
    return sys.modules["lwcnn.engine.compilation"].compile_seconds()


def predictor(model: keras.Model) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Returns a function from input arrays to the output arrays of a model with its present weights.

    By the engine where it can, else by Keras. Of a `Distiller` it is the student's.
    """
    model = model.student if isinstance(model, keras.distillation.Distiller) else model
    engine = _engine()
    if engine is None or engine.unsupported_for_inference(model):
        return lambda inputs: keras.tree.flatten(
            predict_batch(model, inputs[0] if len(inputs) == 1 else inputs, len(inputs[0]))
        )
    return engine.Predictor(model)


def in_advance(batches) -> Iterator:
    """Every batch in order, where there are several threads each made while the one before is trained on."""
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


def predict_batch(model: keras.Model, x, count: int):
    """The outputs for a batch of `count` images, as NumPy arrays, on however many devices.

    Several devices take the batch in equal parts on JAX, so it is filled up; on TensorFlow each takes the whole, and
    gives it. Either way the first `count` rows are the batch's.
    """
    missing = -count % environment.num_replicas()
    if missing:
        x = keras.tree.map_structure(lambda part: np.concatenate([part, part[-1:].repeat(missing, axis=0)]), x)
    return keras.tree.map_structure(lambda part: part[:count], model.predict_on_batch(x))


def synchronize_norms(model: keras.Model) -> None:
    """Lets batch normalization take its moments over all devices' images: TensorFlow takes each device's, unless told.

    On JAX they are those of the whole batch as it is.
    """
    if keras.backend.backend() != "tensorflow" or environment.num_replicas() == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


class EvenBatches:
    """Batches that can be parted equally: each without the few images, fewer than `parts`, that are left over.

    Args:
        batches: with a length, giving (x, y) by number; the last may be smaller than the others.
        parts: into how many.
    """

    def __init__(self, batches, parts: int):
        self._batches, self._parts = batches, parts
        last = len(batches) - 1
        self._length = last + (_size(batches[last]) >= parts)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int):
        batch = self._batches[index]
        kept = _size(batch) // self._parts * self._parts
        return keras.tree.map_structure(lambda part: part[:kept], batch)


def _size(batch) -> int:
    return len(keras.tree.flatten(batch)[0])


class Epoch:
    """One epoch's training steps and the means of loss and metrics over its images so far.

    Not `fit`: its hand-over of PyDataset batches between threads costs as much as the smallest nets' steps.
    And `train_on_batch` sets every metric to zero before each step, which costs TensorFlow a third of the
    time of such a step; there it is called once an epoch, and after that the compiled function that it calls.

    Args:
        model: a compiled model.
    """

    def __init__(self, model: keras.Model):
        environment.keep_freed_memory()
        self._model = model
        self._sums: dict[str, float] = {}
        self._num_images = 0

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch and gives the means so far, each under its name."""
        if keras.backend.backend() == "tensorflow":
            return self._step_tensorflow(x, y)
        logs = self._model.train_on_batch(x, y, return_dict=True)
        size = len(y[0] if isinstance(y, tuple) else y)
        self._num_images += size
        for name, value in logs.items():
            self._sums[name] = self._sums.get(name, 0.0) + size * float(value)
        return {name: total / self._num_images for name, total in self._sums.items()}

    def _step_tensorflow(self, x, y) -> dict[str, float]:
        several = environment.num_replicas() > 1
        if self._num_images == 0:
            self._num_images = 1
            if not several:
                return _floats(self._model.train_on_batch(x, y, return_dict=True))
            self._model.test_on_batch(x, y)  # makes the metrics, which can't be done on each device
            self._model.make_train_function()
            self._model.reset_metrics()
        data = _part_by_device(x, y) if several else (x, y)
        return _floats(self._model.train_function(iter((data,))))  # metrics go on from the step before

    def value_of(self, variable: keras.Variable) -> np.ndarray:
        """What a variable of the model is now."""
        return keras.ops.convert_to_numpy(variable)

    def __enter__(self) -> "Epoch":
        return self

    def __exit__(self, *_) -> None:
        """Nothing is left to do: Keras has trained the model itself."""


def _floats(logs: dict) -> dict[str, float]:
    return {name: float(value) for name, value in logs.items()}


def _part_by_device(x, y):
    """TensorFlow's form of a batch of which each device has its own part, in equal parts."""
    import tensorflow as tf

    size = _size((x, y)) // environment.num_replicas()

    def part(context):
        start = context.replica_id_in_sync_group * size
        return keras.tree.map_structure(lambda array: tf.constant(array[start : start + size]), (x, y))

    return tf.distribute.get_strategy().experimental_distribute_values_from_function(part)

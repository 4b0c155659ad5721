"""Outputs of a model during training, computed by the engine or Keras."""

import contextlib
from collections.abc import Callable, Iterator

import keras
import numpy as np

from lwcnn import engine
from lwcnn.system import environment
from lwcnn.training.steps import step_name


def make_predictor(model: keras.Model) -> Callable[[list[np.ndarray]], list[np.ndarray]]:
    """Returns a function that maps input arrays to a model's output arrays, with its current weights."""
    if step_name() == "engine":
        with contextlib.suppress(engine.Unsupported):
            return engine.Predictor(model)

    def predict(inputs: list[np.ndarray]) -> list[np.ndarray]:
        with _same_data_on_every_device():
            return keras.tree.flatten(model.predict_on_batch(inputs[0] if len(inputs) == 1 else inputs))

    return predict


@contextlib.contextmanager
def _same_data_on_every_device() -> Iterator[None]:
    """Context in which JAX does not split batches, so that every process has the whole result."""
    if environment.num_replicas() == 1:
        yield
        return
    distribution = keras.distribution.distribution()
    devices = distribution.device_mesh.devices.flatten()
    mesh = keras.distribution.DeviceMesh((1, len(devices)), ["batch", "model"], devices)
    layout = keras.distribution.LayoutMap(mesh)
    keras.distribution.set_distribution(keras.distribution.ModelParallel(layout_map=layout, batch_dim_name="batch"))
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)

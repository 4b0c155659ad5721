"""A model in each runtime, as a function from prepared images to logits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.extras import require_tensorflow
from lwcnn.export.formats import BENCH_FORMATS
from lwcnn.export.run import FORMATS, convert
from lwcnn.system.errors import unknown_name


@dataclass(frozen=True)
class Contender:
    """One way to run a model.

    Args:
        name: of the row in the table.
        format: one of `BENCH_FORMATS`.
        prepare: from uint8 images (n, height, width, channels) to what `run` takes; not timed.
        run: from prepared images to logits as a NumPy array.
        file: the model's file in this format.
    """

    name: str
    format: str
    prepare: Callable[[np.ndarray], np.ndarray]
    run: Callable[[np.ndarray], np.ndarray]
    file: Path


def build_contenders(
    model: keras.Model, path: Path, format_name: str, folder: Path, calibration_images: np.ndarray
) -> list[Contender]:
    """The ways to run a model in a format, each with one thread.

    Keras has two: its graph called as a compiled function, and `predict`, which is what many published times
    were taken with, and which spends most of its own on setting up a loop over batches.

    Args:
        model: the model.
        path: its .keras file.
        format_name: one of `BENCH_FORMATS`.
        folder: where the converted file is put.
        calibration_images: for int8, as `to_litert_int8` takes them.

    Raises:
        LwcnnError: an unknown format, or a model that can't be converted.
    """
    if format_name not in BENCH_FORMATS:
        raise unknown_name("format", format_name, BENCH_FORMATS)
    if format_name == "keras":
        tf = require_tensorflow()
        signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)]
        compiled = tf.function(lambda images: model(images, training=False), input_signature=signature)

        def predict(images: np.ndarray) -> np.ndarray:
            return model.predict(images, batch_size=len(images), verbose=0)

        return [
            Contender("keras function", "keras", _as_float, lambda images: compiled(images).numpy(), path),
            Contender("keras predict", "keras", _as_float, predict, path),
        ]
    content = convert(model, format_name, calibration_images)
    file = folder / f"{path.stem}-{format_name}{FORMATS[format_name].ending}"
    file.write_bytes(content)
    opened = FORMATS[format_name].open(content)
    return [Contender(format_name, format_name, opened.prepare, opened.run, file)]


def _as_float(images: np.ndarray) -> np.ndarray:
    return images.astype(np.float32)

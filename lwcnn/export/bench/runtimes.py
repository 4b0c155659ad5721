"""Wraps a model in each runtime as a function from prepared images to logits."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.extras import require_tensorflow
from lwcnn.export.run import FORMATS, convert


@dataclass(frozen=True)
class Runtime:
    """A model in one runtime, as a row of the table.

    Attributes:
        prepare: Function from uint8 images of shape (n, height, width, channels) to the input of `run`; not timed.
        run: Function from prepared images to logits as a NumPy array.
        file: Path of the model in this format.
    """

    name: str
    format: str
    prepare: Callable[[np.ndarray], np.ndarray]
    run: Callable[[np.ndarray], np.ndarray]
    file: Path


def build_runtimes(
    model: keras.Model, path: Path, format_name: str, folder: Path, calibration_images: np.ndarray
) -> list[Runtime]:
    """Builds the runtimes of a format, each with one thread; a converted file is written into the folder.

    The format "keras" has two: the model as a compiled function, and `predict`, which many published latencies used
    and which spends most of its time on setting up a loop over batches.
    """
    if format_name == "keras":
        tf = require_tensorflow()
        signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)]
        compiled = tf.function(lambda images: model(images, training=False), input_signature=signature)

        def to_float32(images: np.ndarray) -> np.ndarray:
            return images.astype(np.float32)

        def predict(images: np.ndarray) -> np.ndarray:
            return model.predict(images, batch_size=len(images), verbose=0)

        return [
            Runtime("keras function", "keras", to_float32, lambda images: compiled(images).numpy(), path),
            Runtime("keras predict", "keras", to_float32, predict, path),
        ]
    content = convert(model, format_name, calibration_images)
    file = folder / f"{path.stem}-{format_name}{FORMATS[format_name].extension}"
    file.write_bytes(content)
    opened = FORMATS[format_name].open(content)
    return [Runtime(format_name, format_name, opened.prepare, opened.run, file)]

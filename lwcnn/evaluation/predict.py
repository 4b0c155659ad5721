"""Predicts logits, and writes predicted classes as CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import StrPath, open_atomically
from lwcnn.system.safe_text import csv_cell

if TYPE_CHECKING:
    import keras

    from lwcnn.data import Dataset
    from lwcnn.data.streams import Batch

COLUMNS = ("id", "label")


def predict_logits(model: keras.Model, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Returns a model's logits for images, in inference mode.

    Args:
        model: Keras model with one input and one output of shape (n, classes).
        images: Array of shape (n, height, width, channels), uint8, of the model's input shape.
        batch_size: Maximum number of images per batch; large images use smaller batches. Affects memory and speed,
            and the result only by rounding.

    Returns:
        Array of shape (n, classes), float32.

    Raises:
        LwcnnError: If the model has several inputs or outputs, the images do not fit it, or the outputs are not finite
            or are probabilities.

    Example:

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    >>> predict_logits(model, np.zeros((2, 4, 4, 1), "uint8")).shape
    (2, 3)
    """
    require_classifier_of(images, model)
    if len(images) == 0:
        raise LwcnnError(f"Give at least one image. Received: {images.shape}")
    batch_size = images_at_once(images.shape[1:], batch_size)
    logits = np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)
    if not np.isfinite(logits).all():
        raise LwcnnError(
            f"Give a model with finite outputs; the training of this one diverged. Received: {model.name!r}"
        )
    if logits.shape[1] > 1 and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        raise LwcnnError(f"Give a model with logits as output, without softmax. Received: {model.name!r}")
    return logits


def require_classifier_of(images: np.ndarray, model: keras.Model) -> None:
    """Checks that a model takes images of this shape and returns logits.

    Args:
        images: Array of shape (n, height, width, channels).
        model: Keras model.

    Raises:
        LwcnnError: If the model has several inputs or outputs, expects another image shape, or its output is not of
            shape (n, classes).
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise LwcnnError(
            "Give a model with one input and one output; of a dual model, give a submodel or the merged model. "
            f"Received: {model.name!r} with {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    expected = tuple(model.inputs[0].shape[1:])
    shape, output_shape = images.shape[1:], model.outputs[0].shape
    fits = len(expected) == len(shape) and all(e in (None, s) for e, s in zip(expected, shape, strict=True))
    if not fits:
        wanted = ", ".join(map(str, expected))
        raise LwcnnError(f"Give images of shape (n, {wanted}). Received: {images.shape}")
    if len(output_shape) != 2:
        raise LwcnnError(f"Give a model with logits of shape (n, classes). Received: {output_shape}")


def require_fit(model: keras.Model, path: StrPath, data: Dataset) -> None:
    """Checks that a model takes a data set's images and has its number of classes.

    Args:
        model: Keras model with one input and one output.
        path: Path of the model's file, for the error message.
        data: Data set.

    Raises:
        LwcnnError: If the image shape or the number of classes differs.
    """
    if tuple(model.input_shape[1:]) != data.input_shape or model.output_shape[-1] != data.num_classes:
        raise LwcnnError(
            f"Choose the data set of {path} with --dataset: the model takes images of shape {model.input_shape[1:]} "
            f"and has {model.output_shape[-1]} classes. Received: {data.name}, {data.input_shape}, "
            f"{data.num_classes} classes"
        )


def predict_to_csv(model: keras.Model, batches: Iterable[Batch], class_names: Sequence[str], output: Path) -> int:
    """Writes one CSV row `id,label` per image, batch by batch.

    The file is replaced atomically: if an error occurs, an existing file stays unchanged.

    Args:
        model: Keras model, as in `predict_logits`.
        batches: Pairs (names, images), as yielded by the functions of `lwcnn.data.streams`.
        class_names: Class names by label, one per model output.
        output: Path of the CSV file.

    Returns:
        The number of images.

    Raises:
        LwcnnError: If there are no images, the number of class names is wrong, images do not fit the model, or the
            file cannot be written.
    """
    if model.output_shape[-1] != len(class_names):
        raise LwcnnError(
            f"Name each of the model's {model.output_shape[-1]} classes with --classes, or give their data set with "
            f"--dataset. Received: {len(class_names)} names"
        )
    count = 0
    with open_atomically(output, text=True) as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for names, images in batches:
            classes = predict_logits(model, images).argmax(axis=1)
            writer.writerows((csv_cell(name), csv_cell(class_names[label])) for name, label in zip(names, classes))
            count += len(names)
        if count == 0:
            raise LwcnnError(
                f"Give at least one readable image; nothing was written to {output}. Received: no readable image"
            )
    return count

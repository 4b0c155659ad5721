"""Logits of a model for images as they are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from lwcnn.data import Dataset
from lwcnn.data.checks import images_at_once
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import StrPath

if TYPE_CHECKING:
    import keras


def predict_logits(model: keras.Model, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Returns the model's logits of the images, without augmentation or dropout.

    Args:
        model: a Keras model of one input and one output, (n, classes).
        images: uint8, shape (n, height, width, channels), as the model was built for.
        batch_size: images at a time at most, fewer of large ones; it changes memory and speed, not the result beyond
            rounding.

    Returns:
        float32, shape (n, classes).

    Raises:
        LwcnnError: a model of several inputs or outputs, images that do not fit it, or outputs that are not finite or
            are probabilities.
    """
    require_classifier_of(images, model)
    if len(images) == 0:
        raise LwcnnError(f"Give one image or more. Received: {images.shape}")
    batch_size = images_at_once(images.shape[1:], batch_size)
    logits = np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)
    if not np.isfinite(logits).all():
        raise LwcnnError(f"The model's outputs are not finite: its training diverged. Received: {model.name!r}")
    if logits.shape[1] > 1 and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3):
        raise LwcnnError(f"Give a model of logits, without softmax. Received: {model.name!r}, giving probabilities")
    return logits


def require_classifier_of(images: np.ndarray, model: keras.Model) -> None:
    """Checks that a model takes images of this shape and gives logits.

    Raises:
        LwcnnError: It has several inputs or outputs, takes images of another shape, or gives no logits.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise LwcnnError(
            "Give a model of one input and one output: of a dual model, a submodel or the merged model. "
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

    Raises:
        LwcnnError: It does not.
    """
    if tuple(model.input_shape[1:]) != data.input_shape or model.output_shape[-1] != data.num_classes:
        raise LwcnnError(
            f"{path} takes images of {model.input_shape[1:]} and has {model.output_shape[-1]} classes; "
            f"choose its data set with --dataset. Received: {data.name}, {data.input_shape}, "
            f"{data.num_classes} classes"
        )

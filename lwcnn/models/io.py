"""Models read back from .keras files, with errors in words."""

import hashlib
from pathlib import Path

import keras

import lwcnn.models.convolution_blocks  # noqa: F401 - registers the layers of this package
from lwcnn.data import Dataset
from lwcnn.system.errors import LwcnnError


def load_model(path: str | Path) -> keras.Model:
    """The model in a .keras file, not compiled.

    Args:
        path: the file.

    Raises:
        LwcnnError: no such file, or one that is no Keras model.
    """
    if not Path(path).exists():
        raise LwcnnError(f"There is no such model: check the path. Received: {path}")
    try:
        return keras.saving.load_model(path, compile=False)
    except (ValueError, OSError, TypeError, KeyError) as error:
        raise LwcnnError(f"This can't be read as a Keras model (.keras): {error}. Received: {path}") from error


def require_fit(model: keras.Model, path: str | Path, data: Dataset) -> None:
    """Checks that a model takes a data set's images and tells its classes apart.

    Raises:
        LwcnnError: if it does not.
    """
    if tuple(model.input_shape[1:]) != data.input_shape or model.output_shape[-1] != data.num_classes:
        raise LwcnnError(
            f"{path} takes images of {model.input_shape[1:]} and has {model.output_shape[-1]} classes; "
            f"choose its data set with --dataset. Received: {data.name}, {data.input_shape}, "
            f"{data.num_classes} classes"
        )


def file_checksum(path: str | Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()

"""Sizes of exported models, uncompressed and compressed."""

import gzip

import keras
import numpy as np

from lwcnn.export.litert import to_litert_int8


def contents(files: bytes | dict[str, bytes]) -> bytes:
    """Returns the content of a file, or the concatenated contents of a folder sorted by name."""
    return files if isinstance(files, bytes) else b"".join(files[name] for name in sorted(files))


def size_bytes(files: bytes | dict[str, bytes]) -> int:
    """Returns the total size in bytes of a file or folder."""
    return len(contents(files))


def gzip_bytes(files: bytes | dict[str, bytes]) -> int:
    """Returns the size in bytes after gzip compression at level 9."""
    return len(gzip.compress(contents(files), compresslevel=9, mtime=0))


def int8_gzip_bytes(model: keras.Model, images: np.ndarray) -> int:
    """Returns the size in bytes of a model's int8 file after gzip compression.

    Pruned models are measured this way, because an uncompressed file stores zeros at full size.

    Args:
        model: Keras model, as in `to_litert_int8`.
        images: Calibration images, as in `to_litert_int8`.
    """
    return gzip_bytes(to_litert_int8(model, images))

"""How many bytes a model takes, as it is and compressed."""

import gzip

import keras
import numpy as np

from lwcnn.export.litert import to_litert_int8


def contents(files: bytes | dict[str, bytes]) -> bytes:
    """All bytes of a file, or of a folder's files one after another by name."""
    return files if isinstance(files, bytes) else b"".join(files[name] for name in sorted(files))


def size_bytes(files: bytes | dict[str, bytes]) -> int:
    """The size of a file, or of all of a folder's files, in bytes."""
    return len(contents(files))


def gzip_bytes(files: bytes | dict[str, bytes]) -> int:
    """The size in bytes after gzip at its strongest level (9)."""
    return len(gzip.compress(contents(files), compresslevel=9, mtime=0))


def int8_gzip_bytes(model: keras.Model, images: np.ndarray) -> int:
    """The size in bytes, after gzip, of the model's int8 file.

    It is the measure for pruned models: a plain file stores zeros at full length, gzip does not.

    Args:
        model, images: as in `to_litert_int8`.
    """
    return gzip_bytes(to_litert_int8(model, images))

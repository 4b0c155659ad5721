"""The LiteRT files of the page's networks: those that come with the package, else converted once and kept."""

import contextlib
import hashlib
from pathlib import Path

import keras
import numpy as np

from lwcnn.data.sources import cache_folder
from lwcnn.export.convert import draw_calibration_images, to_litert, to_litert_int8
from lwcnn.models.description import model_checksum
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz, save_npz

SHIPPED = Path(__file__).with_name("converted")
"""Files of the two networks that the page shows by default: as `kept_file` names them, and copied from there."""


def litert_files(path: Path, model: keras.Model, images: np.ndarray) -> dict[str, bytes]:
    """Returns a model's LiteRT files by precision, "float32" and "int8", calibrated on the images."""
    kept = kept_file(path, images)
    for place in (SHIPPED / kept.name, kept):
        with contextlib.suppress(LwcnnError):  # not there, or damaged
            return {precision: content.tobytes() for precision, content in load_npz(place).items()}
    files = {"float32": to_litert(model), "int8": to_litert_int8(model, draw_calibration_images(images, len(images)))}
    with contextlib.suppress(LwcnnError):  # where nothing can be kept, the next start converts again
        save_npz(kept, compressed=True, **{name: np.frombuffer(content, np.uint8) for name, content in files.items()})
    return files


def kept_file(path: Path, images: np.ndarray) -> Path:
    """Returns where the converted files of a model are kept; the name depends on the model and the images."""
    digest = hashlib.sha256(model_checksum(path).encode() + images.tobytes()).hexdigest()
    return cache_folder() / "converted" / f"{path.stem}-{digest[:12]}.npz"

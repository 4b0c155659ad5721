"""Checks of images and settings."""

import math
from collections.abc import Collection

import numpy as np

from lwcnn.system.errors import LwcnnError


def check_images(images: np.ndarray) -> None:
    """Raises LwcnnError unless the images are uint8, shape (n, height, width, channels), with 1 to 4 channels."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        received = f"{getattr(images, 'dtype', type(images))} of shape {getattr(images, 'shape', None)}"
        raise LwcnnError(f"Give images as uint8 of shape (n, height, width, channels). Received: {received}")
    if not 1 <= images.shape[3] <= 4:
        raise LwcnnError(f"Give images of 1 to 4 channels. Received: shape {images.shape}")


def check_fraction(name: str, value: float) -> None:
    """Raises LwcnnError unless the value is a number from 0 to 1."""
    if not is_number(value) or not 0 <= value <= 1:
        raise LwcnnError(f"Give {name} as a fraction from 0 to 1. Received: {name}={value!r}")


def check_amount(name: str, value: float, largest: float = math.inf) -> None:
    """Raises LwcnnError unless the value is a finite number from 0 to `largest`."""
    if not is_number(value) or not 0 <= value <= largest:
        limit = "" if largest == math.inf else f" and {largest} or less"
        raise LwcnnError(f"Give {name} as a number of 0 or more{limit}. Received: {name}={value!r}")


def check_range(name: str, value: tuple[float, float], largest: float = math.inf) -> None:
    """Raises LwcnnError unless the value is a tuple (low, high) with 0 < low <= high <= largest."""
    is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value))
    if not is_pair or not 0 < value[0] <= value[1] <= largest:
        limit = "" if largest == math.inf else f" <= {largest}"
        raise LwcnnError(f"Give {name} as a tuple (low, high), 0 < low <= high{limit}. Received: {name}={value!r}")


def check_whole_number(name: str, value: int, least: int, largest: int | None = None) -> None:
    """Raises LwcnnError unless the value is an int from `least` to `largest`."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)  # NumPy's integers cannot be written to JSON
    if not is_whole or value < least or (largest is not None and value > largest):
        limit = f"of {least} or more" if largest is None else f"from {least} to {largest}"
        raise LwcnnError(f"Give {name} as a whole number {limit}. Received: {name}={value!r}")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Raises LwcnnError unless the value is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        raise LwcnnError(f"Give {name} as one of {sorted(choices)}. Received: {name}={value!r}")


def check_settings(name: str, value: object, kind: type) -> None:
    """Raises LwcnnError unless the value is None or an instance of this dataclass."""
    if value is not None and not isinstance(value, kind):
        raise LwcnnError(f"Give {name} as None or a {kind.__name__}(...). Received: {name}={value!r}")


def is_number(value: object) -> bool:
    """Returns whether the value is a finite int or float; booleans are not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

"""Checks of images and settings."""

import math
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from lwcnn.system.errors import LwcnnError

Rule = tuple[Callable[[Any], bool], str]
"""Whether a value is valid, and what is: a noun phrase for the error message."""


def check_images(images: np.ndarray) -> None:
    """Raises LwcnnError unless the images are uint8, shape (n, height, width, channels), with 1 to 4 channels."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        received = f"{getattr(images, 'dtype', type(images))} of shape {getattr(images, 'shape', None)}"
        raise LwcnnError(f"Give images as uint8 of shape (n, height, width, channels). Received: {received}")
    if not 1 <= images.shape[3] <= 4:
        raise LwcnnError(f"Give images of 1 to 4 channels. Received: shape {images.shape}")


def check_fields(settings: object, **rules: Rule) -> None:
    """Raises LwcnnError unless the fields of a dataclass follow the rules given by their names."""
    for name, (is_valid, wanted) in rules.items():
        value = getattr(settings, name)
        if not is_valid(value):
            raise LwcnnError(f"Give {name} as {wanted}. Received: {name}={value!r}")


def amount(largest: float) -> Rule:
    """A finite number from 0 to `largest`."""
    return lambda value: is_number(value) and 0 <= value <= largest, f"a number from 0 to {largest}"


FRACTION = amount(1)
AMOUNT: Rule = (lambda value: is_number(value) and value >= 0, "a number of 0 or more")
FLAG: Rule = (lambda value: isinstance(value, bool), "True or False")


def interval(largest: float = math.inf) -> Rule:
    """A tuple (low, high)."""

    def is_valid(value: Any) -> bool:
        is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(is_number, value))
        return is_pair and 0 < value[0] <= value[1] <= largest

    return is_valid, f"a tuple (low, high), 0 < low <= high{'' if largest == math.inf else f' <= {largest}'}"


def whole(least: int, largest: float = math.inf) -> Rule:
    """An int in a range; NumPy's integers are invalid, because they cannot be written to JSON."""
    limit = f"of {least} or more" if largest == math.inf else f"from {least} to {largest}"
    return lambda value: type(value) is int and least <= value <= largest, f"a whole number {limit}"


def choice(choices: Collection[str]) -> Rule:
    """One of the choices."""
    return lambda value: isinstance(value, str) and value in choices, f"one of {sorted(choices)}"


def optional(kind: type) -> Rule:
    """None or an instance of a dataclass."""
    return lambda value: value is None or isinstance(value, kind), f"None or a {kind.__name__}(...)"


def is_number(value: object) -> bool:
    """Returns whether the value is a finite int or float; booleans are not numbers."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)

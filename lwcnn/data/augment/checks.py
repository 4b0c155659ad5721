"""Checks of images, and of settings by the rules in their types."""

import math
from collections.abc import Callable, Collection
from dataclasses import fields
from functools import cache
from typing import Annotated, Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

from lwcnn.system.errors import LwcnnError


def check_images(images: np.ndarray) -> None:
    """Raises LwcnnError unless the images are uint8, shape (n, height, width, channels), with 1 to 4 channels."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        received = f"{getattr(images, 'dtype', type(images))} of shape {getattr(images, 'shape', None)}"
        raise LwcnnError(f"Give images as uint8 of shape (n, height, width, channels). Received: {received}")
    if not 1 <= images.shape[3] <= 4:
        raise LwcnnError(f"Give images of 1 to 4 channels. Received: shape {images.shape}")


class Rule(NamedTuple):
    """Whether a value is valid, and what is: a noun phrase for the error message."""

    is_valid: Callable[[Any], bool]
    wanted: str


class Settings:
    """Base of dataclasses whose fields are checked: by the rule in an `Annotated` type, or as None or a dataclass."""

    def __post_init__(self):
        for name, rule in _rules(type(self)).items():
            value = getattr(self, name)
            if not rule.is_valid(value):
                raise LwcnnError(f"Give {name} as {rule.wanted}. Received: {name}={value!r}")


@cache
def _rules(kind: Any) -> dict[str, Rule]:
    hints = get_type_hints(kind, include_extras=True)
    return {field.name: _rule(hints[field.name]) for field in fields(kind)}


def _rule(hint: Any) -> Rule:
    if get_origin(hint) is Annotated:
        return get_args(hint)[1]
    settings = get_args(hint)[0]
    return Rule(lambda value: value is None or isinstance(value, settings), f"None or a {settings.__name__}(...)")


def number(largest: float = math.inf) -> Rule:
    """A finite int or float; booleans are not numbers."""
    return Rule(lambda value: _is_number(value) and 0 <= value <= largest, f"a number {_range(0, largest)}")


def whole(least: int, largest: float = math.inf) -> Rule:
    """An int; NumPy's integers are invalid, because they cannot be written to JSON."""
    return Rule(lambda value: type(value) is int and least <= value <= largest, f"an int {_range(least, largest)}")


def interval(largest: float = math.inf) -> Rule:
    def is_valid(value: Any) -> bool:
        is_pair = isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value))
        return is_pair and 0 < value[0] <= value[1] <= largest

    return Rule(is_valid, f"a tuple (low, high), 0 < low <= high, high {_range(0, largest)}")


def choice(choices: Collection[str | None]) -> Rule:
    return Rule(lambda value: value in (*choices,), f"one of {', '.join(map(str, choices))}")


def _range(least: float, largest: float) -> str:
    return f"of {least} or more" if largest == math.inf else f"from {least} to {largest}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


Fraction = Annotated[float, number(1)]
Amount = Annotated[float, number()]
Flag = Annotated[bool, Rule(lambda value: isinstance(value, bool), "True or False")]

"""Settings as frozen dataclasses: checked by the rules in their types, and serialized so that older results match.

Results record their settings, and cache files are named by a hash of them. A field that was added to a dataclass later
is omitted from both while it has its default, so that earlier results stay valid.
"""

import dataclasses
import math
from collections.abc import Callable, Collection
from typing import Annotated, Any, NamedTuple, get_args, get_origin

import numpy as np

from lwcnn.system.errors import wrong

_ADDED_LATER = "added later"


def added_later(default: Any) -> Any:
    """Returns a dataclass field that `plain_settings` omits at its default, which must keep the earlier behavior."""
    return dataclasses.field(default=default, metadata={_ADDED_LATER: True})


def plain_settings(settings: Any) -> Any:
    """Converts dataclass instances, in containers too, to JSON types, without `added_later` fields at their default."""
    if dataclasses.is_dataclass(settings):
        values = {field: getattr(settings, field.name) for field in dataclasses.fields(settings)}
        return {
            field.name: plain_settings(value)
            for field, value in values.items()
            if not (field.metadata.get(_ADDED_LATER) and value == field.default)
        }
    if isinstance(settings, dict):
        return {key: plain_settings(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return [plain_settings(value) for value in settings]
    return settings.item() if isinstance(settings, np.generic) else settings


class Rule(NamedTuple):
    """A test of whether a value is valid, and a noun phrase for valid values in the error message."""

    is_valid: Callable[[Any], bool]
    wanted: str

    def __repr__(self) -> str:
        return self.wanted  # in signatures that `help` shows


class Settings:
    """Base class of dataclasses that check their fields: by the rule in an `Annotated` type, otherwise by the type."""

    def __post_init__(self):
        for field in dataclasses.fields(self):  # type: ignore[arg-type]  # subclasses are dataclasses
            value, kind = getattr(self, field.name), field.type
            if isinstance(value, np.generic):  # results hold settings as JSON, which has Python's numbers only
                value = value.item()
                object.__setattr__(self, field.name, value)
            kind, rule = get_args(kind) if get_origin(kind) is Annotated else (kind, None)
            first, *others = get_args(kind) or (kind,)
            is_optional = type(None) in others
            if (is_optional and value is None) or (rule.is_valid(value) if rule else isinstance(value, kind)):
                continue
            wanted = rule.wanted if rule else f"an instance of {first.__name__}"
            optional = ", or None" if is_optional else ""
            raise wrong(f"Give {field.name} as {wanted}{optional}", f"{field.name}={value!r}")


def number(largest: float = math.inf) -> Rule:
    """A finite number from 0 to `largest`; booleans are not numbers."""
    return Rule(lambda value: _is_number(value) and 0 <= value <= largest, f"a number {_range(0, largest)}")


def whole(least: int, largest: float = math.inf) -> Rule:
    return Rule(lambda value: type(value) is int and least <= value <= largest, f"an int {_range(least, largest)}")


def interval(largest: float = math.inf) -> Rule:
    pair, top = sequence(number(largest), 2), "" if largest == math.inf else f" <= {largest}"
    return Rule(
        lambda value: isinstance(value, tuple) and pair.is_valid(value) and 0 < value[0] <= value[1],
        f"a tuple (low, high), 0 < low <= high{top}",
    )


def choice(choices: Collection[str]) -> Rule:
    return Rule(lambda value: value in (*choices,), f"one of {', '.join(map(str, choices))}")


def _range(least: float, largest: float) -> str:
    return f"of {least} or more" if largest == math.inf else f"from {least} to {largest}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def sequence(of: Rule, length: int | None = None) -> Rule:
    """A tuple, or a list as read from JSON, of values that a rule allows."""

    def is_valid(values: Any) -> bool:
        return isinstance(values, (tuple, list)) and length in (None, len(values)) and all(map(of.is_valid, values))

    return Rule(is_valid, f"a tuple of {f'{length} ' if length else ''}values, each {of.wanted}")


Fraction = Annotated[float, number(1)]
Amount = Annotated[float, number()]
BELOW_ONE = Rule(lambda value: number(1).is_valid(value) and value < 1, "a number from 0 to below 1")
ABOVE_ZERO = Rule(lambda value: number().is_valid(value) and value > 0, "a number above 0")
TEXT = Rule(lambda value: isinstance(value, str), "a str")

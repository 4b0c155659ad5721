"""Serializes settings so that older results still match.

Results record their settings, and cache files are named by a hash of them. A field that was added to a dataclass later
is omitted from both while it has its default, so that earlier results stay valid.
"""

import dataclasses
from typing import Any

_ADDED_LATER = "added later"


def added_later(default: Any) -> Any:
    """Returns a dataclass field that `plain_settings` omits while it has its default: the behavior without it."""
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
    return settings

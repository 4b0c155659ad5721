"""Serializes settings so that older results still match.

Results record the settings they were made with, and cache files are named by them. A field that a dataclass gains later
is left out of both while it has its default, so that earlier results stay valid.
"""

import dataclasses
from typing import Any

_ADDED_LATER = "added later"


def added_later(default: Any) -> Any:
    """Returns a dataclass field that `plain_settings` leaves out where it has its default.

    Args:
        default: what does as the dataclass did before it had the field; it must be immutable.
    """
    return dataclasses.field(default=default, metadata={_ADDED_LATER: True})


def plain_settings(settings: Any) -> Any:
    """Returns settings as dicts, lists and what JSON holds otherwise, the fields in their order.

    Args:
        settings: a dataclass, or tuples, lists and dicts of them.

    Returns:
        What `dataclasses.asdict` gives, without the fields `added_later` that have their default.
    """
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

"""The one kind of error that a user of the library can cause."""

import difflib
from collections.abc import Iterable

_MIN_SIMILARITY = 0.5  # below it a "did you mean" would be a guess, not a typing slip


class LwcnnError(ValueError):
    """A mistake in what the user gave, or a file or network that failed them.

    Its message says what to do and ends in the value received; the command line shows it without a traceback.
    """


class Diverged(LwcnnError):
    """The training loss became NaN or infinite before any epoch was good; the message has epoch, phase and rate."""


def unknown_name(kind: str, name: str, known: Iterable[str]) -> LwcnnError:
    """The error for a name that is not among the known ones; the caller raises it.

    Args:
        kind: What the name stands for, in words, such as "dataset" or "experiment".
        name: The name received.
        known: Every name that would have been accepted.

    Returns:
        An `LwcnnError` that suggests the nearest known name, where one is near, and lists them all.
    """
    known = [str(choice) for choice in known]
    by_lower_case = {choice.lower(): choice for choice in known}
    nearest = difflib.get_close_matches(str(name).lower(), by_lower_case, n=1, cutoff=_MIN_SIMILARITY)
    suggestion = f" Did you mean {by_lower_case[nearest[0]]!r}?" if nearest else ""
    listing = ", ".join(known) if known else "(none)"
    return LwcnnError(f"Unknown {kind}.{suggestion} Known: {listing}. Received: {name!r}")

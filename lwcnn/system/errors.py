"""The one kind of error that a user of the library can cause."""

import difflib
from collections.abc import Iterable

_MIN_SIMILARITY = 0.5  # below it a "did you mean" would be a guess, not a typing slip
_CLEAR_SIMILARITY = 0.75  # from here on several are suggested
_MOST_LISTED = 30  # more names than a reader takes in


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
        An `LwcnnError` that suggests up to three near names, and lists all names if they are few.
    """
    known = [str(choice) for choice in known]
    by_lower_case = {choice.lower(): choice for choice in known}
    wanted = str(name).lower()
    nearest = difflib.get_close_matches(wanted, by_lower_case, n=3, cutoff=_CLEAR_SIMILARITY)
    nearest = nearest or difflib.get_close_matches(wanted, by_lower_case, n=1, cutoff=_MIN_SIMILARITY)
    suggestion = f" Did you mean {' or '.join(repr(by_lower_case[near]) for near in nearest)}?" if nearest else ""
    listing = f" Known: {', '.join(known) or '(none)'}." if len(known) <= _MOST_LISTED else ""
    return LwcnnError(f"Unknown {kind}.{suggestion}{listing} Received: {name!r}")

"""The exceptions of the library."""

import contextlib
import difflib
from collections.abc import Collection, Iterable, Iterator

_MIN_SIMILARITY = 0.65  # below it, a suggestion would be a guess
_MAX_LISTED = 30  # longer lists are not shown


class LwcnnError(ValueError):
    """Invalid input, or a failure to read, write or download a file.

    The message says what to do and ends with the value received. The command line shows it without a traceback.
    """


class Diverged(LwcnnError):
    """The training loss became NaN or infinite before any epoch finished with a finite loss."""


class Unavailable(LwcnnError):
    """A file cannot be read now but may be intact: the disk, a network folder, memory or permissions failed."""


def wrong(advice: str, received: object) -> LwcnnError:
    """Returns the error for invalid input: what to do, and what was received."""
    return LwcnnError(f"{advice}. Received: {received}")


@contextlib.contextmanager
def located(where: object) -> Iterator[None]:
    """Adds the file or dataset to the message of an LwcnnError that the block raises."""
    try:
        yield
    except LwcnnError as error:
        error.args = (f"{error} (in {where})",)
        raise


def unknown_name(kind: str, name: str, known: Iterable[str]) -> LwcnnError:
    """Returns the error for an unknown name, with similar ones; `kind` is a noun such as "dataset"."""
    known = [str(choice) for choice in known]
    by_lower_case = {choice.lower(): choice for choice in known}
    wanted = str(name).lower()
    nearest = difflib.get_close_matches(wanted, by_lower_case, n=3, cutoff=_MIN_SIMILARITY)
    suggestion = f" Did you mean {' or '.join(repr(by_lower_case[near]) for near in nearest)}?" if nearest else ""
    listing = f" Known: {', '.join(known) or '(none)'}." if len(known) <= _MAX_LISTED else ""
    return LwcnnError(f"Unknown {kind}.{suggestion}{listing} Received: {name!r}")


def require_sequence(argument: str, value: object) -> None:
    """Checks that an argument, a sequence of names or settings, is not a single one."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise wrong(f"Give {argument} as a sequence, even with one item", f"{argument}={value!r}")


def require_known(kind: str, name: str, known: Collection[str]) -> None:
    """Checks that a name is known."""
    if name not in known:
        raise unknown_name(kind, name, known)

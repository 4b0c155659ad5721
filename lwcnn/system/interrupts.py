"""Reliable Ctrl-C handling: Python ignores a KeyboardInterrupt in a destructor, and a library may replace it."""

import contextlib
import signal
import threading
from collections.abc import Iterator

_interrupted = threading.Event()


def _interrupt(*_) -> None:
    _interrupted.set()
    raise KeyboardInterrupt


@contextlib.contextmanager
def recorded() -> Iterator[None]:
    """Records Ctrl-C within a block, so that `check` can raise a KeyboardInterrupt that Python ignored.

    An error that ends the block after Ctrl-C becomes a KeyboardInterrupt: a `ZipFile` that is interrupted while it
    writes, for example, raises a ValueError instead.

    Has no effect outside the main thread or where another handler is set.
    """
    _interrupted.clear()
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, _interrupt)
    try:
        yield
    except Exception:
        check()
        raise
    finally:
        signal.signal(signal.SIGINT, before)


def check() -> None:
    """Raises KeyboardInterrupt if Ctrl-C was pressed since `recorded` began or since the last check."""
    if _interrupted.is_set():
        _interrupted.clear()
        raise KeyboardInterrupt

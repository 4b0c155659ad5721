"""Ctrl-C that is heeded for sure: Python drops a KeyboardInterrupt that is raised in a destructor."""

import contextlib
import signal
import threading
from collections.abc import Iterator

_pressed = threading.Event()


def _press(*_) -> None:
    _pressed.set()
    raise KeyboardInterrupt


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """Remembers Ctrl-C inside, besides raising KeyboardInterrupt; where it is ignored, it stays so."""
    _pressed.clear()
    main_thread = threading.current_thread() is threading.main_thread()
    if not main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    before = signal.signal(signal.SIGINT, _press)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def check() -> None:
    """Raises KeyboardInterrupt if Ctrl-C was pressed and came to nothing."""
    if _pressed.is_set():
        _pressed.clear()
        raise KeyboardInterrupt

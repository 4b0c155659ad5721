"""Locks between processes that work on the same file."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path


@contextlib.contextmanager
def locked(path: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Keeps other processes from working on a file; waits, with a note, for one that does.

    The lock ends with the process that holds it, however that process ends.

    Args:
        path: File that the block reads or makes. The lock is a hidden file beside it.
        note: Receives the words that say what is waited for.
    """
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(lock, lambda: note(f"another process works on {path}: waiting for it"))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(lock: Path, on_wait: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                on_wait()
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            # The process before may have removed the file that this one had opened.
            if lock.exists() and os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)

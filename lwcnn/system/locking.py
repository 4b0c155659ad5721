"""Locks between processes that work on the same file."""

import contextlib
import fcntl
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from lwcnn.system import environment
from lwcnn.system.errors import wrong


@contextlib.contextmanager
def locked(path: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Locks a file for this process within a block; waits, with a note, while another process holds the lock.

    The lock is a hidden file beside it. The operating system releases it when the process ends, however it ends. Of
    several processes that train one model, only the first locks.
    """
    if environment.process_id() > 0:
        yield
        return
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(lock, lambda: note(f"another process is working on {path}: waiting for it"))
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Returns whether another process holds the lock of a path."""

    def refuse(text: str) -> None:
        raise BlockingIOError(text)

    try:
        with locked(path, refuse):
            return False
    except BlockingIOError:
        return True


def _acquire(lock: Path, on_wait: Callable[[], None]) -> int:
    while True:
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            try:
                _flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, lock)
            except BlockingIOError:
                on_wait()
                _flock(descriptor, fcntl.LOCK_EX, lock)
            # The previous holder may have removed the lock file that this process opened.
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(descriptor), os.stat(lock)):
                    return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _flock(descriptor: int, how: int, lock: Path) -> None:
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise wrong(f"Use a folder on a disk that has file locks ({error.strerror})", str(lock)) from error

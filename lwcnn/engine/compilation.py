"""Compilation of the kernels by Numba: its duration, and the cache of compiled kernels.

The cache is a folder that only the user can write to.
"""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numba
from numba.core import event
from numba.core.dispatcher import Dispatcher


class _Clock(event.TimingListener):
    """Adds up the time of compilations, nested ones once, and announces the first."""

    announced = False

    def on_start(self, event):
        if not self.announced:
            self.announced = True
            words = "Compiling the engine for this processor: about a minute, once for each kind of network."
            print(words, file=sys.stderr, flush=True)
        super().on_start(event)


_CLOCK = _Clock()
event.register("numba:compile", _CLOCK)


def compile_seconds() -> float:
    """Returns the seconds spent compiling in this process so far."""
    return _CLOCK.duration if _CLOCK.done else 0.0


def prepare_cache(folder: Path) -> None:
    """Chooses a private cache folder for kernels compiled from the sources in `folder`.

    Numba notices changes of a function's own file, but not of the files of functions that it calls: so each state of
    the sources has its own folder. Without any writable folder, nothing is cached.
    """
    if numba.config.CACHE_DIR:  # type: ignore[attr-defined]  # the user's choice: NUMBA_CACHE_DIR
        return
    files = (path.read_bytes() for path in sorted(folder.rglob("*.py")))
    compiled = b"".join(content for content in files if b"numba" in content or b"jit" in content)
    sources = hashlib.sha256(compiled).hexdigest()
    own = next(filter(_is_private, _user_folders()), None)
    if own is None:
        Dispatcher.enable_caching = lambda self: None  # type: ignore[method-assign]
    else:
        numba.config.CACHE_DIR = str(own / sources[:16])  # type: ignore[attr-defined]


def _user_folders() -> Iterator[Path]:
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if os.path.isabs(caches):  # "~" stays as it is where there is no home
        yield Path(caches) / "lwcnn"
    with contextlib.suppress(FileNotFoundError):  # no folder for temporary files either
        yield Path(tempfile.gettempdir()) / f"lwcnn-{os.getuid()}"


def _is_private(folder: Path) -> bool:
    """Returns whether this user, and no other, can write to a folder: cached kernels are executed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            status = folder.stat()
    except OSError:
        return False
    return status.st_uid == os.getuid() and not status.st_mode & 0o022

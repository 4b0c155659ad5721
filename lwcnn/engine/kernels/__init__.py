"""CPU kernels for what the backends are slow at, and their bridge into each backend."""

import contextlib
import hashlib
from pathlib import Path


def _drop_stale_caches(folder: Path) -> None:
    """Removes what Numba has cached in a folder, if a module there has changed since.

    Numba notices when a function's own file has changed, not when that of a function within it has: a kernel would go
    on with the old one of another module, or fail.
    """
    sources = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py")))).hexdigest()
    cache = folder / "__pycache__"
    stamp = cache / "kernels-of.txt"
    with contextlib.suppress(OSError):  # not writable: then Numba caches elsewhere, by the installation's path
        if stamp.exists() and stamp.read_text() == sources:
            return
        for path in (*cache.glob("*.nbi"), *cache.glob("*.nbc")):
            path.unlink(missing_ok=True)
        cache.mkdir(exist_ok=True)
        stamp.write_text(sources)


_drop_stale_caches(Path(__file__).parent)

"""Finds public datasets on this machine, or downloads them from the official sources in `datasets.toml`."""

import contextlib
import errno
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data import formats
from lwcnn.data.known import ENTRIES
from lwcnn.data.splits import DatasetParts
from lwcnn.system.errors import LwcnnError, Unavailable, wrong
from lwcnn.system.files import StrPath
from lwcnn.system.locking import locked
from lwcnn.system.npz import save_npz

DATA_DIR_VARIABLE = "LWCNN_DATA_DIR"
TIMEOUTS = (6, 20)  # seconds: to connect, and for a single read

_MAX_UNUSED = 30 * 24 * 3600  # seconds
_log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Returns the folder in which Keras and this library store downloaded datasets; it may not exist."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(os.path.expanduser(home)) if home else Path(os.path.expanduser("~")) / ".keras"
    nearest = next(path for path in (folder, *folder.absolute().parents) if os.path.exists(path))
    if not os.access(nearest, os.W_OK):  # Keras uses the temporary folder in this case
        folder = Path(tempfile.gettempdir()) / ".keras"
    return folder / "datasets"


def keep_in_cache(path: Path, arrays: Mapping[str, np.ndarray], compressed: bool = False) -> None:
    """Writes an .npz file, unless the disk is full or read-only; deletes files beside it unused for 30 days."""
    with contextlib.suppress(LwcnnError, OSError):
        save_npz(path, compressed, **arrays)
        for other in filter(Path.is_file, path.parent.iterdir()):
            if time.time() - other.stat().st_atime > _MAX_UNUSED:
                other.unlink()


def read_public(name: str, data_dir: StrPath | None, download: bool) -> tuple[DatasetParts, str]:
    """Returns the parts of a public dataset, and a description of where they are from."""
    if Path(name).is_dir():
        _log.warning("Reading the dataset %s. For the folder of this name, give ./%s", name, name)
    if found := _read_found(name, data_dir, download):
        return found
    if not download:
        raise wrong(
            f"Allow downloading, because {name} is neither in the data folder nor in Keras's cache; or "
            f"{_offline_hint(name)}",
            repr(name),
        )
    with locked(cache_folder(), _log.warning):
        if found := _read_found(name, data_dir, download):  # another process has downloaded it meanwhile
            return found
        return _download(name)


def _read_found(name: str, data_dir: StrPath | None, download: bool) -> tuple[DatasetParts, str] | None:
    source = _find_source(name, data_dir)
    if source is None:
        return None
    description, read, is_cache = source
    try:
        return read(), description
    except Unavailable:
        raise
    except LwcnnError:
        # An invalid file of the user must be reported; an invalid cache can be downloaded again.
        if not (is_cache and download):
            raise
        return None


def find_dataset(name: str, data_dir: StrPath | None = None) -> str | None:
    """Describes where a named dataset would be read from; None if it is not on this machine."""
    source = _find_source(name, data_dir)
    return source and source[0]


def _find_source(name: str, data_dir: StrPath | None) -> tuple[str, Callable[[], DatasetParts], bool] | None:
    """Finds a named dataset in `data_dir` or LWCNN_DATA_DIR, or else in Keras's cache; None if it is in neither.

    Returns a description without an absolute path, the function that reads it, and whether it is in Keras's cache,
    from which it may be downloaded again.
    """
    if name == "digits":
        return "scikit-learn's digits, enlarged from 8x8 to 28x28", formats.read_digits, False
    places = [(cache_folder(), "Keras's cache", True)]
    given, setting = (data_dir, "data_dir") if data_dir else (os.environ.get(DATA_DIR_VARIABLE), DATA_DIR_VARIABLE)
    if given:
        folder = Path(os.path.expanduser(given))
        if not folder.is_dir():
            advice = f"Set {setting} to an existing folder that contains <dataset>.npz, or leave it unset"
            raise wrong(advice, f"{setting}={str(given)!r}")
        places.insert(0, (folder, setting, False))
    for folder, place, is_cache in places:
        npz = folder / f"{name}.npz"
        if npz.exists():
            return f"{place}/{npz.name}", partial(formats.read_npz, npz), is_cache
        marker = ENTRIES[name]["marker"]
        for inner in ENTRIES[name]["folders"]:
            if formats.find_file(folder / inner, marker) if marker else (folder / inner).is_dir():
                return f"{place}/{inner}", partial(formats.read_official, name, folder / inner), is_cache
    return None


def _download(name: str) -> tuple[DatasetParts, str]:
    """Downloads a public dataset into Keras's cache and reads it. A failed download leaves no damaged file."""
    import pooch

    entry = ENTRIES[name]
    show = sys.stderr is not None and sys.stderr.isatty()
    folder = cache_folder() / entry["folders"][0]
    for file, checksum in entry["downloads"].items():
        extract = pooch.Unzip if file.endswith(".zip") else pooch.Untar if file.endswith(".tar.gz") else None
        try:
            path = pooch.retrieve(
                entry["url"] + file,
                known_hash=checksum,
                fname=file,
                path=folder.parent if extract else folder,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUTS, progressbar=show),
            )
            if extract:
                _extract(extract(entry.get("members"), "."), path, folder)
        except Exception as error:  # of requests, urllib3, ssl, tarfile, pooch or the file system
            raise _download_failed(name, error) from error
    unreadable = cache_folder() / f"{name}.npz"  # otherwise it would be found first
    if unreadable.exists():
        unreadable.replace(unreadable.with_suffix(".npz.unreadable"))
    return formats.read_official(name, folder), f"the download from {entry['url']}"


def _extract(processor, archive: str, folder: Path) -> None:
    """Extracts an archive into a folder; if that fails or is interrupted, removes the folder."""
    try:
        processor(archive, "download", None)  # as after a download, it replaces damaged files
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _offline_hint(name: str) -> str:
    """Returns advice on getting a dataset without a download, as a clause for error messages."""
    return (
        f"put {name}.npz (keys x_train, y_train, x_test, y_test) or the extracted official archive into a folder and "
        f"set {DATA_DIR_VARIABLE} to it, or use 'digits', which needs no file"
    )


def _download_failed(name: str, error: Exception) -> LwcnnError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"Free disk space for Keras's cache ({cache_folder()}) and try again"
    elif "hash" in str(error):
        advice = f"Try again later, because the checksum is wrong, or {_offline_hint(name)}"
    else:
        advice = f"Connect to the network and try again, or {_offline_hint(name)}"
    return wrong(f"{advice}; the download of {name} failed ({type(error).__name__})", repr(name))

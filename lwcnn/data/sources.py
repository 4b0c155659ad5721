"""Finds named datasets on this machine, or downloads them from the official sources in `datasets.toml`."""

import errno
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from lwcnn.data import formats
from lwcnn.data.checks import Splits
from lwcnn.data.known import ENTRIES
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import StrPath

DATA_DIR_VARIABLE = "LWCNN_DATA_DIR"
TIMEOUTS = (6, 20)  # seconds: to connect, and for a single read


@dataclass(frozen=True)
class Source:
    """A dataset found on this machine: a description without an absolute path, and the function that reads it."""

    description: str
    read: Callable[[], Splits]
    is_cache: bool = False  # in Keras's cache, from which it may be downloaded again


def cache_folder() -> Path:
    """Returns the folder in which Keras and this library store downloaded datasets; it may not exist."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(os.path.expanduser(home)) if home else Path(os.path.expanduser("~")) / ".keras"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):  # Keras uses the temporary folder in this case
        folder = Path(tempfile.gettempdir()) / ".keras"
    return folder / "datasets"


def find_source(name: str, data_dir: StrPath | None) -> Source | None:
    """Finds a named dataset in `data_dir` or LWCNN_DATA_DIR, or else in Keras's cache; None if it is in neither."""
    if name == "digits":
        return Source("scikit-learn's digits, enlarged from 8x8 to 28x28", formats.read_digits)
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
            return Source(f"{place}/{npz.name}", partial(formats.read_npz, npz), is_cache)
        marker = ENTRIES[name]["marker"]
        for inner in ENTRIES[name]["folders"]:
            if formats.find_file(folder / inner, marker) if marker else (folder / inner).is_dir():
                return Source(f"{place}/{inner}", partial(formats.read_official, name, folder / inner), is_cache)
    return None


def download_source(name: str) -> Source:
    """Downloads a named dataset into Keras's cache and returns it, not yet read. A failure leaves no damaged file."""
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
    return Source(f"the download from {entry['url']}", partial(formats.read_official, name, folder), True)


def _extract(processor, archive: str, folder: Path) -> None:
    """Extracts an archive into a folder; if that fails or is interrupted, removes the folder."""
    try:
        processor(archive, "download", None)  # as after a download, it replaces damaged files
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def offline_hint(name: str) -> str:
    """Returns advice on getting a dataset without a download, as a clause for error messages."""
    return (
        f"put {name}.npz (keys x_train, y_train, x_test, y_test) or the extracted official archive into a folder and "
        f"set {DATA_DIR_VARIABLE} to it, or use 'digits', which needs no file"
    )


def _download_failed(name: str, error: Exception) -> LwcnnError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        advice = f"Free disk space for Keras's cache ({cache_folder()}) and try again"
    elif "hash" in str(error):
        advice = f"Try again later, because the checksum is wrong, or {offline_hint(name)}"
    else:
        advice = f"Connect to the network and try again, or {offline_hint(name)}"
    return wrong(f"{advice}; the download of {name} failed ({type(error).__name__})", repr(name))

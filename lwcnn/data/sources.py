"""Finds named data sets on this machine, or downloads them from the official sources in `datasets.toml`."""

import contextlib
import errno
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data.checks import Splits
from lwcnn.data.formats import (
    IDX_NAMES,
    find_idx_file,
    read_cifar,
    read_emnist,
    read_idx,
    read_npz,
    read_stl10,
    read_svhn,
    read_tiny_imagenet,
)
from lwcnn.data.known import ENTRIES
from lwcnn.system.errors import LwcnnError

DATA_DIR_VARIABLE = "LWCNN_DATA_DIR"
TIMEOUTS = (6, 20)  # seconds: to connect, and of a single read
# SHA-256 of Fashion-MNIST's training labels, because its files have the same names as MNIST's.
_FASHION_LABELS = "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"

_CIFAR100 = partial(read_cifar, train=("train",), test="test")
READERS: dict[str, Callable[[Path], Splits]] = {
    "mnist": read_idx,
    "fashion_mnist": read_idx,
    "kmnist": read_idx,
    "emnist_balanced": partial(read_emnist, part="balanced"),
    "emnist_letters": partial(read_emnist, part="letters"),
    "cifar10": partial(read_cifar, train=tuple(f"data_batch_{i}" for i in range(1, 6)), test="test_batch"),
    "cifar100": partial(_CIFAR100, labels="fine_labels"),
    "cifar100_coarse": partial(_CIFAR100, labels="coarse_labels"),
    "stl10": read_stl10,
    "svhn": read_svhn,
    "tiny_imagenet": read_tiny_imagenet,
}
"""Functions that read a data set's official files from one of its folders."""


@dataclass(frozen=True)
class Source:
    """A data set found on this machine: a description without an absolute path, and the function that reads it."""

    description: str
    read: Callable[[], Splits]
    is_cache: bool = False


def cache_folder() -> Path:
    """Returns the folder in which Keras, and this library as well, stores downloaded data sets; it may not exist."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(os.path.expanduser(home)) if home else Path(os.path.expanduser("~")) / ".keras"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):  # Keras uses the temporary folder in this case
        folder = Path(tempfile.gettempdir()) / ".keras"
    return folder / "datasets"


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> tuple[Path, str] | None:
    """Returns the user's data folder and its setting's name (`data_dir`, else LWCNN_DATA_DIR); None if none is set."""
    given, setting = (data_dir, "data_dir") if data_dir else (os.environ.get(DATA_DIR_VARIABLE), DATA_DIR_VARIABLE)
    if not given:
        return None
    folder = Path(os.path.expanduser(given))
    if not folder.is_dir():
        raise LwcnnError(
            f"Set {setting} to an existing folder that contains <dataset>.npz, or leave it unset. "
            f"Received: {setting}={str(given)!r}"
        )
    return folder, setting


def find_source(name: str, data_dir: str | os.PathLike[str] | None = None) -> Source | None:
    """Finds a named data set in the user's folder, or else in Keras's cache; None if it is in neither."""
    places = [(cache_folder(), "Keras's cache", True)]
    if user_folder := data_folder(data_dir):
        places.insert(0, (*user_folder, False))
    for folder, place, is_cache in places:
        npz = folder / f"{name}.npz"
        if npz.exists() and (name == "mnist" or not is_cache):  # Keras stores only MNIST's as .npz
            return Source(f"{place}/{npz.name}", partial(read_npz, npz), is_cache)
        for inner in ENTRIES[name]["folders"]:
            if _is_present(name, folder / inner):
                words = f"{place}/{inner}" if inner else f"{place}/{ENTRIES[name]['marker']} and others"
                return Source(words, partial(READERS[name], folder / inner), is_cache)
    return None


def _is_present(name: str, folder: Path) -> bool:
    marker, folders = ENTRIES[name]["marker"], ENTRIES[name]["folders"]
    if find_idx_file(folder, marker) is None and not (not marker and folder.is_dir()):
        return False
    is_known = any(folder.match(inner) for inner in folders if inner)  # its name tells whose IDX files it has
    return marker != IDX_NAMES[0] or "" not in folders or is_known or _idx_dataset_name(folder) == name


def _idx_dataset_name(folder: Path) -> str:
    try:
        labels = read_idx(folder, IDX_NAMES[1:2] * 4).y_train
    except LwcnnError:
        return "mnist"  # reading the files will report the fault
    is_fashion = hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == _FASHION_LABELS
    return "fashion_mnist" if is_fashion else "mnist"


def download_source(name: str) -> Source:
    """Downloads a named data set into Keras's cache, verifies its checksums, and returns it, not yet read.

    A broken file of the cache is replaced. Partial files of a failed download are removed.
    """
    import pooch

    entry = ENTRIES[name]
    discard_download(name)
    show = sys.stderr is not None and sys.stderr.isatty()
    folder = cache_folder() / entry["folders"][0]
    for file, checksum in entry["downloads"].items():
        is_archive = file.endswith((".zip", ".tar.gz"))
        extract = pooch.Unzip if file.endswith(".zip") else pooch.Untar
        try:
            pooch.retrieve(
                entry["url"] + file,
                known_hash=checksum,
                fname=file,
                path=folder.parent if is_archive else folder,
                processor=extract(entry.get("members"), ".") if is_archive else None,
                downloader=pooch.HTTPDownloader(timeout=TIMEOUTS, progressbar=show),
            )
        except BaseException as error:  # Ctrl-C; or of requests, urllib3, ssl, tarfile, pooch or the file system
            discard_download(name)
            if isinstance(error, Exception):
                raise _download_failed(name, error) from error
            raise
    return Source(f"the download from {entry['url']}", partial(READERS[name], folder), is_cache=True)


def discard_download(name: str) -> None:
    """Removes the files of a data set, except an archive, from Keras's cache."""
    for inner in filter(None, ENTRIES[name]["folders"]):
        shutil.rmtree(cache_folder() / inner, ignore_errors=True)
    with contextlib.suppress(OSError):
        if name == "mnist":
            (cache_folder() / "mnist.npz").unlink()


def offline_hint(name: str) -> str:
    """Returns advice on getting a data set without a download, as a clause for error messages."""
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
    return LwcnnError(f"{advice}; the download of {name} failed ({type(error).__name__}). Received: {name!r}")

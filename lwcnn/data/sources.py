"""Finds the files of data sets on this machine and reads them in any of their usual formats."""

import gzip
import hashlib
import math
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data.cache import cache_folder
from lwcnn.data.checks import Splits, decode_class_names
from lwcnn.data.pickles import read_pickle
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import require_file
from lwcnn.system.npz import load_npz

DATA_DIR_VARIABLE = "LWCNN_DATA_DIR"
NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")

_IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
# Subfolders of the data folder and of Keras's cache in which libraries store the official files.
_IDX_FOLDERS = {
    "mnist": ("mnist", "MNIST", "MNIST/raw"),
    "fashion_mnist": ("fashion_mnist", "fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
}
_CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_CIFAR_LABELS = {"cifar10": b"labels", "cifar100": b"fine_labels"}
_MAX_IDX_BYTES = 2**30  # 20 times MNIST's training images
# SHA-256 of Fashion-MNIST's training labels, because its files have the same names as MNIST's.
_FASHION_LABELS = "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"


@dataclass(frozen=True)
class Source:
    """A data set found on this machine.

    Attributes:
        description: Where it was found, without an absolute path.
        read: Function that reads it.
        is_cache: Whether it is in Keras's cache.
    """

    description: str
    read: Callable[[], Splits]
    is_cache: bool = False


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> tuple[Path, str] | None:
    """Returns the user's data folder and the name of its setting, or None if none is set.

    Args:
        data_dir: Data folder. If None, the environment variable LWCNN_DATA_DIR is used.

    Raises:
        LwcnnError: If the folder does not exist.
    """
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
    """Finds a named data set on this machine, first in the user's folder, then in Keras's cache.

    Args:
        name: "mnist", "fashion_mnist", "cifar10" or "cifar100".
        data_dir: Data folder. If None, the environment variable LWCNN_DATA_DIR is used.

    Returns:
        The first match, not yet read, or None.
    """
    user_folder = data_folder(data_dir)
    cache = cache_folder()
    if user_folder is not None:
        folder, setting = user_folder
        npz = folder / f"{name}.npz"
        if npz.exists():
            return Source(f"{setting}/{npz.name}", partial(read_npz, npz))
        archive = _find_archive(name, folder, setting)
        if archive is not None:
            return archive
    if name == "mnist" and (cache / "mnist.npz").exists():
        return Source("Keras's cache/mnist.npz", partial(read_npz, cache / "mnist.npz"), is_cache=True)
    archive = _find_archive(name, cache, "Keras's cache")
    return None if archive is None else Source(archive.description, archive.read, is_cache=True)


def read_npz(path: str | os.PathLike[str]) -> Splits:
    """Reads an .npz file with Keras's keys and optionally `class_names` and `mirror`.

    Args:
        path: Path of the file.

    Raises:
        LwcnnError: If the file is missing, corrupt or has other keys.
    """
    arrays = load_npz(path)
    missing = [key for key in NPZ_KEYS if key not in arrays]
    if missing:
        raise LwcnnError(
            f"Save the arrays under the keys {', '.join(NPZ_KEYS)}, optionally with class_names and mirror. "
            f"Received: keys {', '.join(sorted(arrays)) or '(none)'} in {str(path)!r}"
        )
    splits = Splits(arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])
    if "mirror" in arrays:
        splits = splits._replace(mirror=_read_mirror(arrays["mirror"], path))
    names = arrays.get("class_names")
    if names is None:
        return splits
    return splits._replace(class_names=decode_class_names(names, repr(str(path))))


def _read_mirror(value: np.ndarray, path: str | os.PathLike[str]) -> bool:
    if value.shape != () or value.dtype.kind not in "biu":
        raise LwcnnError(
            "Save mirror as a single True or False: whether a mirrored image still belongs to its class. "
            f"Received: dtype {value.dtype}, shape {value.shape} in {str(path)!r}"
        )
    return bool(value)


def read_cifar(folder: Path, name: str) -> Splits:
    """Reads an extracted archive `cifar-10-batches-py` or `cifar-100-python`.

    Args:
        folder: Path of the extracted archive.
        name: "cifar10" or "cifar100".

    Returns:
        Splits with images of shape (n, 32, 32, 3).

    Raises:
        LwcnnError: If a file is missing or corrupt.
    """
    batches = [f"data_batch_{i}" for i in range(1, 6)] if name == "cifar10" else ["train"]
    train = [_read_cifar_batch(folder / batch, _CIFAR_LABELS[name]) for batch in batches]
    test = _read_cifar_batch(folder / ("test_batch" if name == "cifar10" else "test"), _CIFAR_LABELS[name])
    return Splits(np.concatenate([x for x, _ in train]), np.concatenate([y for _, y in train]), *test)


def read_idx(folder: Path) -> Splits:
    """Reads the four IDX files of MNIST or Fashion-MNIST, gzipped or not.

    Args:
        folder: Folder with the files.

    Returns:
        Splits with images of shape (n, 28, 28).

    Raises:
        LwcnnError: If a file is missing or corrupt.
    """
    x_train, y_train, x_test, y_test = (_read_idx_file(folder, stem) for stem in _IDX_NAMES)
    return Splits(x_train, y_train, x_test, y_test)


def _find_archive(name: str, folder: Path, place: str) -> Source | None:
    if name in _CIFAR_FOLDERS:
        archive = _CIFAR_FOLDERS[name]
        for inner in (archive, f"{name}/{archive}", f"{archive}-target/{archive}"):  # the last is Keras 3's
            if (folder / inner).is_dir():
                return Source(f"{place}/{inner}", partial(read_cifar, folder / inner, name))
    if name in _IDX_FOLDERS:
        for inner in _IDX_FOLDERS[name]:
            if _idx_file(folder / inner, _IDX_NAMES[0]) is not None:
                return Source(f"{place}/{inner}", partial(read_idx, folder / inner))
        if _idx_file(folder, _IDX_NAMES[0]) is not None and _idx_dataset_name(folder) == name:
            return Source(f"{place}/{_IDX_NAMES[0]} and others", partial(read_idx, folder))
    return None


def _idx_dataset_name(folder: Path) -> str:
    try:
        labels = _read_idx_file(folder, _IDX_NAMES[1])
    except LwcnnError:
        return "mnist"  # reading the files will report the fault
    is_fashion = hashlib.sha256(labels.astype(np.uint8).tobytes()).hexdigest() == _FASHION_LABELS
    return "fashion_mnist" if is_fashion else "mnist"


def _idx_file(folder: Path, stem: str) -> Path | None:
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx")):  # some unpackers write a dot
        if (folder / name).is_file():
            return folder / name
    return None


def _read_idx_file(folder: Path, stem: str) -> np.ndarray:
    path = _idx_file(folder, stem)
    if path is None:
        raise LwcnnError(
            f"Put all four files {', '.join(_IDX_NAMES)} (or with .gz) into the folder; {stem} is missing. "
            f"Received: {str(folder)!r}"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            zero, dtype_code, ndim = struct.unpack(">HBB", stream.read(4))
            if (zero, dtype_code) != (0, 8) or ndim > 4:  # 8 is unsigned bytes
                raise ValueError("not an IDX file of bytes")
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
            size = math.prod(shape)
            data = stream.read(min(size, _MAX_IDX_BYTES) + 1)  # one more byte, to detect a file that is too long
        if len(data) != size:
            raise ValueError(f"the file does not have {size:,} bytes, as its header states")
        return np.frombuffer(data, np.uint8).reshape(shape)
    except Exception as error:  # gzip, zlib, struct and NumPy raise different errors
        raise _corrupt(path, error) from error


def _read_cifar_batch(path: Path, label_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        require_file(path)
        batch = read_pickle(path.read_bytes())
        pixels, labels = batch[b"data"], batch[label_key]
        if not isinstance(pixels, np.ndarray) or not (isinstance(labels, list) and set(map(type, labels)) <= {int}):
            raise ValueError("the pixels are not an array or the labels are not a list of integers")
        # An image is stored as 1,024 red, 1,024 green and 1,024 blue values, row by row.
        return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(labels, np.int64)
    except Exception as error:  # corrupt pickles can raise any error
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> LwcnnError:
    return LwcnnError(
        "Extract the official archive again: a file is missing, truncated or corrupt "
        f"({type(error).__name__}: {error}). Received: {str(path)!r}"
    )

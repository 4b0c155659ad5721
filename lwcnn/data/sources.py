"""Finds a data set's files on this machine and reads them, in whichever of their usual forms they are."""

import gzip
import hashlib
import math
import os
import struct
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

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
# Folders below the data folder, or below Keras's cache, where people and libraries keep the official files.
_IDX_FOLDERS = {
    "mnist": ("mnist", "MNIST", "MNIST/raw"),
    "fashion_mnist": ("fashion_mnist", "fashion-mnist", "FashionMNIST", "FashionMNIST/raw"),
}
_CIFAR_FOLDERS = {"cifar10": "cifar-10-batches-py", "cifar100": "cifar-100-python"}
_CIFAR_LABELS = {"cifar10": b"labels", "cifar100": b"fine_labels"}
_MAX_IDX_BYTES = 2**30  # 20 times MNIST's training images
# sha256 of Fashion-MNIST's training labels: its files have the very names of MNIST's.
_FASHION_LABELS = "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"


@dataclass(frozen=True)
class Source:
    """Where a data set was found: in words without an absolute path, and how to read it."""

    words: str
    read: Callable[[], Splits]
    is_cache: bool = False


def data_folder(data_dir: str | os.PathLike[str] | None = None) -> tuple[Path, str] | None:
    """The user's folder of data sets and what to call it, or None where the user has named none.

    Args:
        data_dir: The folder; None takes the environment variable LWCNN_DATA_DIR.

    Raises:
        LwcnnError: The folder does not exist.
    """
    given, words = (data_dir, "data_dir") if data_dir else (os.environ.get(DATA_DIR_VARIABLE), DATA_DIR_VARIABLE)
    if not given:
        return None
    folder = Path(os.path.expanduser(given))
    if not folder.is_dir():
        raise LwcnnError(
            f"The folder of data sets does not exist: set {words} to one that holds <dataset>.npz, or leave "
            f"it away. Received: {words}={str(given)!r}"
        )
    return folder, words


def keras_cache() -> Path:
    """The folder where Keras keeps the data sets that it has fetched (it need not exist)."""
    home = os.environ.get("KERAS_HOME")
    folder = Path(os.path.expanduser(home)) if home else Path(os.path.expanduser("~")) / ".keras"
    nearest = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(nearest, os.W_OK):  # then Keras, too, takes the folder for temporary files
        folder = Path(tempfile.gettempdir()) / ".keras"
    return folder / "datasets"


def find_source(name: str, data_dir: str | os.PathLike[str] | None = None) -> Source | None:
    """Where a named data set lies on this machine: the user's folder first, then Keras's cache.

    Args:
        name: "mnist", "fashion_mnist", "cifar10" or "cifar100".
        data_dir: The user's folder; None takes LWCNN_DATA_DIR.

    Returns:
        The first place that has it, not yet read, or None.
    """
    user_folder = data_folder(data_dir)
    cache = keras_cache()
    if user_folder is not None:
        folder, words = user_folder
        npz = folder / f"{name}.npz"
        if npz.exists():
            return Source(f"{words}/{npz.name}", partial(read_npz, npz))
        archive = _find_archive(name, folder, words)
        if archive is not None:
            return archive
    if name == "mnist" and (cache / "mnist.npz").exists():
        return Source("Keras's cache/mnist.npz", partial(read_npz, cache / "mnist.npz"), is_cache=True)
    archive = _find_archive(name, cache, "Keras's cache")
    return None if archive is None else Source(archive.words, archive.read, is_cache=True)


def read_npz(path: str | os.PathLike[str]) -> Splits:
    """The arrays of an .npz with Keras's keys, and its class names where it has `class_names`.

    Raises:
        LwcnnError: The file is missing, corrupt or has other keys.
    """
    arrays = load_npz(path)
    missing = [key for key in NPZ_KEYS if key not in arrays]
    if missing:
        raise LwcnnError(
            f"The .npz must have the keys {', '.join(NPZ_KEYS)} (and may have class_names); "
            f"{', '.join(missing)} not found. "
            f"Received: keys {', '.join(sorted(arrays)) or '(none)'} in {str(path)!r}"
        )
    splits = Splits(arrays["x_train"], arrays["y_train"], arrays["x_test"], arrays["y_test"])
    if "may_flip" in arrays:
        splits = splits._replace(may_flip=_read_may_flip(arrays["may_flip"], path))
    names = arrays.get("class_names")
    if names is None:
        return splits
    return splits._replace(class_names=decode_class_names(names, repr(str(path))))


def _read_may_flip(value: np.ndarray, path: str | os.PathLike[str]) -> bool:
    if value.shape != () or value.dtype.kind not in "biu":
        raise LwcnnError(
            "The key may_flip must be a single True or False: whether a mirrored image still belongs to its class. "
            f"Received: dtype {value.dtype}, shape {value.shape} in {str(path)!r}"
        )
    return bool(value)


def read_cifar(folder: Path, name: str) -> Splits:
    """The splits of an extracted `cifar-10-batches-py` or `cifar-100-python`; images (n, 32, 32, 3)."""
    batches = [f"data_batch_{i}" for i in range(1, 6)] if name == "cifar10" else ["train"]
    train = [_read_cifar_batch(folder / batch, _CIFAR_LABELS[name]) for batch in batches]
    test = _read_cifar_batch(folder / ("test_batch" if name == "cifar10" else "test"), _CIFAR_LABELS[name])
    return Splits(np.concatenate([x for x, _ in train]), np.concatenate([y for _, y in train]), *test)


def read_idx(folder: Path) -> Splits:
    """The splits of the four files of MNIST or Fashion-MNIST, gzipped or not; images (n, 28, 28)."""
    x_train, y_train, x_test, y_test = (_read_idx_file(folder, stem) for stem in _IDX_NAMES)
    return Splits(x_train, y_train, x_test, y_test)


def _find_archive(name: str, folder: Path, words: str) -> Source | None:
    if name in _CIFAR_FOLDERS:
        archive = _CIFAR_FOLDERS[name]
        for inner in (archive, f"{name}/{archive}", f"{archive}-target/{archive}"):  # the last is Keras 3's
            if (folder / inner).is_dir():
                return Source(f"{words}/{inner}", partial(read_cifar, folder / inner, name))
    if name in _IDX_FOLDERS:
        for inner in _IDX_FOLDERS[name]:
            if _idx_file(folder / inner, _IDX_NAMES[0]) is not None:
                return Source(f"{words}/{inner}", partial(read_idx, folder / inner))
        if _idx_file(folder, _IDX_NAMES[0]) is not None and _name_of_idx(folder) == name:
            return Source(f"{words}/{_IDX_NAMES[0]} and others", partial(read_idx, folder))
    return None


def _name_of_idx(folder: Path) -> str:
    try:
        labels = _read_idx_file(folder, _IDX_NAMES[1])
    except LwcnnError:
        return "mnist"  # reading it will say what is wrong
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
            f"The file {stem} (or {stem}.gz) is missing; put all four files there: {', '.join(_IDX_NAMES)}. "
            f"Received: {str(folder)!r}"
        )
    try:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
            zero, dtype_code, ndim = struct.unpack(">HBB", stream.read(4))
            if (zero, dtype_code) != (0, 8) or ndim > 4:  # 8 is unsigned bytes
                raise ValueError("not an IDX file of bytes")
            shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
            size = math.prod(shape)
            data = stream.read(min(size, _MAX_IDX_BYTES) + 1)  # one more, to see whether the file ends there
        if len(data) != size:
            raise ValueError(f"not {size:,} bytes, as its header says")
        return np.frombuffer(data, np.uint8).reshape(shape)
    except Exception as error:  # gzip, zlib, struct and NumPy each have their own
        raise _corrupt(path, error) from error


def _read_cifar_batch(path: Path, label_key: bytes) -> tuple[np.ndarray, np.ndarray]:
    try:
        require_file(path)
        batch = read_pickle(path.read_bytes())
        pixels, labels = batch[b"data"], batch[label_key]
        if not isinstance(pixels, np.ndarray) or not (isinstance(labels, list) and set(map(type, labels)) <= {int}):
            raise ValueError("no array of pixels or no list of labels")
        # The file has each image as 1,024 reds, then greens, then blues, row by row.
        return pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), np.array(labels, np.int64)
    except Exception as error:  # corrupt pickles raise nearly anything
        raise _corrupt(path, error) from error


def _corrupt(path: Path, error: Exception) -> LwcnnError:
    return LwcnnError(
        f"A file of the official archive is missing, cut short or corrupt ({type(error).__name__}: {error}). "
        f"Extract the archive again. Received: {str(path)!r}"
    )

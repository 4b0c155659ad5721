"""Readers of public data sets in their official layouts, and of .npz files."""

import gzip
import hashlib
import math
import os
import pickle
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from lwcnn.data.checks import Splits, decode_class_names, invalid
from lwcnn.data.image_files import read_images
from lwcnn.data.splits import TEST_FRACTION, stratified_split
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import require_file
from lwcnn.system.npz import load_npz

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
IDX_NAMES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)
_MAX_IDX_BYTES = 2**30  # 20 times MNIST's training images
# A pickle can run code, so only the official ones are read. Checksums: those of torchvision.
CIFAR_MD5 = {
    "data_batch_1": "c99cafc152244af753f735de768cd75f",
    "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
    "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
    "data_batch_4": "634d18415352ddfa80567beed471001a",
    "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
    "test_batch": "40351d587109b95175f43aff81a1287e",
    "train": "16019d7e3df5f24257cddd939b257f8d",
    "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
}


def read_npz(path: str | os.PathLike[str]) -> Splits:
    """Reads an .npz file with Keras's keys and optionally `class_names` and `mirror`."""
    arrays = load_npz(path)
    missing = [key for key in NPZ_KEYS if key not in arrays]
    if missing:
        advice = f"Save the arrays under the keys {', '.join(NPZ_KEYS)}, optionally with class_names and mirror"
        raise invalid(advice, f"keys {', '.join(sorted(arrays)) or '(none)'}", repr(str(path)))
    names, mirror = arrays.get("class_names"), arrays.get("mirror")
    if mirror is not None and (mirror.shape != () or mirror.dtype.kind not in "biu"):
        advice = "Save mirror as a single True or False: whether a mirrored image still belongs to its class"
        raise invalid(advice, f"dtype {mirror.dtype}, shape {mirror.shape}", repr(str(path)))
    class_names = None if names is None else decode_class_names(names, repr(str(path)))
    return _splits([arrays[key] for key in NPZ_KEYS], class_names, None if mirror is None else bool(mirror))


def read_cifar(folder: Path, train: tuple[str, ...], test: str, labels: str = "labels") -> Splits:
    """Reads the named files of an extracted CIFAR archive, such as `cifar-10-batches-py`; `labels` is their key."""
    batches = [_read_cifar_batch(folder / name, labels) for name in (*train, test)]
    images, numbers = (np.concatenate(arrays) for arrays in zip(*batches[:-1], strict=True))
    return Splits(images, numbers, *batches[-1])


def read_idx(folder: Path, names: tuple[str, ...] = IDX_NAMES) -> Splits:
    """Reads the four IDX files of MNIST and its successors, gzipped or not; `names` has the order of `IDX_NAMES`."""
    return _splits([_read_idx_file(folder, name) for name in names])


def read_emnist(folder: Path, part: str) -> Splits:
    """Reads one of EMNIST's parts, such as "balanced"; its images are stored transposed, its letters from 1 on."""
    names = tuple(
        f"emnist-{part}-{split}-{kind}-ubyte" for split in ("train", "test") for kind in ("images-idx3", "labels-idx1")
    )
    x_train, y_train, x_test, y_test = read_idx(folder, names)[:4]
    first = 1 if part == "letters" else 0
    assert x_test is not None and y_test is not None
    return Splits(x_train.transpose(0, 2, 1), y_train - first, x_test.transpose(0, 2, 1), y_test - first)


def read_stl10(folder: Path) -> Splits:
    """Reads the labeled images of an extracted archive `stl10_binary`."""
    arrays: list[np.ndarray] = []
    for part in ("train", "test"):
        pixels, labels = (_read_bytes(folder / f"{part}_{kind}.bin") for kind in "Xy")
        pixels = pixels.reshape(len(labels), 3, 96, 96).transpose(0, 3, 2, 1)  # stored by column
        arrays += [pixels, labels - 1]  # labels from 1
    return _splits(arrays)


def read_svhn(folder: Path) -> Splits:
    """Reads `train_32x32.mat` and `test_32x32.mat` of SVHN, in which the digit 0 has the label 10."""
    from scipy.io import loadmat

    arrays: list[np.ndarray] = []
    for part in ("train", "test"):
        content = loadmat(folder / f"{part}_32x32.mat")
        arrays += [content["X"].transpose(3, 0, 1, 2), content["y"].astype(np.int64) % 10]
    return _splits(arrays)


def read_tiny_imagenet(folder: Path) -> Splits:
    """Reads an extracted archive `tiny-imagenet-200`. Validation images become test images: those have no labels."""
    ids = (folder / "wnids.txt").read_text().split()
    words = dict(line.split("\t") for line in (folder / "words.txt").read_text().splitlines())
    rows = [line.split("\t") for line in (folder / "val" / "val_annotations.txt").read_text().splitlines()]
    test = [(folder / "val" / "images" / row[0], ids.index(row[1])) for row in rows]
    train = [(path, k) for k, name in enumerate(ids) for path in sorted((folder / "train" / name).glob("images/*"))]
    arrays: list[np.ndarray] = []
    for part in (train, test):
        paths = [path for path, _ in part]
        images, _, errors = read_images(paths, (64, 64, 3))
        for index, error in errors.items():
            raise ValueError(f"{paths[index]}: {error}")
        arrays += [images, np.array([label for _, label in part], np.int64)]
    names = [words.get(name, name).split(",")[0].strip() for name in ids]
    count = Counter(names)  # "crane" is a bird and a machine
    return _splits(arrays, tuple(n if count[n] == 1 else f"{n} ({k})" for n, k in zip(names, ids, strict=True)))


def read_digits() -> Splits:
    """Loads scikit-learn's 1,797 digits at MNIST's size, with a fixed stratified fifth as the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = enlarge_digits(digits.images), digits.target.astype(np.int64)
    train, test = stratified_split(labels, TEST_FRACTION, seed=0)
    return Splits(images[train], labels[train], images[test], labels[test])


def enlarge_digits(images: np.ndarray) -> np.ndarray:
    """Resizes 8x8 digits, 0 to 16, to 28x28, 0 to 255, by bilinear interpolation with half-pixel centers.

    All weights are multiples of 1/14: integers, rounded once, give the same pixels and checksum on every machine.
    """
    # The center of output pixel i lies at source coordinate (i + 1/2) * 8/28 - 1/2 = (4 i - 5) / 14.
    rows = np.arange(28)
    left, weight_right = np.divmod(np.clip(4 * rows - 5, 0, 14 * 7), 14)
    weights = np.zeros((28, 8), np.int64)
    weights[rows, left] = 14 - weight_right
    weights[rows, np.minimum(left + 1, 7)] += weight_right
    enlarged = weights @ images.astype(np.int64) @ weights.T  # (n, 28, 28), 0..16 * 14 * 14
    full_scale = 16 * 14 * 14
    return ((2 * 255 * enlarged + full_scale) // (2 * full_scale)).astype(np.uint8)


def find_file(folder: Path, stem: str) -> Path | None:
    """Returns the path of a file, with or without .gz, or None."""
    names = (stem, f"{stem}.gz", stem.replace("-idx", ".idx"))  # some unpackers write a dot
    return next((folder / name for name in names if (folder / name).exists()), None)


def read_official(read: Callable[[Path], Splits], folder: Path) -> Splits:
    """Reads the official files in a folder by one of the functions above."""
    try:
        return read(folder)
    except Exception as error:  # damaged files can raise any error
        raise LwcnnError(
            "Extract the official archive again: a file is missing, truncated or corrupt "
            f"({type(error).__name__}: {error}). Received: {str(folder)!r}"
        ) from error


def _splits(arrays: list[np.ndarray], class_names: tuple[str, ...] | None = None, mirror: bool | None = None) -> Splits:
    x_train, y_train, x_test, y_test = arrays
    return Splits(x_train, y_train, x_test, y_test, class_names, mirror)


def _read_bytes(path: Path) -> np.ndarray:
    require_file(path)
    return np.fromfile(path, np.uint8)


def _read_idx_file(folder: Path, stem: str) -> np.ndarray:
    path = find_file(folder, stem)
    if path is None:
        raise FileNotFoundError(stem)
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
        zero, dtype_code, ndim = struct.unpack(">HBB", stream.read(4))
        if (zero, dtype_code) != (0, 8) or ndim > 4:  # 8 is unsigned bytes
            raise ValueError(f"{stem} is not an IDX file of bytes")
        shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
        size = math.prod(shape)
        data = stream.read(min(size, _MAX_IDX_BYTES) + 1)  # one more byte, to detect a file that is too long
    if len(data) != size:
        raise ValueError(f"{stem} does not have {size:,} bytes, as its header states")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _read_cifar_batch(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    content = _read_bytes(path).tobytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != CIFAR_MD5[path.name]:
        raise ValueError(f"{path.name} does not have the official checksum")
    batch = pickle.loads(content, encoding="bytes")
    # An image is stored as 1,024 red, 1,024 green and 1,024 blue values, row by row.
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch[labels.encode()], np.int64)

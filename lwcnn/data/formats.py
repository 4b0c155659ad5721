"""Readers of public datasets in their official layouts, and of .npz files."""

import gzip
import hashlib
import logging
import math
import pickle
import struct
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data.checks import decode_class_names
from lwcnn.data.image_files import read_images
from lwcnn.data.splits import TEST_FRACTION, DatasetParts, Part, split_for_training
from lwcnn.system.errors import Unavailable, located, wrong
from lwcnn.system.files import StrPath, require_available
from lwcnn.system.npz import load_npz

NPZ_KEYS = ("x_train", "y_train", "x_test", "y_test")
_MAX_IDX_BYTES = 2**30  # 20 times MNIST's training images
_log = logging.getLogger(__name__)
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


def read_npz(path: StrPath) -> DatasetParts:
    """Reads an .npz file with Keras's keys and optionally `class_names` and `mirror`."""
    arrays = load_npz(path)
    names, mirror = arrays.get("class_names"), arrays.get("mirror")
    with located(repr(str(path))):
        if any(key not in arrays for key in NPZ_KEYS):
            advice = f"Save the arrays under the keys {', '.join(NPZ_KEYS)}, optionally with class_names and mirror"
            raise wrong(advice, f"keys {', '.join(sorted(arrays)) or '(none)'}")
        if mirror is not None and (mirror.shape != () or mirror.dtype.kind not in "biu" or mirror not in (0, 1)):
            advice = "Save mirror as a single True or False: whether a mirrored image still belongs to its class"
            raise wrong(advice, str(mirror) if mirror.shape == () else f"dtype {mirror.dtype}, shape {mirror.shape}")
        class_names = () if names is None else decode_class_names(names)
    if unused := sorted({*arrays} - {*NPZ_KEYS, "class_names", "mirror"}):
        _log.warning("Left out arrays of %s: %s", Path(path).name, ", ".join(unused))
    train, test = ((arrays[f"x_{part}"], arrays[f"y_{part}"]) for part in ("train", "test"))
    return DatasetParts(train, test, class_names, None if mirror is None else bool(mirror))


def read_official(name: str, folder: Path) -> DatasetParts:
    """Reads the official files of a dataset, one of `READERS`, in a folder."""
    try:
        train, test = (READERS[name](folder, part) for part in ("train", "test"))
        return DatasetParts(train, test, _tiny_imagenet_names(folder) if name == "tiny_imagenet" else ())
    except Unavailable:
        raise
    except Exception as error:  # damaged files can raise any error
        require_available(error, folder)
        raise wrong(
            "Extract the official archive again: a file is missing, truncated or corrupt "
            f"({type(error).__name__}: {error})",
            repr(str(folder)),
        ) from error


def _read_cifar(folder: Path, part: str, files: Mapping[str, Sequence[str]], labels: str = "labels") -> Part:
    batches = [_read_cifar_batch(folder / name, labels) for name in files[part]]
    images, numbers = (np.concatenate(arrays) for arrays in zip(*batches, strict=True))
    return images, numbers


def _read_cifar_batch(path: Path, labels: str) -> Part:
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != CIFAR_MD5[path.name]:
        raise ValueError(f"{path.name} does not have the official checksum")
    batch = pickle.loads(content, encoding="bytes")
    # An image is stored as 1,024 red, 1,024 green and 1,024 blue values, row by row.
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch[labels.encode()], np.int64)


def _read_mnist(folder: Path, part: str) -> Part:
    stem = {"train": "train", "test": "t10k"}[part]
    return _read_idx(folder, f"{stem}-images-idx3-ubyte"), _read_idx(folder, f"{stem}-labels-idx1-ubyte")


def _read_emnist(folder: Path, part: str, kind: str) -> Part:
    images, labels = (
        _read_idx(folder, f"emnist-{kind}-{part}-{what}-ubyte") for what in ("images-idx3", "labels-idx1")
    )
    return images.transpose(0, 2, 1), labels - (1 if kind == "letters" else 0)  # stored transposed, letters from 1


def _read_idx(folder: Path, stem: str) -> np.ndarray:
    path = find_file(folder, stem)
    if path is None:
        raise FileNotFoundError(stem)
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as stream:
        zero, dtype_code, ndim = struct.unpack(">HBB", stream.read(4))
        if (zero, dtype_code) != (0, 8):  # 8 is unsigned bytes
            raise ValueError(f"{stem} is not an IDX file of bytes")
        shape = struct.unpack(f">{ndim}I", stream.read(4 * ndim))
        size = math.prod(shape)
        data = stream.read(min(size, _MAX_IDX_BYTES) + 1)  # one more byte, to detect a file that is too long
    if len(data) != size:
        raise ValueError(f"{stem} does not have {size:,} bytes, as its header states")
    return np.frombuffer(data, np.uint8).reshape(shape)


def find_file(folder: Path, stem: str) -> Path | None:
    """Returns the path of a file, with or without .gz, or None."""
    names = (stem, stem.replace("-idx", ".idx"))  # some unpackers write a dot
    return next((path for name in names for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)


def _read_stl10(folder: Path, part: str) -> Part:
    pixels, labels = (np.fromfile(folder / f"{part}_{kind}.bin", np.uint8) for kind in "Xy")
    return pixels.reshape(len(labels), 3, 96, 96).transpose(0, 3, 2, 1), labels - 1  # by column, labels from 1


def _read_svhn(folder: Path, part: str) -> Part:
    from scipy.io import loadmat

    content = loadmat(folder / f"{part}_32x32.mat")
    return content["X"].transpose(3, 0, 1, 2), content["y"].astype(np.int64) % 10  # the digit 0 has the label 10


def _read_tiny_imagenet(folder: Path, part: str) -> Part:
    """Reads a part of Tiny-ImageNet; the test images are the official validation images, since those have labels."""
    ids = (folder / "wnids.txt").read_text().split()
    if part == "train":
        files = [(path, k) for k, name in enumerate(ids) for path in sorted((folder / "train" / name).glob("images/*"))]
    else:
        rows = [line.split("\t") for line in (folder / "val" / "val_annotations.txt").read_text().splitlines()]
        files = [(folder / "val" / "images" / row[0], ids.index(row[1])) for row in rows]
    images, _, unreadable = read_images([path for path, _ in files], (64, 64, 3))
    for index, why in unreadable.items():
        raise ValueError(f"{files[index][0]}: {why}")
    return images, np.array([label for _, label in files], np.int64)


def _tiny_imagenet_names(folder: Path) -> tuple[str, ...]:
    ids = (folder / "wnids.txt").read_text().split()
    words = dict(line.split("\t") for line in (folder / "words.txt").read_text().splitlines())
    names = [words.get(name, name).split(",")[0].strip() for name in ids]
    count = Counter(names)  # "crane" is a bird and a machine
    return tuple(n if count[n] == 1 else f"{n} ({k})" for n, k in zip(names, ids, strict=True))


_CIFAR10 = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_CIFAR100 = {"train": ("train",), "test": ("test",)}
READERS: dict[str, Callable[[Path, str], Part]] = {
    "mnist": _read_mnist,
    "fashion_mnist": _read_mnist,
    "kmnist": _read_mnist,
    "emnist_balanced": partial(_read_emnist, kind="balanced"),
    "emnist_letters": partial(_read_emnist, kind="letters"),
    "cifar10": partial(_read_cifar, files=_CIFAR10),
    "cifar100": partial(_read_cifar, files=_CIFAR100, labels="fine_labels"),
    "cifar100_coarse": partial(_read_cifar, files=_CIFAR100, labels="coarse_labels"),
    "stl10": _read_stl10,
    "svhn": _read_svhn,
    "tiny_imagenet": _read_tiny_imagenet,
}
"""Functions that read a part, "train" or "test", of a dataset's official files from one of its folders."""


def read_digits() -> DatasetParts:
    """Loads scikit-learn's 1,797 digits at MNIST's size, with a fixed stratified fifth as the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = enlarge_digits(digits.images), digits.target.astype(np.int64)
    train, test = split_for_training(labels, TEST_FRACTION)
    return DatasetParts((images[train], labels[train]), (images[test], labels[test]))


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

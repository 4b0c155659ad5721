"""Readers of public data sets in their official layouts: IDX, CIFAR's batches, STL-10, SVHN, Tiny-ImageNet, .npz."""

import gzip
import hashlib
import math
import os
import pickle
import struct
from collections import Counter
from pathlib import Path

import numpy as np

from lwcnn.data.checks import Splits, decode_class_names, invalid
from lwcnn.data.image_files import read_images
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
    return _splits([images, numbers, *batches[-1]])


def read_idx(folder: Path, names: tuple[str, ...] = IDX_NAMES) -> Splits:
    """Reads the four IDX files of MNIST and its successors, gzipped or not; `names` has the order of `IDX_NAMES`."""
    return _splits([_read_idx_file(folder, name, names) for name in names])


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
        if len(pixels) != 3 * 96 * 96 * len(labels):
            raise corrupt(folder / f"{part}_X.bin", f"{len(pixels):,} bytes for {len(labels):,} labels")
        arrays += [pixels.reshape(-1, 3, 96, 96).transpose(0, 3, 2, 1), labels - 1]  # stored by column, labels from 1
    return _splits(arrays)


def read_svhn(folder: Path) -> Splits:
    """Reads `train_32x32.mat` and `test_32x32.mat` of SVHN, in which the digit 0 has the label 10."""
    from scipy.io import loadmat

    arrays: list[np.ndarray] = []
    for part in ("train", "test"):
        path = folder / f"{part}_32x32.mat"
        try:
            require_file(path)
            content = loadmat(path)
            arrays += [content["X"].transpose(3, 0, 1, 2), content["y"].astype(np.int64) % 10]
        except Exception as error:  # damaged files can raise any error
            raise corrupt(path, error) from error
    return _splits(arrays)


def read_tiny_imagenet(folder: Path) -> Splits:
    """Reads an extracted archive `tiny-imagenet-200`. Validation images become test images: those have no labels."""
    try:
        ids = (folder / "wnids.txt").read_text().split()
        words = dict(line.split("\t") for line in (folder / "words.txt").read_text().splitlines())
        rows = [line.split("\t") for line in (folder / "val" / "val_annotations.txt").read_text().splitlines()]
        test = [(folder / "val" / "images" / row[0], ids.index(row[1])) for row in rows]
    except (OSError, ValueError, IndexError) as error:
        raise corrupt(folder, error) from error
    train = [(path, k) for k, name in enumerate(ids) for path in sorted((folder / "train" / name).glob("images/*"))]
    arrays: list[np.ndarray] = []
    for part in (train, test):
        paths = [path for path, _ in part]
        images, _, errors = read_images(paths, (64, 64, 3))
        for index, reason in errors.items():
            raise corrupt(paths[index], reason)
        arrays += [images, np.array([label for _, label in part], np.int64)]
    names = [words.get(name, name).split(",")[0].strip() for name in ids]
    count = Counter(names)  # "crane" is a bird and a machine
    return _splits(arrays, tuple(n if count[n] == 1 else f"{n} ({k})" for n, k in zip(names, ids, strict=True)))


def find_idx_file(folder: Path, stem: str) -> Path | None:
    """Returns the path of an IDX file, with or without .gz, or None."""
    for name in (stem, f"{stem}.gz", stem.replace("-idx", ".idx")):  # some unpackers write a dot
        if (folder / name).is_file():
            return folder / name
    return None


def corrupt(path: Path, reason: object) -> LwcnnError:
    """Returns the error for an official file that cannot be read."""
    words = f"{type(reason).__name__}: {reason}" if isinstance(reason, Exception) else str(reason)
    return LwcnnError(
        f"Extract the official archive again: a file is missing, truncated or corrupt ({words}). "
        f"Received: {str(path)!r}"
    )


def _splits(arrays: list[np.ndarray], class_names: tuple[str, ...] | None = None, mirror: bool | None = None) -> Splits:
    x_train, y_train, x_test, y_test = arrays
    return Splits(x_train, y_train, x_test, y_test, class_names, mirror)


def _read_bytes(path: Path) -> np.ndarray:
    try:
        require_file(path)
        return np.fromfile(path, np.uint8)
    except (OSError, LwcnnError) as error:
        raise corrupt(path, error) from error


def _read_idx_file(folder: Path, stem: str, names: tuple[str, ...]) -> np.ndarray:
    path = find_idx_file(folder, stem)
    if path is None:
        raise LwcnnError(
            f"Put all four files {', '.join(names)} (or with .gz) into the folder; {stem} is missing. "
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
        raise corrupt(path, error) from error


def _read_cifar_batch(path: Path, labels: str) -> tuple[np.ndarray, np.ndarray]:
    content = _read_bytes(path).tobytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != CIFAR_MD5[path.name]:
        raise corrupt(path, "it does not have the official checksum")
    batch = pickle.loads(content, encoding="bytes")
    # An image is stored as 1,024 red, 1,024 green and 1,024 blue values, row by row.
    images = batch[b"data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return images, np.array(batch[labels.encode()], np.int64)

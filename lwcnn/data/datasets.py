"""Data sets by name or by path, in one canonical order whatever file they come from."""

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lwcnn.data.checks import Splits, check_splits
from lwcnn.data.digits import load_digits_splits
from lwcnn.data.download import discard_download, download_splits, remedy_without_network
from lwcnn.data.known import (
    CLASS_NAMES,
    DATASET_NAMES,
    INPUT_SHAPES,
    NUM_IMAGES,
    OFFICIAL_CHECKSUMS,
    ImageSpec,
    image_spec,
)
from lwcnn.data.sources import data_folder, find_source, read_npz
from lwcnn.system.errors import LwcnnError, unknown_name
from lwcnn.system.safe_text import path_part

_DOWNLOAD = "Keras's download"
_ID_LENGTH = 8  # hexadecimal digits of a checksum that tell two data sets apart


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels in canonical order: each split sorted by a hash of its images' pixels.

    Attributes:
        name: One of `DATASET_NAMES` for the official images, whatever file they came from; else
            `<file>-<start of the checksum>`, so that results of different images never share a folder.
        x_train: shape (n, h, w, c), uint8, 0..255; gray images have c = 1.
        y_train: shape (n,), int64, 0..num_classes-1.
        x_test: shape (m, h, w, c), uint8.
        y_test: shape (m,), int64.
        class_names: num_classes names, by label.
        checksum: sha256 over both splits' shapes, pixels and labels, in hexadecimal.
        source: Where the data was read from, in words, never an absolute path.
        may_flip: Whether a mirrored image still belongs to its class, so that recipes may mirror it.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    checksum: str
    source: str
    may_flip: bool

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of an image."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def spec(self) -> ImageSpec:
        """What recipes may know of the images."""
        return ImageSpec(self.input_shape, self.may_flip)


def load_dataset(
    name_or_path: str | os.PathLike[str],
    data_dir: str | os.PathLike[str] | None = None,
    download: bool = True,
    may_flip: bool | None = None,
) -> Dataset:
    """A data set, checked and in canonical order.

    Looked for in this order: `<name>.npz` in the data folder, an extracted official archive there, Keras's
    cache, Keras's own download.

    Args:
        name_or_path: One of `DATASET_NAMES`, or the path of an .npz with Keras's keys `x_train`, `y_train`,
            `x_test`, `y_test` and, optionally, `class_names` and `may_flip`.
        data_dir: The data folder; None takes the environment variable LWCNN_DATA_DIR.
        download: Whether to fetch a named data set that is not on this machine.
        may_flip: Whether a mirrored image still belongs to its class. None takes what is known of the named data
            sets, else the file's `may_flip`, else True for color and False for gray images, such as digits.

    Returns:
        The data set. The same images in any order, from any of these places, give the same arrays.

    Raises:
        LwcnnError: An unknown name, a file that is missing, broken or something else, a failed download.
    """
    if not _is_name(name_or_path):
        path = Path(os.path.expanduser(name_or_path))
        splits = check_splits(read_npz(path), repr(str(path)))
        return _identified(path.stem, splits, path.name, may_flip)
    name = str(name_or_path)
    if name == "digits":
        splits, words = load_digits_splits(), find_dataset(name)
    else:
        splits, words = _read_or_download(name, data_dir, download)
    splits = check_splits(splits, f"{words} for {name!r}", CLASS_NAMES[name], INPUT_SHAPES[name])
    if may_flip is None:
        may_flip = image_spec(name).may_flip
    dataset = _identified(name, splits, str(words), may_flip)
    if dataset.name == name:
        return dataset
    if words == _DOWNLOAD and name in OFFICIAL_CHECKSUMS:
        discard_download(name)
        raise LwcnnError(
            f"The download of {name} failed its checksum and was removed: try again later. "
            f"{remedy_without_network(name)} Received: images of sha256 {dataset.checksum}"
        )
    return replace(dataset, source=f"{words} (not the official images)")


def find_dataset(name_or_path: str | os.PathLike[str], data_dir: str | os.PathLike[str] | None = None) -> str | None:
    """Where a data set would be read from without a download, in words, or None where it is not here.

    Args:
        name_or_path: One of `DATASET_NAMES` or the path of an .npz.
        data_dir: The data folder; None takes the environment variable LWCNN_DATA_DIR.

    Raises:
        LwcnnError: The name is unknown, or the data folder does not exist.
    """
    if not _is_name(name_or_path):
        return Path(name_or_path).name if Path(os.path.expanduser(name_or_path)).is_file() else None
    if name_or_path == "digits":
        return "scikit-learn's digits, enlarged from 8x8 to 28x28"
    source = find_source(str(name_or_path), data_dir)
    return None if source is None else source.words


def _read_or_download(name: str, data_dir: str | os.PathLike[str] | None, download: bool) -> tuple[Splits, str]:
    source = find_source(name, data_dir)
    if source is not None:
        try:
            return source.read(), source.words
        except LwcnnError:
            # The user's own file must not be passed over in silence; a broken cache can be fetched again.
            if not (source.is_cache and download):
                raise
    if not download:
        looked_in = "Keras's cache" if data_folder(data_dir) is None else "the data folder and Keras's cache"
        raise LwcnnError(
            f"{name} is neither in {looked_in}, and downloading is off. {remedy_without_network(name)} "
            f"Received: {name!r}"
        )
    return download_splits(name), _DOWNLOAD


def _is_name(name_or_path: str | os.PathLike[str]) -> bool:
    if name_or_path in DATASET_NAMES:
        return True
    if isinstance(name_or_path, os.PathLike) or str(name_or_path).endswith(".npz") or os.sep in str(name_or_path):
        return False
    raise unknown_name("dataset", str(name_or_path), (*DATASET_NAMES, "path/to/your.npz"))


def _identified(name: str, splits: Splits, source: str, may_flip: bool | None) -> Dataset:
    """The data set in canonical order, under the official name of its images or a name with their checksum."""
    x_train, y_train = _sort_by_pixels(splits.x_train, splits.y_train)
    x_test, y_test = _sort_by_pixels(splits.x_test, splits.y_test)
    digest = hashlib.sha256()
    for array in (x_train, y_train, x_test, y_test):
        digest.update(str(array.shape).encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
    checksum = digest.hexdigest()
    class_names = splits.class_names or ()
    official = _official_name(name, checksum, (len(x_train), len(x_test)))
    if official is not None:
        name, class_names = official, CLASS_NAMES[official]
        may_flip = image_spec(official).may_flip if may_flip is None else may_flip
    else:
        name = f"{path_part(name)}-{checksum[:_ID_LENGTH]}"
    if may_flip is None:
        may_flip = x_train.shape[3] > 1 if splits.may_flip is None else splits.may_flip
    return Dataset(name, x_train, y_train, x_test, y_test, class_names, checksum, source, may_flip)


def _official_name(name: str, checksum: str, num_images: tuple[int, int]) -> str | None:
    """The public data set that has this checksum; one without a known checksum goes by its name and size."""
    for official, known in OFFICIAL_CHECKSUMS.items():
        if known == checksum:
            return official
    is_unverified = name in DATASET_NAMES and name not in OFFICIAL_CHECKSUMS
    return name if is_unverified and num_images == NUM_IMAGES[name] else None


def _sort_by_pixels(images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the images in the order of a hash of their pixels, copies of one image by their labels."""
    images = np.ascontiguousarray(images)
    hashes = b"".join([hashlib.blake2b(image, digest_size=16).digest() for image in images])
    first, second = np.frombuffer(hashes, ">u8").reshape(-1, 2).T
    order = np.lexsort((labels, second, first))  # the last key counts first
    return images[order], labels[order]


def choose_dataset() -> tuple[Dataset, str | None]:
    """CIFAR-10 if it is on this machine or can be downloaded, else scikit-learn's digits.

    Returns:
        The data set, and for the digits a notice that says so, why, and how to get CIFAR-10.

    Raises:
        LwcnnError: The file of CIFAR-10 cannot be read: a broken file is no reason to use other data.
    """
    if find_dataset("cifar10"):
        return load_dataset("cifar10"), None
    try:
        return load_dataset("cifar10"), None  # by download
    except LwcnnError as error:
        notice = (  # the error says what to do to get CIFAR-10
            f"NOT CIFAR-10: scikit-learn's 8x8 digits, enlarged to 28x28, are used instead. Why: {error}"
        )
        return load_dataset("digits"), notice

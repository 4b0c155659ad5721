"""Loads datasets by name, from files or from memory, in a canonical order that does not depend on their source."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lwcnn.data import known
from lwcnn.data.arrays import read_arrays
from lwcnn.data.checks import check_image_array, check_splits, is_default, warn_of_copies
from lwcnn.data.folders import read_folder
from lwcnn.data.formats import read_npz
from lwcnn.data.image_files import Size, resize_images
from lwcnn.data.known import ImageSpec, image_spec, is_dataset_name
from lwcnn.data.sources import find_dataset, read_public
from lwcnn.data.splits import DatasetParts, Part, hash_images, is_among
from lwcnn.system.errors import LwcnnError, located, wrong
from lwcnn.system.files import StrPath
from lwcnn.system.safe_text import path_part

_ID_LENGTH = 8  # hexadecimal digits of the checksum in a dataset's name
_MIN_SEEN = 10  # images to calibrate int8


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images and labels of a dataset, each split sorted by a hash of the pixels.

    Attributes:
        name: Name of a public dataset (see `lwcnn datasets`) for the official images, in whatever file; otherwise
            `<file>-<start of the checksum>`, followed by `-mirror` or `-no_mirror` if the argument `mirror` differs
            from the default. Results on different images therefore never share a folder.
        x_train: Training images of shape (n, h, w, c), uint8, between 0 and 255; c is 1 for gray images.
        y_train: Training labels of shape (n,), int64, between 0 and num_classes - 1.
        x_test: Test images of shape (m, h, w, c), uint8.
        y_test: Test labels of shape (m,), int64.
        class_names: Class names by label.
        checksum: SHA-256 of the shapes, pixels and labels of both splits, hexadecimal, and of `is_validation` if it is
            not None. For images that are not public, it includes the class names of their source, unless these are the
            labels.
        source: Description of where the data was read from, without an absolute path.
        mirror: Whether a mirrored image still belongs to its class, so that recipes may flip it.
        is_validation: Mask (n,) of the training images that are for validation, if the source has them beside test
            images; otherwise None, and runs draw them. Copies of a validation image are validation images, too.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...]
    checksum: str
    source: str
    mirror: bool
    is_validation: np.ndarray | None = None

    def __repr__(self) -> str:
        size = "x".join(map(str, self.input_shape))
        found = f"{len(self.x_train):,} training and {len(self.x_test):,} test images of {size}"
        return f"<Dataset {self.name!r}: {found}, {self.num_classes} classes>"

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """Image shape (height, width, channels)."""
        height, width, channels = self.x_train.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def spec(self) -> ImageSpec:
        """Properties of the images that recipes may depend on."""
        return ImageSpec(self.input_shape, self.mirror)


def load_dataset(
    source: Any,
    data_dir: StrPath | None = None,
    download: bool = True,
    mirror: bool | None = None,
    size: Size | None = None,
) -> Dataset:
    """Loads and validates a dataset, and puts its images into canonical order.

    A named dataset is searched for in this order: `<name>.npz` in the data folder, an extracted official archive in
    the data folder, Keras's cache, a download.

    Args:
        source: One of:

            - a name (see `lwcnn datasets`);
            - the path of a folder of images with a subfolder for each class, or with `train` and `test` (or `val`)
              above them. Without test images, a fifth of each class is set aside; with all three, `val` is for
              validation;
            - the path of an .npz file with Keras's keys `x_train`, `y_train`, `x_test`, `y_test` and optionally
              `class_names` and `mirror`;
            - arrays `(x, y)` or `((x_train, y_train), (x_test, y_test))`;
            - a `tf.data.Dataset` of (image, label), batched or not, or a Hugging Face dataset;
            - a pair (training, test) of such arrays or datasets, or a dict of them with the keys "train" and "test" or
              "val", or with all three.
        data_dir: Data folder. If None, the environment variable LWCNN_DATA_DIR is used.
        download: Whether to download a named dataset that is not on this machine.
        mirror: Whether a mirrored image still belongs to its class. If None, it is known for named datasets;
            otherwise the file's `mirror` is used, or else True for color and False for gray images.
        size: Side of a square in pixels, (height, width), or (height, width, channels), to which images are resized.
            If None, image files (and Hugging Face images) get their median height and width, reduced to at most 96
            pixels, and arrays stay as they are.

    Returns:
        A `Dataset`. The same images give the same arrays, in whatever order they are read.

    Raises:
        LwcnnError: The name or path is unknown, the data cannot be read or downloaded, or images, labels or class
            names do not fit together. The message says what to change.

    Examples:
        >>> data = load_dataset("digits")
        >>> data.x_train.shape, data.num_classes
        ((1438, 28, 28, 1), 10)
    """
    if mirror is not None and not isinstance(mirror, bool):
        raise wrong("Give mirror as True, False or None", repr(mirror))
    public = str(source) if isinstance(source, (str, os.PathLike)) and is_dataset_name(source) else None
    if public:  # the name of the public dataset that this one is or should be
        splits, origin = read_public(public, data_dir, download)
        name, where = public, f"{origin} for {public!r}"
    else:
        splits, name, origin, where = _read_own(source, size)
    with located(where):
        train, test, class_names = check_splits(splits, public)
    shape = train[0].shape
    if size is not None:
        train, test = ((resize_images(images, size), labels) for images, labels in (train, test))
    held_out = hash_images(train[0][-splits.num_validation :])[0] if splits.num_validation else None
    train, test = _sort_by_pixels(*train), _sort_by_pixels(*test)
    is_validation = None if held_out is None else np.isin(hash_images(train[0])[0], held_out)
    checksum = _checksum(*train, *test, *([] if is_validation is None else [is_validation]))
    official = _official_name(name, checksum, train[0].shape, len(test[0]))
    if official is None:
        warn_of_copies(splits)
    if train[0].shape != shape:
        origin += ", resized"
    elif public and official != public:
        origin += " (not the official images)"
    if public_name := official or public:
        usually = image_spec(public_name).mirror
    else:
        usually = not _is_gray(train[0]) if splits.mirror is None else splits.mirror
    mirror = usually if mirror is None else mirror
    if official is not None:
        name, class_names = official, known.CLASS_NAMES.get(official, class_names)
    else:
        checksum, name = _identify(checksum, splits.class_names, name)
        name += "" if mirror == usually else "-mirror" if mirror else "-no_mirror"
    return Dataset(name, *train, *test, class_names, checksum, origin, mirror, is_validation)


def load_unseen(folder: Path, size: Size | None, class_names: tuple[str, ...], seen: str) -> Dataset:
    """Loads a folder without a test part; images that no model has seen are its test images.

    `seen` has the hashes of the seen images (`join_hashes`). They are the training images; if they are fewer than ten
    and at most half of the folder, all images are. If all images were seen, all are test images. Some of the classes in
    `class_names` may have no images. If `class_names` are empty or only labels, and the folder has other names, these
    are used.
    """
    splits, origin = read_folder(folder, size), folder.resolve().name
    images, labels = splits.train
    names = splits.class_names
    if is_default(class_names) and not set(names) <= set(class_names):
        class_names = names
    with located(repr(str(folder))):
        check_image_array(images, "images")
        if unknown := sorted(set(names) - set(class_names)):
            advice = f"Give images of the model's classes, {', '.join(class_names)}"
            raise wrong(advice, ", ".join(unknown[:5]))
    labels = np.array([class_names.index(name) for name in names])[labels]
    is_seen = is_among(images, seen)
    are_enough = is_seen.sum() >= _MIN_SEEN or is_seen.mean() > 0.5
    is_training = is_seen if are_enough else np.full(len(images), True)
    is_test = is_seen if is_seen.all() else ~is_seen
    train, test = (_sort_by_pixels(images[part], labels[part]) for part in (is_training, is_test))
    checksum, name = _identify(_checksum(*train, *test), class_names, origin)
    return Dataset(name, *train, *test, class_names, checksum, origin, not _is_gray(images))


def _read_own(source: Any, size: Size | None) -> tuple[DatasetParts, str, str, str]:
    """Returns the splits of the user's own images, their name, where they are from, and the same for errors."""
    if not isinstance(source, (str, os.PathLike)):
        return read_arrays(source, size), "images", "memory", "memory"
    path = Path(os.path.expanduser(source))
    if path.is_file() and path.suffix.lower() != ".npz":
        advice = "Give a folder of images with a subfolder per class (extract an archive first), or an .npz file"
        raise wrong(advice, repr(str(path)))
    splits = read_folder(path, size) if path.is_dir() else read_npz(path)  # a path that exists can be resolved
    origin = path.resolve().name
    return splits, origin if path.is_dir() else path.stem, origin, repr(str(path))


def _checksum(*arrays: np.ndarray) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(str(array.shape).encode())
        digest.update(array.astype(array.dtype.newbyteorder("<"), copy=False).data)
    return digest.hexdigest()


def _is_gray(images: np.ndarray) -> bool:
    """Returns whether all color channels of images (n, h, w, c) are equal, as in gray images with three channels."""
    return all((image[..., :3] == image[..., :1]).all() for image in images)  # stops at the first color image


def _official_name(name: str, checksum: str, shape: tuple[int, ...], num_test: int) -> str | None:
    """Returns the public dataset with this checksum, or with this name and shape if its checksum is unknown."""
    for official, its_checksum in known.OFFICIAL_CHECKSUMS.items():
        if its_checksum == checksum:
            return official
    is_unverified = name in known.DATASET_NAMES and name not in known.OFFICIAL_CHECKSUMS
    fits = is_unverified and (shape[0], num_test, shape[1:]) == (*known.NUM_IMAGES[name], known.INPUT_SHAPES[name])
    return name if fits else None


def _sort_by_pixels(images: np.ndarray, labels: np.ndarray) -> Part:
    """Sorts images by a hash of their pixels, and duplicates by label."""
    images = np.ascontiguousarray(images)
    first, second = hash_images(images)
    order = np.lexsort((labels, second, first))  # the last key counts first
    return images[order], labels[order]


def _identify(checksum: str, class_names: tuple[str, ...], name: str) -> tuple[str, str]:
    """Returns the checksum of images that are not public, with the names of their classes, and the dataset's name."""
    if not is_default(class_names):
        checksum = hashlib.sha256(f"{checksum} {class_names}".encode()).hexdigest()
    return checksum, f"{path_part(name)}-{checksum[:_ID_LENGTH]}"


def choose_dataset() -> tuple[Dataset, str | None]:
    """Returns CIFAR-10 and None, or else scikit-learn's digits and a notice: why, and how to get CIFAR-10."""
    try:
        return load_dataset("cifar10"), None
    except LwcnnError as error:
        if find_dataset("cifar10"):  # a broken file is reported
            raise
        notice = f"NOT CIFAR-10: scikit-learn's 8x8 digits, enlarged to 28x28, are used instead. Why: {error}"
        return load_dataset("digits"), notice

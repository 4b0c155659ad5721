"""Validates the arrays of a dataset before training."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from lwcnn.data import known
from lwcnn.data.splits import DatasetParts, Part, draw_test_images, hash_images
from lwcnn.system.errors import wrong
from lwcnn.system.safe_text import decode_name, one_line

MAX_CHANNELS = 4
MAX_COPIES = 0.01  # fraction of test images that may be, or by short hashes seem to be, training images, unwarned
MAX_PIXEL = 300  # of images from 0 to 255 that were interpolated
PIXELS_PER_BATCH = 2**19  # 512 images of 32x32 or 10 of 224x224

_log = logging.getLogger(__name__)


def check_splits(splits: DatasetParts, name: str | None) -> tuple[Part, Part, tuple[str, ...]]:
    """Validates a dataset; returns the training part, the test part and the class names.

    Each part becomes images (n, h, w, c) and int64 labels (n,). Images of shape (n, h, w) and integer labels of any
    type, (n,) or (n, 1), are accepted. Without a test part, a fifth of the images is drawn for testing. `name` is the
    name of a public dataset. Class names default to "0", "1", ...
    """
    names = splits.class_names
    check_class_names(names)
    train = _check_part(splits.train, "train")
    if splits.test is None:
        train, test = draw_test_images(*train, names, splits.keys)
    else:
        test = _check_part(splits.test, "test")
    (x_train, y_train), (x_test, y_test) = train, test
    shape = x_train.shape[1:]
    if shape != x_test.shape[1:]:
        advice = "Resize the images so that x_train and x_test have the same height, width and channels"
        raise wrong(advice, f"{shape} and {x_test.shape[1:]} (h, w, c)")
    if name is not None and shape != known.INPUT_SHAPES[name]:
        advice = f"Give this dataset images of shape {known.INPUT_SHAPES[name]} (h, w, c), or load your own data"
        raise wrong(f"{advice} by the path of its .npz file", str(shape))
    largest = int(y_train.max())
    if largest >= len(y_train):  # check before allocating an array of that size
        advice = "Number the classes from 0 without gaps; labels exceed the number of training images"
        raise wrong(advice, f"label {largest} for {len(y_train):,} training images")
    names = known.CLASS_NAMES.get(name or "") or names or tuple(map(str, range(largest + 1)))
    if len(names) < 2:
        advice = "Give at least two classes (in a folder, each subfolder is one)"
        raise wrong(advice, f"{len(names)} ({', '.join(names)})")
    lowest, highest = min(y_train.min(), y_test.min()), max(largest, y_test.max())
    if lowest == 1 and highest >= len(splits.class_names):
        raise wrong("Give y_train - 1 and y_test - 1, so that labels start at 0", f"labels from 1 to {highest}")
    for key, labels in (("y_train", y_train), ("y_test", y_test)):
        if labels.max() >= len(names):
            advice = f"Give labels from 0 to {len(names) - 1} in {key!r}, because there are {len(names)} classes"
            raise wrong(advice, f"{labels.max()}")
    empty = np.flatnonzero(np.bincount(y_train, minlength=len(names)) == 0)
    if len(empty):
        advice = "Add training images to every class"
        advice += "" if splits.class_names else ", or renumber the classes from 0 without gaps"
        raise wrong(advice, f"no training image of class {', '.join(names[label] for label in empty[:10])}")
    return train, test, names


def check_image_array(images: np.ndarray, key: str) -> np.ndarray:
    """Validates uint8 images (n, h, w) or (n, h, w, c), called `key` in a file, and returns them as (n, h, w, c)."""
    found = f"shape {images.shape}"
    if images.dtype != np.uint8:
        is_number = images.dtype.kind in "biuf" and images.size
        low, high = (float(images.min()), float(images.max())) if is_number else (0.0, 255.0)
        values = f", values from {low:g} to {high:g}" if is_number else ""
        raise wrong(f"Give {key!r} as uint8, 0..255: {_as_uint8(low, high)}", f"dtype {images.dtype}{values}")
    if images.ndim not in (3, 4):
        raise wrong(f"Give {key!r} the shape (n, height, width) or (n, height, width, channels)", found)
    if images.size == 0:
        raise wrong(f"Give at least one image in {key!r}", found)
    if images.ndim == 4 and images.shape[3] > MAX_CHANNELS:
        advice = f"Move the channels of {key!r} to the last axis, for example with images.transpose(0, 2, 3, 1)"
        raise wrong(f"{advice}; at most {MAX_CHANNELS} are supported", found)
    return images[..., np.newaxis] if images.ndim == 3 else images


def _as_uint8(low: float, high: float) -> str:
    """Returns an expression that converts `images` with values in this range to uint8."""
    if 0 <= low <= high <= 1:
        pixels = "images * 255.0"
    elif -1 <= low < 0 <= high <= 1:
        pixels = "(images + 1) * 127.5"
    elif low >= 0 and high > MAX_PIXEL:
        pixels = f"images / {2 ** int(high).bit_length() - 1} * 255"
    elif 255 - MAX_PIXEL < low and 128 <= high <= MAX_PIXEL:
        pixels = "images.clip(0, 255)"
    else:
        pixels = "(images - images.min()) / numpy.ptp(images) * 255"
    return f"({pixels}).round().astype('uint8')"


def require_pixels(images: np.ndarray) -> None:
    """Checks that images (n, h, w, c) of other types than uint8, which the networks accept too, have pixels 0..255."""
    is_image = images.ndim == 4 and images.shape[3] <= MAX_CHANNELS  # else features
    if not is_image or images.dtype == np.uint8 or images.size == 0:
        return
    if images.dtype.kind not in "biuf":
        raise wrong("Give pixels from 0 to 255", f"dtype {images.dtype}")
    low, high = float(images.min()), float(images.max())
    if not np.isfinite([low, high]).all():
        raise wrong("Give images without NaN and infinity", f"{(~np.isfinite(images)).sum():,} such values")
    is_scaled = 0 < high <= 1 and images.dtype.kind in "bf"  # a dark image of integers may have no other values
    if low < 0 or is_scaled or high > MAX_PIXEL:
        advice = "Give pixels from 0 to 255, not scaled or standardized: the networks rescale them"
        raise wrong(advice, f"{images.dtype} from {low:g} to {high:g}")


def _check_part(arrays: Part, part: str) -> Part:
    images, labels = arrays
    return check_image_array(images, f"x_{part}"), _check_labels(labels, len(images), f"y_{part}")


def _check_labels(labels: np.ndarray, num_images: int, key: str) -> np.ndarray:
    shape, dtype = f"shape {labels.shape}", f"dtype {labels.dtype}"
    if labels.ndim == 2 and labels.shape[1] > 1:
        if labels.dtype.kind in "biuf" and ((labels != 0).sum(axis=1) != 1).any():
            raise wrong(f"Give {key!r} one class per image: several are not supported", shape)
        raise wrong(f"Give {key!r} as class numbers instead of one-hot rows: labels.argmax(axis=1)", shape)
    if labels.dtype.kind in "US":
        how = "class_names, labels = numpy.unique(labels, return_inverse=True), and save class_names as well"
        raise wrong(f"Save {key!r} as class numbers: {how}", dtype)
    if labels.dtype.kind not in "iu":
        raise wrong(f"Give {key!r} as integers, for example labels.astype('int64')", dtype)
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] == 0):
        raise wrong(f"Give {key!r} the shape (n,)", shape)
    if len(labels) != num_images:
        raise wrong("Give one label for each image", f"{len(labels):,} in {key!r} for {num_images:,} images")
    if labels.min() < 0 or labels.max() > np.iinfo(np.int64).max:
        raise wrong(f"Number the classes in {key!r} from 0", f"labels from {labels.min()} to {labels.max()}")
    return labels.reshape(-1).astype(np.int64)


def warn_of_copies(splits: DatasetParts) -> None:
    """Logs how many images are in both parts, and how many are under more than one class, with two files of each."""
    parts = [part for part in (splits.train, splits.test) if part]
    hashes = np.concatenate([hash_images(images)[0] for images, _ in parts]).astype(np.uint64)
    labels = np.concatenate([labels.reshape(-1) for _, labels in parts])
    is_test = np.arange(len(hashes)) >= len(splits.train[1])
    in_both = _with_several(is_test, hashes)
    if (num_copies := np.isin(hashes[is_test], in_both).sum()) > MAX_COPIES * is_test.sum():
        told = "Images in both parts: %d of %d test images%s. Test accuracy is too high; remove them from one part."
        _log.warning(told, num_copies, is_test.sum(), _name_files(splits.files, in_both, is_test, hashes))
    if len(contradictory := _with_several(labels, hashes)):
        named = _name_files(splits.files, contradictory, labels, hashes)
        _log.warning("Images under more than one class: %d%s. Keep each in one class.", len(contradictory), named)


def _with_several(values: np.ndarray, hashes: np.ndarray) -> np.ndarray:
    """Returns the hashes of the images whose copies differ in a value."""
    distinct = np.unique(np.stack([hashes, values.astype(np.uint64)]), axis=1)
    found, counts = np.unique(distinct[0], return_counts=True)
    return found[counts > 1]


def _name_files(files: Sequence[str], found: np.ndarray, values: np.ndarray, hashes: np.ndarray) -> str:
    """Returns the names of two files of the first image found, which differ in a value; "" if they are unknown."""
    if not files:
        return ""
    is_copy = hashes == found[0]
    file_of = dict(zip(values[is_copy], np.array(files)[is_copy]))
    return f" ({' and '.join([*file_of.values()][:2])}{', ...' if len(found) > 1 else ''})"


def decode_class_names(names: np.ndarray) -> tuple[str, ...]:
    """Decodes class names, an array of strings or bytes (UTF-8, or else Latin-1) of shape (num_classes,)."""
    if names.ndim != 1 or names.dtype.kind not in "US":
        advice = "Save class_names as an array of strings of shape (num_classes,)"
        raise wrong(advice, f"dtype {names.dtype}, shape {names.shape}")
    return tuple(one_line(decode_name(name)) for name in names)


def check_class_names(names: tuple[str, ...]) -> None:
    """Checks that class names are distinct, because results are stored by name."""
    repeated = sorted(name for name, count in Counter(names).items() if count > 1)
    if repeated:
        raise wrong("Give each class a distinct name", f"{', '.join(map(repr, repeated[:5]))} more than once")


def is_default(names: Sequence[str]) -> bool:
    """Returns whether the class names are just the labels "0", "1", ..., or there are none."""
    return list(names) == [str(label) for label in range(len(names))]


def images_at_once(image_shape: tuple[int, ...], most: int = 500) -> int:
    """Returns a prediction batch size that bounds memory for images (height, width, channels); `most` for features."""
    if len(image_shape) != 3:
        return most
    height, width, _ = image_shape
    return max(1, min(most, PIXELS_PER_BATCH // (height * width)))

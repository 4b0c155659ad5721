"""Loads images from memory. Formats are recognized by attributes, without importing TensorFlow or `datasets`."""

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from lwcnn.data.checks import MAX_CHANNELS
from lwcnn.data.folders import TEST, TRAINING, VALIDATION
from lwcnn.data.image_files import NUM_COPIES, Size, choose_shape, read_images
from lwcnn.data.splits import DatasetParts
from lwcnn.system.errors import wrong
from lwcnn.system.safe_text import decode_name, one_line

_ADVICE = (
    "Give arrays (x, y) or ((x_train, y_train), (x_test, y_test)), a tf.data.Dataset of (image, label), or a Hugging "
    'Face dataset; two of them as a pair or under the keys "train" and "test"'
)
_NAMES = "USO"
"""Kinds of the arrays that hold names."""
Named = tuple[np.ndarray, np.ndarray, tuple[str, ...]]
"""Images, labels and class names; these are empty if they are unknown."""


def read_arrays(data: Any, size: Size | None) -> DatasetParts:
    """Returns the arrays of a dataset in memory (see `_ADVICE`); without test images if it has only one part.

    Labels may be class numbers or names. `size` is for Hugging Face images; by default their median, at most 96.
    """
    training, test = _parts(data)
    num_validation = 0
    x_train, labels, names = _read_part(training[0], size)
    for part in training[1:]:
        more = _read_part(part, x_train.shape[1:])
        if more[0].shape[1:] != x_train.shape[1:]:
            raise wrong("Resize the images to one shape", f"{x_train.shape[1:]} and {more[0].shape[1:]}")
        if more[1].ndim != labels.ndim:
            raise wrong("Give the labels of all parts as class numbers, shape (n,)", f"{labels.shape}, {more[1].shape}")
        x_train, labels = np.concatenate([x_train, more[0]]), np.concatenate([labels, _alike(more, labels, names)])
        num_validation = len(more[1])
    y_train, numbered = _number(labels, names)
    if test is None:
        return DatasetParts((x_train, y_train), None, numbered)
    more = _read_part(test, x_train.shape[1:])
    y_test, _ = _number(_alike(more, labels, names), numbered)
    return DatasetParts((x_train, y_train), (more[0], y_test), numbered, num_validation=num_validation)


def _alike(part: Named, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    """Returns a part's labels in the form of the first part's labels: as numbers of the same classes, or as names."""
    _, found, own_names = part
    if (found.dtype.kind in _NAMES) != (labels.dtype.kind in _NAMES):
        raise wrong("Give the labels of all parts as numbers, or all as names", f"{labels.dtype} and {found.dtype}")
    if found.dtype.kind in _NAMES or own_names == names or not (names and own_names) or found.ndim > 1:
        return found  # one-hot labels are refused later
    if unknown := sorted(set(own_names) - set(names)):
        raise wrong("Add training images of every class", f"only other images of {', '.join(unknown[:5])}")
    new = {old: names.index(name) for old, name in enumerate(own_names)}
    return np.array([new.get(label, label) for label in found.tolist()], np.int64)  # -1 stays: an unlabeled image


def _parts(data: Any) -> tuple[list[Any], Any]:
    """Returns the training part and perhaps a validation part, and the test part or None.

    Without a test part, a validation part is used as one.
    """
    if isinstance(data, Mapping):
        training, validation, test = (
            next((data[key] for key in keys if key in data), None) for keys in (TRAINING, VALIDATION, TEST)
        )
        if training is None or set(data) - {*TRAINING, *VALIDATION, *TEST}:
            advice = 'Give arrays (x, y) under the key "train" and, if there are more, "val" and "test"'
            raise wrong(advice, f"keys {', '.join(map(str, data))}")
        if test is None:
            return [training], validation
        return [part for part in (training, validation) if part is not None], test
    is_pair = isinstance(data, (tuple, list)) and len(data) == 2
    if is_pair and (_is_part(data[0]) or _is_tensorflow(data[0]) or _is_hugging_face(data[0])):
        return [data[0]], data[1]
    return [data], None


def _is_part(data: Any) -> bool:
    """Returns whether data is (images, labels), not two images: in a list, the labels must have one dimension."""
    is_pair = isinstance(data, (tuple, list)) and len(data) == 2
    return is_pair and (isinstance(data, tuple) or np.ndim(data[1]) == 1)


def _is_tensorflow(data: Any) -> bool:
    return hasattr(data, "as_numpy_iterator")


def _is_hugging_face(data: Any) -> bool:
    return all(hasattr(data, name) for name in ("features", "column_names", "__getitem__"))  # not a streamed one


def _read_part(part: Any, size: Size | None) -> Named:
    if _is_tensorflow(part):
        return _read_tensorflow(part)
    if _is_hugging_face(part):
        return _read_hugging_face(part, size)
    if any(isinstance(one, (str, os.PathLike)) for one in (part if isinstance(part, tuple) else [part])):
        raise wrong("Put the folders side by side as `train` and `test`, and give the folder above them", repr(part))
    if isinstance(part, (tuple, list)) and len(part) == 2:
        return _join(np.asarray, *part)
    raise wrong(_ADVICE, type(part).__name__)


def _read_tensorflow(part: Any) -> Named:
    if int(part.cardinality()) == -1:
        raise wrong(_ADVICE, "an infinite tf.data.Dataset")
    elements = list(part.as_numpy_iterator())
    if not elements or not isinstance(elements[0], (tuple, list)) or len(elements[0]) != 2:
        raise wrong(_ADVICE, f"a tf.data.Dataset of {type(elements[0]).__name__ if elements else 'no elements'}")
    images, labels = zip(*elements, strict=True)
    pixels, numbers, _ = _join(np.concatenate if _is_batch(images[0], labels[0]) else np.stack, images, labels)
    if pixels.dtype.kind == "f" and pixels.min() >= 0 and 1 < pixels.max() <= 255:
        pixels = pixels.round().astype(np.uint8)  # `image_dataset_from_directory` resizes to floats
    return pixels, numbers, tuple(getattr(part, "class_names", None) or ())


def _is_batch(images: Any, labels: Any) -> bool:
    """Returns whether an array is a batch (n, h, w[, c]), not an image (h, w[, c]) with few channels."""
    shape = np.shape(images)
    return len(shape) == 4 or (len(shape) == 3 and shape[2] > MAX_CHANNELS and np.shape(labels)[:1] == shape[:1])


def _join(join: Callable[[Any], np.ndarray], images: Any, labels: Any) -> Named:
    try:
        pixels, numbers = join(images), join(labels)
    except ValueError as error:  # of NumPy
        raise wrong("Resize the images to one shape, and give one label for each", error) from error
    if numbers.dtype == object and all(isinstance(one, (int, np.integer)) for one in numbers.ravel()):
        numbers = numbers.astype(np.int64)
    return pixels, numbers.reshape(-1) if numbers.ndim == 2 and numbers.shape[1] == 1 else numbers, ()


def _read_hugging_face(part: Any, size: Size | None) -> Named:
    features = part.features
    image = _column(features, "Image", ("image", "img"))
    label = _column(features, "ClassLabel", ("label", "labels", "fine_label"))
    pictures = part[image]
    if len(pictures) and not isinstance(pictures[0], (Image.Image, type(None))):
        advice = "Give a dataset that decodes its images: with_format(None), and datasets.Image() as the column's type"
        raise wrong(advice, f"images of type {type(pictures[0]).__name__}")
    images, _, unreadable = read_images(pictures, choose_shape(pictures, size), NUM_COPIES)
    for index, why in unreadable.items():
        raise wrong(f"Remove the images that cannot be read ({why})", f"{len(unreadable)}, first {index}")
    images, labels, _ = _join(np.asarray, images, part[label])
    return images, labels, tuple(getattr(features[label], "names", None) or ())


def _column(features: Mapping[str, Any], kind: str, names: tuple[str, ...]) -> str:
    of_kind = [name for name, feature in features.items() if type(feature).__name__ == kind]
    found = [name for name in names if name in (of_kind or features)] or of_kind
    if not found:
        raise wrong(f"Name a column {' or '.join(names)}", f"columns {', '.join(features)}")
    return found[0]


def _number(labels: np.ndarray, names: tuple[str, ...]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Replaces class names among the labels by their numbers; without `names`, in sorted order."""
    if labels.dtype.kind not in _NAMES:
        return labels, names
    if labels.ndim > 1:
        raise wrong("Give one class per image: several are not supported", f"labels of shape {labels.shape}")
    if any(label is None or label != label for label in labels.ravel()):  # NaN differs from itself
        raise wrong("Give every image a label", "labels with None or NaN")
    texts = [one_line(decode_name(label)) for label in labels.ravel()]
    names = names or tuple(sorted(set(texts)))
    if unknown := sorted(set(texts) - set(names)):
        raise wrong("Add training images of every class", f"only test images of {unknown[:5]}")
    return np.array([names.index(text) for text in texts], np.int64), names

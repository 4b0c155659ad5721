"""What the arrays of a data set must be before anything is trained on them."""

from typing import NamedTuple

import numpy as np

from lwcnn.system.errors import LwcnnError

_MAX_CHANNELS = 4


class Splits(NamedTuple):
    """The arrays of a data set as a file has them, with class names and `may_flip` where it has those."""

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    class_names: tuple[str, ...] | None = None
    may_flip: bool | None = None


def check_splits(
    splits: Splits,
    received: str,
    class_names: tuple[str, ...] | None = None,
    input_shape: tuple[int, int, int] | None = None,
) -> Splits:
    """The same data in the one form that the library works with, or an error that says what is wrong.

    Args:
        splits: Images uint8, shape (n, h, w) or (n, h, w, c), 0..255; labels integers, shape (n,) or (n, 1).
        received: What the user gave (a path or a name), for the end of each error.
        class_names: The names the classes must have; None takes those in `splits`, else "0", "1", ...
        input_shape: The (h, w, c) that the images must have; None takes any.

    Returns:
        Images uint8 (n, h, w, c), labels int64 (n,), class names.

    Raises:
        LwcnnError: A wrong shape, type or label, or a class without a training image.
    """
    x_train, x_test = (check_image_array(getattr(splits, key), key, received) for key in ("x_train", "x_test"))
    y_train, y_test = (_check_labels(splits, key, received) for key in ("y_train", "y_test"))
    if x_train.shape[1:] != x_test.shape[1:]:
        raise LwcnnError(
            "Training and test images must have one shape; resize one of them. "
            f"Received: {x_train.shape[1:]} and {x_test.shape[1:]} (h, w, c) in {received}"
        )
    if input_shape is not None and x_train.shape[1:] != input_shape:
        raise LwcnnError(
            f"The images of this data set have shape {input_shape} (h, w, c); a data set of your own goes by "
            f"the path of its .npz. Received: {x_train.shape[1:]} in {received}"
        )
    names = class_names or splits.class_names or tuple(map(str, range(_num_classes(y_train, received))))
    for key, labels in (("y_train", y_train), ("y_test", y_test)):
        if labels.max() >= len(names):
            raise LwcnnError(
                f"The labels in {key!r} must lie in 0..{len(names) - 1}, one of the {len(names)} classes. "
                f"Received: {labels.max()} in {received}"
            )
    empty = np.flatnonzero(np.bincount(y_train, minlength=len(names)) == 0)
    if len(empty):
        raise LwcnnError(
            "Every class needs training images: add some, or number the classes from 0 without gaps. "
            f"Received: no training image of class {', '.join(map(str, empty[:10]))} in {received}"
        )
    return Splits(x_train, y_train, x_test, y_test, names, splits.may_flip)


def check_image_array(images: np.ndarray, key: str, received: str) -> np.ndarray:
    """The images as (n, h, w, c), once they are uint8 of such a shape or (n, h, w), and not none.

    Args:
        images: any array.
        key, received: what it is called, and where it was found, for the errors.

    Raises:
        LwcnnError: Another type or shape.
    """
    if images.dtype != np.uint8:
        remedy = "convert them, e.g. (images * 255).round().astype('uint8') for floats in 0..1"
        raise LwcnnError(
            f"Images in {key!r} must be uint8, 0..255; {remedy}. Received: dtype {images.dtype} in {received}"
        )
    if images.ndim not in (3, 4):
        raise LwcnnError(
            f"Images in {key!r} must have shape (n, height, width) or (n, height, width, channels). "
            f"Received: shape {images.shape} in {received}"
        )
    if images.size == 0:
        raise LwcnnError(
            f"There is no image in {key!r}; give at least one. Received: shape {images.shape} in {received}"
        )
    if images.ndim == 4 and images.shape[3] > _MAX_CHANNELS:
        raise LwcnnError(
            f"Images in {key!r} must have the channels last, at most {_MAX_CHANNELS}; move them, e.g. "
            f"images.transpose(0, 2, 3, 1). Received: shape {images.shape} in {received}"
        )
    return images[..., np.newaxis] if images.ndim == 3 else images


def _check_labels(splits: Splits, key: str, received: str) -> np.ndarray:
    labels = getattr(splits, key)
    num_images = len(getattr(splits, key.replace("y", "x", 1)))
    if labels.ndim == 2 and labels.shape[1] > 1:
        raise LwcnnError(
            f"Labels in {key!r} must be class numbers, not one-hot rows; take labels.argmax(axis=1). "
            f"Received: shape {labels.shape} in {received}"
        )
    if labels.dtype.kind not in "iu":
        raise LwcnnError(
            f"Labels in {key!r} must be integers; convert them, e.g. labels.astype('int64'). "
            f"Received: dtype {labels.dtype} in {received}"
        )
    if labels.ndim not in (1, 2) or (labels.ndim == 2 and labels.shape[1] == 0):
        raise LwcnnError(f"Labels in {key!r} must have shape (n,). Received: shape {labels.shape} in {received}")
    if len(labels) != num_images:
        raise LwcnnError(
            f"There must be one label for every image. "
            f"Received: {len(labels):,} in {key!r} for {num_images:,} images in {received}"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int64).max:
        raise LwcnnError(
            f"Labels in {key!r} must count the classes from 0. "
            f"Received: labels from {labels.min()} to {labels.max()} in {received}"
        )
    return labels.reshape(-1).astype(np.int64)


def _num_classes(y_train: np.ndarray, received: str) -> int:
    largest = int(y_train.max())
    if largest >= len(y_train):  # before any array of that many classes is made
        raise LwcnnError(
            "There are more classes than training images: number the classes from 0 without gaps. "
            f"Received: label {largest} for {len(y_train):,} training images in {received}"
        )
    return largest + 1

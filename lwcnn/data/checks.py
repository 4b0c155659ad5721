"""What the arrays of a data set must be before anything is trained on them."""

from typing import NamedTuple

import numpy as np

from lwcnn.system.errors import LwcnnError
from lwcnn.system.safe_text import one_line

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
    if splits.class_names is not None:
        check_class_names(splits.class_names, received)
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
    if len(names) < 2:
        raise LwcnnError(f"A classifier needs two classes or more. Received: {len(names)} in {received}")
    if min(y_train.min(), y_test.min()) == 1:
        raise LwcnnError(
            "Labels must count the classes from 0: save y_train - 1 and y_test - 1. "
            f"Received: labels from 1 to {max(y_train.max(), y_test.max())} in {received}"
        )
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
        raise LwcnnError(f"Images in {key!r} must be uint8, 0..255; {_how_to_convert(images)} in {received}")
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
    if labels.dtype.kind in "US":
        raise LwcnnError(
            f"Labels in {key!r} must be numbers; number the names, e.g. class_names, labels = "
            f"numpy.unique(labels, return_inverse=True), and save class_names, too. "
            f"Received: dtype {labels.dtype} in {received}"
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


def decode_class_names(names: np.ndarray, received: str) -> tuple[str, ...]:
    """Returns the class names in an array of strings or of bytes (UTF-8, else Latin-1), checked.

    Raises:
        LwcnnError: Another type or shape, or two classes of one name.
    """
    if names.ndim != 1 or names.dtype.kind not in "US":
        raise LwcnnError(
            "The key class_names must be an array of strings of shape (num_classes,). "
            f"Received: dtype {names.dtype}, shape {names.shape} in {received}"
        )
    decoded = tuple(one_line(_decode(name) if isinstance(name, bytes) else str(name)) for name in names)
    check_class_names(decoded, received)
    return decoded


def check_class_names(names: tuple[str, ...], received: str) -> None:
    """Checks that no two classes have one name, under which results would mix; raises LwcnnError if so."""
    repeated = sorted({name for name in names if names.count(name) > 1}) if len(set(names)) < len(names) else []
    if repeated:
        raise LwcnnError(
            f"Every class needs a name of its own. Received: {', '.join(map(repr, repeated[:5]))} more than once in "
            f"{received}"
        )


def _decode(name: bytes) -> str:
    try:
        return name.decode("utf-8")
    except UnicodeDecodeError:
        return name.decode("latin-1")


def _how_to_convert(images: np.ndarray) -> str:
    """What to do with images of another type than uint8, and what they are."""
    received = f"Received: dtype {images.dtype}"
    if images.dtype.kind == "b":
        return f"save images.astype('uint8') * 255. {received}"
    if images.dtype.kind not in "iuf" or images.size == 0:
        return f"save their pixels as numbers. {received}"
    low, high = images.min(), images.max()
    received += f", values from {low:g} to {high:g}"
    if not (np.isfinite(low) and np.isfinite(high)):
        return f"replace NaN and infinity first. {received}"
    if low < 0 or high > 255:
        return f"bring their values to that range and round them. {received}"
    if images.dtype.kind == "f" and high <= 1:
        return f"save (images * 255).round().astype('uint8'). {received}"
    return f"save images{'.round()' if images.dtype.kind == 'f' else ''}.astype('uint8'). {received}"


def _num_classes(y_train: np.ndarray, received: str) -> int:
    largest = int(y_train.max())
    if largest >= len(y_train):  # before any array of that many classes is made
        raise LwcnnError(
            "There are more classes than training images: number the classes from 0 without gaps. "
            f"Received: label {largest} for {len(y_train):,} training images in {received}"
        )
    return largest + 1


PIXELS_AT_ONCE = 2**19  # of a channel: 500 images of 32x32, 10 of 224x224, so that a batch takes the same memory


def images_at_once(image_shape: tuple[int, ...], most: int = 500) -> int:
    """Returns how many images of (height, width, ...) to predict at a time so that any size takes bounded memory."""
    height, width = image_shape[:2]
    return max(1, min(most, PIXELS_AT_ONCE // (height * width)))

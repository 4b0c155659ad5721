"""Predicts logits, with test-time augmentation or without, and the most probable classes of images."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from lwcnn.data.augment.color import gaussian_blur
from lwcnn.data.checks import check_image_array, images_at_once, is_default, require_pixels
from lwcnn.data.datasets import Dataset
from lwcnn.data.image_files import resize_images
from lwcnn.data.streams import Batch, find_inputs, read_npz_images, stream_files
from lwcnn.evaluation.metrics import average_probabilities
from lwcnn.models.description import read_description
from lwcnn.system.errors import require_sequence, unknown_name, wrong
from lwcnn.system.files import StrPath

if TYPE_CHECKING:
    import keras
    import pandas

_log = logging.getLogger(__name__)


def predict_logits(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns a model's logits for images, in inference mode.

    Args:
        model: Keras model with one input and one output of shape (n, classes).
        images: Array of shape (n, height, width, channels), 0 to 255, uint8 or float, of the model's input shape.

    Returns:
        Array of shape (n, classes), float32.

    Raises:
        LwcnnError: The model has several inputs or outputs, there is no image, the images do not fit the model or are
            floats from 0 to 1, or the outputs are not finite or are probabilities.

    Examples:
        >>> import keras
        >>> import numpy as np
        >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
        >>> predict_logits(model, np.zeros((2, 4, 4, 1), "uint8")).shape
        (2, 3)
    """
    from lwcnn.models.graph import ends_in_softmax

    images = np.asarray(images)
    require_classifier_of(images, model)
    found = model.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0)
    logits = np.asarray(found, dtype=np.float32)
    if not np.isfinite(logits).all():
        raise wrong("Give a model with finite outputs; training of this one diverged", repr(model.name))
    are_shares = min(logits.shape) > 1 and logits.min() >= 0 and np.allclose(logits.sum(axis=1), 1, atol=1e-3)
    if are_shares or ends_in_softmax(model):
        raise wrong("Give a model with logits as output, without softmax", repr(model.name))
    return logits


def require_classifier_of(images: np.ndarray, model: keras.Model) -> None:
    """Checks that a model takes images of this shape and returns logits of shape (n, classes)."""
    require_classifier(model)
    expected, shape = tuple(model.inputs[0].shape[1:]), images.shape[1:]
    fits = len(expected) == len(shape) and all(e in (None, s) for e, s in zip(expected, shape, strict=True))
    if not fits:
        wanted = ", ".join(map(str, expected))
        raise wrong(f"Give images of shape (n, {wanted})", images.shape)
    if len(images) == 0:
        raise wrong("Give at least one image", images.shape)
    require_pixels(images)


def require_classifier(model: keras.Model) -> None:
    """Checks that the argument is a Keras model with one input and one output of shape (n, classes)."""
    if not hasattr(model, "inputs"):
        raise wrong("Give a Keras model, as lwcnn.create_model and lwcnn.load_model return it", f"{model!r}")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        advice = "Give a model with one input and one output, such as a submodel or the merged model, not a dual model"
        raise wrong(advice, f"{model.name!r} with {len(model.inputs)} inputs and {len(model.outputs)} outputs")
    if len(output_shape := model.outputs[0].shape) != 2:
        raise wrong("Give a model with logits of shape (n, classes)", output_shape)


def require_fit(model: keras.Model, path: StrPath, data: Dataset) -> None:
    """Checks that a model, read from a path, takes a dataset's images and has its classes."""
    require_classifier(model)
    if not isinstance(data, Dataset):
        raise wrong("Give a dataset as lwcnn.load_dataset returns it", repr(data))
    if input_shape(model) != data.input_shape or model.output_shape[-1] != data.num_classes:
        raise wrong(
            f"Choose the dataset of {path} with --dataset, and evaluate models of different sizes one at a time: this "
            f"one takes images of shape {model.input_shape[1:]} and has {model.output_shape[-1]} classes",
            f"{data.name}, {data.input_shape}, {data.num_classes} classes",
        )
    require_classes(path, data.class_names, data.name)


def require_classes(path: StrPath, given: tuple[str, ...], data: str) -> None:
    """Checks that the class names of data and of a model file match, in order.

    Default names ("0", "1", ...) match any.
    """
    told = read_description(path)
    own = told.class_names if told else ()
    if own != given and (sorted(own) == sorted(given) or not (is_default(own) or is_default(given))):
        advice = f"Give data with the classes of {path}, in the same order: {', '.join(own)}"
        raise wrong(advice, f"{', '.join(given)}, the classes of {data}")
    if own and own != given:
        _log.warning("Assuming that the classes of %s, %s, are %s", path, ", ".join(own), ", ".join(given))


def class_names_of(path: StrPath, data: Dataset) -> tuple[str, ...]:
    """Returns the class names of a model file, or those of the data if the file has only labels."""
    told = read_description(path)
    own = told.class_names if told else ()
    return data.class_names if is_default(own) else own


def predict_images(
    model: keras.Model,
    images: StrPath | Sequence[StrPath] | np.ndarray,
    top: int = 1,
    class_names: Sequence[str] = (),
    temperature: float = 1.0,
    transforms: Sequence[str] = ("original",),
    on_unreadable: Callable[[str, str], None] | None = None,
) -> pandas.DataFrame:
    """Classifies image files, folders of them, an .npz file's images, or an array of images.

    Args:
        model: Keras model, as in `predict_logits`.
        images: Path of an image or folder, a pattern such as "photos/*.jpg", or several of them; the path of an .npz
            file with `x_test`, `images` or `x`; or an array of shape (n, height, width, channels), uint8. Images of
            files are converted to the model's input size and channels.
        top: Integer of 1 or more. Number of classes per image, the most probable ones first.
        class_names: Names by label. By default, the model's attribute `class_names`, or else the numbers.
        temperature: Positive float. Divisor of the logits. A trained network has the one that was fitted on validation
            images as its attribute `temperature`.
        transforms: Transforms whose probabilities are averaged: "original", "horizontal_flip", "vertical_flip",
            "center_crop" or "blur".
        on_unreadable: Function called with the name of an image that cannot be read, and the reason. None raises an
            error.

    Returns:
        A DataFrame with the columns `image`, `label` and `probability`; if `top` is above 1, also `label_2`,
        `probability_2` and so on.

    Raises:
        LwcnnError: There is no image, an image cannot be read, the images or `class_names` do not fit the model, a
            transform is unknown, or `top` or `temperature` is out of range.

    Examples:
        >>> predict_images(model, data.x_train[:2]).columns.tolist()
        ['image', 'label', 'probability']
    """
    import pandas

    require_classifier(model)
    if not isinstance(top, Integral) or top < 1:
        raise wrong("Give top as a number of classes, at least 1", repr(top))
    batches = _batches(model, images, on_unreadable or _refuse)
    require_sequence("class_names", class_names)
    known = getattr(model, "class_names", None) or [str(k) for k in range(model.output_shape[-1])]
    class_names = list(class_names) or known
    if model.output_shape[-1] != len(class_names):
        raise wrong(
            f"Give class_names (on the command line --classes or --dataset) as a name for each of the model's "
            f"{model.output_shape[-1]} classes",
            f"{len(class_names)} names",
        )
    rows, top = [], min(top, len(class_names))
    for names, batch in batches:
        probabilities = np.exp(predict_tta(model, batch, transforms, temperature))
        order = np.argsort(-probabilities, axis=1, kind="stable")[:, :top]
        for name, row, labels in zip(names, probabilities, order, strict=True):
            rows.append([name, *(cell for label in labels for cell in (class_names[label], float(row[label])))])
    if not rows:
        raise wrong("Give at least one readable image", "no readable image")
    more = [f"{name}_{rank}" for rank in range(2, top + 1) for name in ("label", "probability")]
    return pandas.DataFrame(rows, columns=["image", "label", "probability", *more])


def _batches(
    model: keras.Model, images: StrPath | Sequence[StrPath] | np.ndarray, on_unreadable: Callable[[str, str], None]
) -> Iterable[Batch]:
    if hasattr(images, "__array__") and np.asarray(images).dtype.kind in "buif":  # tensors, too
        images = np.asarray(images)
        expected = tuple(model.input_shape[1:])
        if images.shape == expected or (images.ndim == 3 and expected[-1:] == images.shape[2:] != (1,)):
            advice = f"Give an array of images of shape {expected}; for a single one, image[np.newaxis]"
            raise wrong(advice, f"shape {images.shape}")
    else:
        given: list[Any] = [images]
        if isinstance(images, Iterable) and not isinstance(images, (str, os.PathLike)):
            given = list(images)
        if other := [each for each in given if not isinstance(each, (str, os.PathLike))]:
            advice = "Give paths, or an array of shape (n, height, width, channels), such as numpy.stack(images)"
            raise wrong(advice, f"{type(other[0]).__name__}{'' if other[0] is images else ' in a list'}")
        paths = [os.fspath(path) for path in given]
        if not (len(paths) == 1 and paths[0].endswith(".npz")):
            return stream_files(find_inputs(paths), input_shape(model), on_unreadable)
        images = converted_for(model, read_npz_images(Path(os.path.expanduser(paths[0]))))
    images = check_image_array(images, "images")
    return [([str(index) for index in range(len(images))], images)]


def _refuse(name: str, reason: str) -> None:
    raise wrong(f"Give images that can be read ({reason})", repr(name))


def converted_for(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Resizes images to a model's input shape, as image files are; returns them as they are if it takes any size."""
    return images if None in model.input_shape[1:] else resize_images(images, input_shape(model))


def input_shape(model: keras.Model) -> tuple[int, int, int]:
    """Returns the shape (height, width, channels) of a model's input."""
    shape = tuple(model.input_shape[1:])
    if len(shape) != 3 or None in shape:
        raise wrong("Give a model of one image size", f"{model.name!r}, which takes {shape}")
    return shape


# Those of ResNet [4,4,4,3] (github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification), whose blur is
# wider, about 9x9, and mixes the color channels.
TTA_TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "original": lambda images: images,
    "horizontal_flip": lambda images: images[:, :, ::-1],
    "vertical_flip": lambda images: images[:, ::-1],
    "center_crop": lambda images: images,  # the notebook crops its own padding: the image counts twice
    "blur": lambda images: gaussian_blur(images, np.full(len(images), 1.0)),
}
"""Transforms of test-time augmentation (TTA): functions from uint8 images to images of the same shape, by name."""


def default_tta_transforms(was_mirrored: bool) -> tuple[str, ...]:
    """Returns the image and its mirror image; refuses a model that was not trained on mirrored images."""
    if not was_mirrored:
        advice = "Leave out --tta, or name its transforms in `lwcnn evaluate`: by default it mirrors the images"
        raise wrong(advice, "a model that was not trained on mirrored images")
    return "original", "horizontal_flip"


def predict_tta(
    model: keras.Model, images: np.ndarray, transforms: Sequence[str] = tuple(TTA_TRANSFORMS), temperature: float = 1.0
) -> np.ndarray:
    """Returns the log of the softmax probabilities averaged over transforms, float64, usable as logits.

    The temperature divides the logits of each transform.
    """
    if not 0 < temperature < float("inf"):
        raise wrong("Give temperature as a positive number", f"temperature={temperature!r}")
    require_sequence("transforms", transforms)
    if unknown := [name for name in transforms if name not in TTA_TRANSFORMS]:
        raise unknown_name("transform", unknown[0], TTA_TRANSFORMS)
    if not transforms:
        raise wrong("Give at least one transform", f"transforms={transforms!r}")
    views = (predict_logits(model, TTA_TRANSFORMS[name](images)) for name in transforms)
    return average_probabilities(logits.astype(np.float64) / temperature for logits in views)

"""Test-time augmentation: a model's mean opinion of several views of each image.

Views and their number are those of the reference ResNet [4,4,4,3]
(github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-Classification, its notebook). There the logits were
averaged; here the softmax probabilities are, so that no view weighs more for larger logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lwcnn.data.augment.filters import gaussian_blur
from lwcnn.evaluation.logits import predict_logits
from lwcnn.evaluation.metrics import log_softmax
from lwcnn.system.errors import LwcnnError, unknown_name

if TYPE_CHECKING:
    import keras

PADDING = 4
BLUR_SIGMA = 1.0  # the notebook's; its kernel is wider than the 3x3 of its training, and reaches over the colors too


def _horizontal_flip(images: np.ndarray) -> np.ndarray:
    return images[:, :, ::-1]


def _vertical_flip(images: np.ndarray) -> np.ndarray:
    return images[:, ::-1]


def _center_crop(images: np.ndarray) -> np.ndarray:
    """The center, as large as the image, of the image padded by 4 with black: the image itself.

    So it was built. Beside "original" it gives the image twice the weight of a flip or a blur.
    """
    height, width = images.shape[1:3]
    padded = np.pad(images, ((0, 0), (PADDING, PADDING), (PADDING, PADDING), (0, 0)))
    top, left = (padded.shape[1] - height) // 2, (padded.shape[2] - width) // 2
    return padded[:, top : top + height, left : left + width]


def _blur(images: np.ndarray) -> np.ndarray:
    return gaussian_blur(images, np.full(len(images), BLUR_SIGMA))


VIEWS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "original": lambda images: images,
    "horizontal_flip": _horizontal_flip,
    "vertical_flip": _vertical_flip,
    "center_crop": _center_crop,
    "blur": _blur,
}
"""Each from images, uint8 (n, height, width, channels), to as many of the same shape."""


def default_views(may_flip: bool) -> tuple[str, ...]:
    """All views; without the flips where a mirrored image may be of no class or of another, as digits are."""
    return tuple(name for name in VIEWS if may_flip or not name.endswith("_flip"))


def predict_over_views(
    model: keras.Model, images: np.ndarray, views: Sequence[str] = tuple(VIEWS), batch_size: int = 500
) -> np.ndarray:
    """Returns the logarithms of the mean over views of the softmax probabilities.

    They serve as logits wherever logits do: their softmax is that mean.

    Args:
        model: as `predict_logits` takes it.
        images: uint8, shape (n, height, width, channels), as the model was built for.
        views: names of `VIEWS`, one or more, each once.
        batch_size: images of one view at a time.

    Returns:
        float64, shape (n, classes).

    Raises:
        LwcnnError: an unknown view, none or one twice; and as `predict_logits`.
    """
    for name in views:
        if name not in VIEWS:
            raise unknown_name("view", name, VIEWS)
    if not views or len(set(views)) < len(views):
        raise LwcnnError(f"Give one or more views, each once. Received: {', '.join(views) or 'none'}")
    sums = None
    for name in views:
        logits = predict_logits(model, VIEWS[name](images), batch_size).astype(np.float64)
        log_probabilities = log_softmax(logits)
        sums = log_probabilities if sums is None else np.logaddexp(sums, log_probabilities)
    return sums - np.log(len(views))

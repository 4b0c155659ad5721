"""Test-time augmentation (TTA): averages a model's predictions over several transforms of each image.

The transforms are those of the reference ResNet [4,4,4,3] (github.com/Hashmmath/DL-Project-1-LearningtooDeep-CIFAR-10-
Classification). Softmax probabilities are averaged, not logits, so that no transform dominates through larger logits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from lwcnn.data.augment.color import gaussian_blur
from lwcnn.evaluation.metrics import average_probabilities
from lwcnn.evaluation.predict import predict_logits
from lwcnn.system.errors import LwcnnError, unknown_name

if TYPE_CHECKING:
    import keras

BLUR_SIGMA = 1.0  # the notebook's; its kernel is larger than the 3x3 of its training and also blurs across channels


TTA_TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "original": lambda images: images,
    "horizontal_flip": lambda images: images[:, :, ::-1],
    "vertical_flip": lambda images: images[:, ::-1],
    "center_crop": lambda images: images,  # the notebook crops its own padding: the image counts twice
    "blur": lambda images: gaussian_blur(images, np.full(len(images), BLUR_SIGMA)),
}
"""Functions from uint8 images of shape (n, height, width, channels) to images of the same shape, by name."""


def default_tta_transforms(mirror: bool) -> tuple[str, ...]:
    """Returns the image and its mirror image; all transforms but the flips where a mirror image may change class.

    On CIFAR-10 all five gain less than the mirror and multiply the calibration error (results/after_training.json).
    """
    if mirror:
        return "original", "horizontal_flip"
    return tuple(name for name in TTA_TRANSFORMS if not name.endswith("_flip"))


def predict_tta(
    model: keras.Model, images: np.ndarray, transforms: Sequence[str] = tuple(TTA_TRANSFORMS)
) -> np.ndarray:
    """Returns the log of the softmax probabilities averaged over distinct transforms, float64, usable as logits."""
    for name in transforms:
        if name not in TTA_TRANSFORMS:
            raise unknown_name("transform", name, TTA_TRANSFORMS)
    if not transforms or len(set(transforms)) < len(transforms):
        raise LwcnnError(f"Give at least one transform, each once. Received: {', '.join(transforms) or 'none'}")
    return average_probabilities(predict_logits(model, TTA_TRANSFORMS[name](images)) for name in transforms)

"""RandAugment, TrivialAugment and AutoAugment: rules that draw from one table of operations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lwcnn.data.augment import color
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.geometry import shear, warp
from lwcnn.data.augment.operations import change_some
from lwcnn.system.errors import require_known
from lwcnn.system.settings import Rule, Settings, whole

MAX_MAGNITUDE = 30
MAX_SHEAR = 0.3
MAX_TRANSLATION = 150 / 331  # as a fraction of height or width
MAX_DEGREES = 30.0
MAX_FACTOR_CHANGE = 0.9  # of brightness, color, contrast and sharpness
MAX_BITS_TAKEN = 4


def _pixels(images: np.ndarray, axis: int, strengths: np.ndarray) -> np.ndarray:
    """Returns shifts along an axis in whole pixels, as in torchvision, so that they do not blur."""
    return np.trunc(MAX_TRANSLATION * images.shape[axis] * strengths)


# Arguments: images, strengths and fill. Strengths, shape (n,), are magnitude / MAX_MAGNITUDE with a random sign, which
# operations without a direction ignore.
OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray, str], np.ndarray]] = {
    "identity": lambda images, strengths, fill: images,
    "autocontrast": lambda images, strengths, fill: color.autocontrast(images),
    "equalize": lambda images, strengths, fill: color.equalize(images),
    "rotate": lambda images, strengths, fill: warp(images, fill, np.deg2rad(MAX_DEGREES * strengths)),
    "posterize": lambda images, strengths, fill: color.posterize(images, 8 - np.rint(MAX_BITS_TAKEN * abs(strengths))),
    "solarize": lambda images, strengths, fill: color.solarize(images, 255 * (1 - abs(strengths))),
    "color": lambda images, strengths, fill: color.adjust_saturation(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "contrast": lambda images, strengths, fill: color.adjust_contrast(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "brightness": lambda images, strengths, fill: color.adjust_brightness(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "sharpness": lambda images, strengths, fill: color.adjust_sharpness(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "shear_x": lambda images, strengths, fill: shear(images, fill, along_x=MAX_SHEAR * strengths),
    "shear_y": lambda images, strengths, fill: shear(images, fill, along_y=MAX_SHEAR * strengths),
    "translate_x": lambda images, strengths, fill: warp(images, fill, shift_x=_pixels(images, 2, strengths)),
    "translate_y": lambda images, strengths, fill: warp(images, fill, shift_y=_pixels(images, 1, strengths)),
}
_ALL_OPERATIONS = OPERATIONS | {"invert": lambda images, strengths, fill: 255 - images}


@dataclass(frozen=True)
class RandAugment(Settings):
    """RandAugment: uniformly random operations per image, with repetition, applied in sequence with one magnitude.

    The ranges are torchvision's. Both directions (of a rotation, a shift, more or less contrast) are equally likely.

    Args:
        num_operations: Integer of 1 or more. Number of operations per image.
        magnitude: Integer from 0 to 30. Magnitude of all operations that have a strength.
        operations: Keys of `lwcnn.data.augment.policies.OPERATIONS`, by default all. "color" changes only images of 3
            channels.

    Source: Cubuk et al. 2019.
    """

    num_operations: Annotated[int, whole(1)] = 2
    magnitude: Annotated[int, whole(0, MAX_MAGNITUDE)] = 9
    operations: Annotated[
        tuple[str, ...], Rule(lambda value: isinstance(value, tuple) and len(value) > 0, "a tuple of names")
    ] = tuple(OPERATIONS)

    def __post_init__(self):
        super().__post_init__()
        for name in self.operations:
            require_known("operation of RandAugment", name, OPERATIONS)

    def apply(self, images: np.ndarray, draws: Draws, fill: str) -> None:
        for step in range(self.num_operations):
            uniform = draws.uniform(Purpose.RAND_AUGMENT, 2, step)
            drawn = np.floor(len(self.operations) * uniform[:, 0]).astype(np.int64)
            strengths = self.magnitude / MAX_MAGNITUDE * _signs(uniform[:, 1])
            _operate(images, self.operations, drawn, strengths, fill)


WIDE = {
    "rotate": 135 / MAX_DEGREES,
    "posterize": 6 / MAX_BITS_TAKEN,
    **dict.fromkeys(("color", "contrast", "brightness", "sharpness"), 0.99 / MAX_FACTOR_CHANGE),
    **dict.fromkeys(("shear_x", "shear_y"), 0.99 / MAX_SHEAR),
    **dict.fromkeys(("translate_x", "translate_y"), 1 / MAX_TRANSLATION),  # 32 pixels of CIFAR's 32
}
"""TrivialAugment's largest strengths, relative to RandAugment's; 1 for other operations."""

NUM_LEVELS = 31

# Two operations, each with its probability and its level from 0 to 9.
CIFAR_POLICY = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("color", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("color", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("color", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("color", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("color", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)
MAX_LEVEL = 9


def trivial_augment(images: np.ndarray, draws: Draws, fill: str) -> None:
    """Applies one random operation of random strength, in TrivialAugment's wide ranges (arXiv 2103.10158).

    The authors add Cutout on CIFAR.
    """
    uniform, names = draws.uniform(Purpose.TRIVIAL_AUGMENT, 3), tuple(OPERATIONS)
    drawn = np.floor(len(names) * uniform[:, 0]).astype(np.int64)
    largest = np.array([WIDE.get(name, 1.0) for name in names])[drawn]
    levels = np.floor(NUM_LEVELS * uniform[:, 1]) / (NUM_LEVELS - 1)
    _operate(images, names, drawn, largest * levels * _signs(uniform[:, 2]), fill)


def auto_augment(images: np.ndarray, draws: Draws, fill: str) -> None:
    """Applies one of the 25 pairs of operations of AutoAugment's policy for CIFAR-10 (arXiv 1805.09501).

    The magnitudes are torchvision's, in either direction at random; the authors' own differ, and they add Cutout.
    """
    uniform = draws.uniform(Purpose.AUTO_AUGMENT, 5)
    pairs = np.floor(len(CIFAR_POLICY) * uniform[:, 0]).astype(np.int64)
    for i in (0, 1):
        names, probabilities, levels = zip(*(pair[i] for pair in CIFAR_POLICY), strict=True)
        drawn = np.where(uniform[:, 1 + i] < np.array(probabilities)[pairs], pairs, -1)
        strengths = np.array(levels)[pairs] / MAX_LEVEL * _signs(uniform[:, 3 + i])
        _operate(images, names, drawn, strengths, fill)


POLICIES = {"trivial_augment": trivial_augment, "auto_augment": auto_augment}
"""Functions of (images, draws, fill) that change the images in place, by name."""


def _signs(uniform: np.ndarray) -> np.ndarray:
    """Returns -1 or 1 for each number in [0, 1)."""
    return np.where(uniform < 0.5, -1.0, 1.0)


def _operate(images: np.ndarray, names: Sequence[str], drawn: np.ndarray, strengths: np.ndarray, fill: str) -> None:
    """Applies the operation at position `drawn` in `names` to each image, in place; -1 for none."""
    for number, name in enumerate(names):  # all images with the same operation at once
        operation = _ALL_OPERATIONS[name]
        change_some(images, drawn == number, lambda i, s, do=operation: do(i, s, fill), strengths)

"""RandAugment on uint8 batches: random operations of one magnitude per image."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.data.augment.checks import check_whole_number
from lwcnn.data.augment.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_saturation,
    change_some,
    look_up,
)
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.filters import adjust_sharpness
from lwcnn.data.augment.geometry import rotate, shear, translate
from lwcnn.system.errors import LwcnnError, unknown_name

MAX_MAGNITUDE = 30
MAX_SHEAR = 0.3
MAX_TRANSLATION = 150 / 331  # as a fraction of height or width
MAX_DEGREES = 30.0
MAX_FACTOR_CHANGE = 0.9  # of brightness, color, contrast and sharpness
MAX_BITS_TAKEN = 4

_LEVELS = np.arange(256)


def posterize(images: np.ndarray, bits: np.ndarray) -> np.ndarray:
    """Returns the images with only their highest `bits` (1 to 8, shape (n,)) kept."""
    masks = (256 - 2 ** (8 - bits)).astype(np.uint8)
    return images & masks[:, None, None, None]


def solarize(images: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Returns the images with gray levels at or above thresholds, shape (n,), inverted."""
    return np.where(images >= thresholds[:, None, None, None], 255 - images, images)


def autocontrast(images: np.ndarray) -> np.ndarray:
    """Returns the images with each channel stretched to 0..255; constant channels stay unchanged."""
    low = images.min(axis=(1, 2))[:, None].astype(np.int64)  # (n, 1, channels)
    high = images.max(axis=(1, 2))[:, None].astype(np.int64)
    levels = _LEVELS[:, None]
    stretched = np.rint((levels - low) * (255 / np.maximum(high - low, 1)))
    tables = np.where(high > low, np.clip(stretched, 0, 255), levels)
    return look_up(images, tables.astype(np.uint8))


def equalize(images: np.ndarray) -> np.ndarray:
    """Returns the images with each channel's histogram equalized, as in PIL."""
    num_images, _, _, channels = images.shape
    which = np.arange(num_images * channels).reshape(num_images, 1, 1, channels)
    counts = np.bincount((256 * which + images).ravel(), minlength=256 * which.size)
    counts = counts.reshape(num_images, channels, 256)
    # The highest level that occurs is excluded from the step, so that it becomes 255.
    last = 255 - np.argmax(counts[..., ::-1] > 0, axis=-1)[..., None]
    step = (counts.sum(axis=-1, keepdims=True) - np.take_along_axis(counts, last, axis=-1)) // 255
    below = np.cumsum(counts, axis=-1) - counts
    tables = np.where(step > 0, np.minimum((below + step // 2) // np.maximum(step, 1), 255), _LEVELS)
    return look_up(images, tables.astype(np.uint8).transpose(0, 2, 1))


# Arguments: images, strengths and fill. Strengths, shape (n,), are magnitude / MAX_MAGNITUDE with a random sign, which
# operations without a direction ignore.
OPERATIONS: dict[str, Callable[[np.ndarray, np.ndarray, str], np.ndarray]] = {
    "identity": lambda images, strengths, fill: images,
    "autocontrast": lambda images, strengths, fill: autocontrast(images),
    "equalize": lambda images, strengths, fill: equalize(images),
    "rotate": lambda images, strengths, fill: rotate(images, MAX_DEGREES * strengths, fill),
    "posterize": lambda images, strengths, fill: posterize(images, 8 - np.rint(MAX_BITS_TAKEN * abs(strengths))),
    "solarize": lambda images, strengths, fill: solarize(images, 255 * (1 - abs(strengths))),
    "color": lambda images, strengths, fill: adjust_saturation(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "contrast": lambda images, strengths, fill: adjust_contrast(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "brightness": lambda images, strengths, fill: adjust_brightness(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "sharpness": lambda images, strengths, fill: adjust_sharpness(images, 1 + MAX_FACTOR_CHANGE * strengths),
    "shear_x": lambda images, strengths, fill: shear(images, 0 * strengths, MAX_SHEAR * strengths, fill),
    "shear_y": lambda images, strengths, fill: shear(images, MAX_SHEAR * strengths, 0 * strengths, fill),
    "translate_x": lambda images, strengths, fill: _translate(images, 0 * strengths, strengths, fill),
    "translate_y": lambda images, strengths, fill: _translate(images, strengths, 0 * strengths, fill),
}
_ALL_OPERATIONS = OPERATIONS | {"invert": lambda images, strengths, fill: 255 - images}


@dataclass(frozen=True)
class RandAugment:
    """RandAugment: uniformly random operations per image, with repetition, applied in sequence with one magnitude.

    The ranges are torchvision's. Both directions (of a rotation, a shift, more or less contrast) are equally likely.

    Args:
        num_operations: Integer of 1 or more. Number of operations per image.
        magnitude: Integer from 0 to 30. Magnitude of all operations that have a strength.
        operations: Keys of `OPERATIONS`, at least one. "color" changes only images of 3 channels.

    Raises:
        LwcnnError: A value is out of range, or an operation is unknown.

    Example:
        >>> rand_augment = RandAugment(num_operations=2, magnitude=9)

    Source: Cubuk et al. 2019.
    """

    num_operations: int = 2
    magnitude: int = 9
    operations: tuple[str, ...] = tuple(OPERATIONS)

    def __post_init__(self):
        check_whole_number("num_operations", self.num_operations, 1)
        check_whole_number("magnitude", self.magnitude, 0, MAX_MAGNITUDE)
        if not isinstance(self.operations, tuple) or not self.operations:
            raise LwcnnError(f"Give operations as a tuple of names. Received: operations={self.operations!r}")
        for name in self.operations:
            if name not in OPERATIONS:
                raise unknown_name("operation of RandAugment", name, OPERATIONS)


def rand_augment(images: np.ndarray, settings: RandAugment, fill: str, draws: Draws) -> np.ndarray:
    """Returns the images after random operations.

    Args:
        images: uint8 array, shape (n, height, width, channels).
        settings: Operations, their number and magnitude.
        fill: Key of `FILLS`. Fill mode of pixels outside the image.
        draws: Random numbers of these images.
    """
    changed = images.copy(order="C")
    for step in range(settings.num_operations):
        uniform = draws.uniform(Purpose.RAND_AUGMENT, 2, step)
        drawn = np.floor(len(settings.operations) * uniform[:, 0]).astype(np.int64)
        strengths = settings.magnitude / MAX_MAGNITUDE * random_signs(uniform[:, 1])
        operate(changed, settings.operations, drawn, strengths, fill)
    return changed


def random_signs(uniform: np.ndarray) -> np.ndarray:
    """Returns -1 or 1 for each number in [0, 1)."""
    return np.where(uniform < 0.5, -1.0, 1.0)


def operate(images: np.ndarray, names: Sequence[str], drawn: np.ndarray, strengths: np.ndarray, fill: str) -> None:
    """Applies an operation to each image, in place.

    Args:
        images: uint8 array, shape (n, height, width, channels).
        names: Keys of `OPERATIONS`, or "invert".
        drawn: Integer array, shape (n,). Position of each image's operation in `names`; -1 for none.
        strengths: Float array, shape (n,). Strength of each operation; 1 is RandAugment's magnitude of 30.
        fill: Key of `FILLS`.
    """
    for number, name in enumerate(names):  # all images with the same operation at once
        operation = _ALL_OPERATIONS[name]
        if name != "identity":
            change_some(images, drawn == number, lambda i, s, do=operation: do(i, s, fill), strengths)


def _translate(images: np.ndarray, strengths_y: np.ndarray, strengths_x: np.ndarray, fill: str) -> np.ndarray:
    height, width = images.shape[1:3]
    # Whole pixels, as in torchvision, so that shifts do not blur.
    shift_y = np.trunc(MAX_TRANSLATION * height * strengths_y)
    shift_x = np.trunc(MAX_TRANSLATION * width * strengths_x)
    return translate(images, shift_y, shift_x, fill)

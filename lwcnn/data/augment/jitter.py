"""Random color jitter, sharpness and Gaussian blur."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from lwcnn.data.augment.checks import AMOUNT, FRACTION, amount, check_fields, interval, whole
from lwcnn.data.augment.color import (
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
    adjust_sharpness,
    gaussian_blur,
)
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.system.errors import LwcnnError


@dataclass(frozen=True)
class ColorJitter:
    """Random brightness, contrast, saturation and hue, applied in random order per image.

    Saturation and hue change only images of 3 channels.

    Args:
        brightness: Float of 0 or more. The factor is uniform in [max(0, 1 - brightness), 1 + brightness].
        contrast: Float of 0 or more. The factor is uniform in the same way.
        saturation: Float of 0 or more. The factor is uniform in the same way.
        hue: Float in [0, 0.5]. The shift is uniform in +-hue, as a fraction of the color circle.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        check_fields(self, brightness=AMOUNT, contrast=AMOUNT, saturation=AMOUNT, hue=amount(0.5))

    def apply(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns the images with random brightness, contrast, saturation and hue."""
        uniform = draws.uniform(Purpose.COLOR_JITTER, 8)
        order = np.argsort(uniform[:, 4:], axis=1, kind="stable")  # of the four operations, per image
        changes = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
        amounts = (self.brightness, self.contrast, self.saturation, self.hue)
        values = np.empty((len(images), 4))
        for k, spread in enumerate(amounts[:3]):
            low, high = max(0.0, 1 - spread), 1 + spread
            values[:, k] = low + (high - low) * uniform[:, k]
        values[:, 3] = self.hue * (2 * uniform[:, 3] - 1)
        num_changes = 4 if images.shape[3] == 3 else 2
        jittered = images.copy(order="C")
        for place in range(4):
            for k in np.flatnonzero(amounts[:num_changes]).tolist():
                change_some(jittered, order[:, place] == k, changes[k], values[:, k])
        return jittered


@dataclass(frozen=True)
class Sharpness:
    """Random change of sharpness.

    Args:
        probability: Float in [0, 1]. Probability of the change per image.
        factor: Float of 0 or more. 0 smooths, 1 has no effect, 2 doubles the difference from the smoothed image.
    """

    probability: float
    factor: float = 2.0

    def __post_init__(self):
        check_fields(self, probability=FRACTION, factor=AMOUNT)

    def apply(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns the images with the sharpness of some changed."""
        chosen = draws.uniform(Purpose.SHARPNESS, 1)[:, 0] < self.probability
        changed = images.copy(order="C")
        change_some(changed, chosen, adjust_sharpness, np.full(len(images), self.factor))
        return changed


@dataclass(frozen=True)
class GaussianBlur:
    """Random Gaussian blur.

    Args:
        probability: Float in [0, 1]. Probability of the blur per image.
        sigma: (low, high), above 0. Standard deviation in pixels; uniform in this range.
        kernel_size: Odd integer of 3 or more. Side of the kernel in pixels.
    """

    probability: float
    sigma: tuple[float, float] = (0.1, 1.5)
    kernel_size: int = 3

    def __post_init__(self):
        check_fields(self, probability=FRACTION, sigma=interval(), kernel_size=whole(3))
        if self.kernel_size % 2 == 0:
            raise LwcnnError(f"Give kernel_size as an odd number. Received: kernel_size={self.kernel_size!r}")

    def apply(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns the images with some blurred."""
        uniform = draws.uniform(Purpose.BLUR, 2)
        low, high = self.sigma
        sigmas = low + (high - low) * uniform[:, 1]
        blurred = images.copy(order="C")
        blur = partial(gaussian_blur, kernel_size=self.kernel_size)
        change_some(blurred, uniform[:, 0] < self.probability, blur, sigmas)
        return blurred


def change_some(images: np.ndarray, chosen: np.ndarray, change: Callable, amounts: np.ndarray) -> None:
    """Replaces the chosen images (bool, shape (n,)) by change(images, amounts), in place."""
    positions = np.flatnonzero(chosen)
    if positions.size:
        images[positions] = change(images[positions], amounts[positions])

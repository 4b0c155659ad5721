"""Random changes of single images, in place: colors, sharpness, blur, removed rectangles."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import cv2
import numpy as np

from lwcnn.data.augment import color
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.system.settings import Amount, Fraction, Rule, Settings, choice, interval, number, whole

_ODD = Rule(lambda value: whole(3).is_valid(value) and value % 2 == 1, "an odd whole number of 3 or more")


@dataclass(frozen=True)
class ColorJitter(Settings):
    """Random brightness, contrast, saturation and hue, applied in random order per image.

    Saturation and hue change only images of 3 channels.

    Args:
        brightness: Float of 0 or more. The factor is uniform in [max(0, 1 - brightness), 1 + brightness].
        contrast: Float of 0 or more. The factor is uniform in the same way.
        saturation: Float of 0 or more. The factor is uniform in the same way.
        hue: Float in [0, 0.5]. The shift is uniform in +-hue, as a fraction of the color circle.
    """

    brightness: Amount = 0.0
    contrast: Amount = 0.0
    saturation: Amount = 0.0
    hue: Annotated[float, number(0.5)] = 0.0

    def apply(self, images: np.ndarray, draws: Draws) -> None:
        uniform = draws.uniform(Purpose.COLOR_JITTER, 8)
        order = np.argsort(uniform[:, 4:], axis=1, kind="stable")  # of the four operations, per image
        changes = (color.adjust_brightness, color.adjust_contrast, color.adjust_saturation, color.adjust_hue)
        amounts = (self.brightness, self.contrast, self.saturation, self.hue)
        values = np.empty((len(images), 4))
        for k, spread in enumerate(amounts[:3]):
            low, high = max(0.0, 1 - spread), 1 + spread
            values[:, k] = low + (high - low) * uniform[:, k]
        values[:, 3] = self.hue * (2 * uniform[:, 3] - 1)
        for place in range(4):
            for k in np.flatnonzero(amounts).tolist():
                change_some(images, order[:, place] == k, changes[k], values[:, k])


@dataclass(frozen=True)
class Sharpness(Settings):
    """Random change of sharpness.

    Args:
        probability: Float in [0, 1]. Probability of the change per image.
        factor: Float of 0 or more. 0 smooths, 1 has no effect, 2 doubles the difference from the smoothed image.
    """

    probability: Fraction
    factor: Amount = 2.0

    def apply(self, images: np.ndarray, draws: Draws) -> None:
        chosen = draws.uniform(Purpose.SHARPNESS, 1)[:, 0] < self.probability
        change_some(images, chosen, color.adjust_sharpness, np.full(len(images), self.factor))


@dataclass(frozen=True)
class GaussianBlur(Settings):
    """Random Gaussian blur.

    Args:
        probability: Float in [0, 1]. Probability of the blur per image.
        sigma: (low, high), above 0. Standard deviation in pixels; uniform in this range.
        kernel_size: Odd integer of 3 or more. Side of the kernel in pixels.
    """

    probability: Fraction
    sigma: Annotated[tuple[float, float], interval()] = (0.1, 1.5)
    kernel_size: Annotated[int, _ODD] = 3

    def apply(self, images: np.ndarray, draws: Draws) -> None:
        uniform = draws.uniform(Purpose.BLUR, 2)
        low, high = self.sigma
        blur = partial(color.gaussian_blur, kernel_size=self.kernel_size)
        chosen, sigmas = uniform[:, 0] < self.probability, low + (high - low) * uniform[:, 1]
        change_some(images, chosen, blur, sigmas)


@dataclass(frozen=True)
class Cutout(Settings):
    """Removal of a square from every image. Its center is a uniformly random pixel; it is clipped at the border.

    Args:
        side: Integer of 1 or more. Side of the square in pixels.
        fill: "zero" (black) or "mean" (the image's mean per channel).

    Source: DeVries and Taylor 2017. Their zero, after normalization, is the mean of the training set.
    """

    side: Annotated[int, whole(1)]
    fill: Annotated[str, choice(("zero", "mean"))] = "zero"

    def apply(self, images: np.ndarray, draws: Draws) -> None:
        centers = np.floor(images.shape[1:3] * draws.uniform(Purpose.CUTOUT, 2)).astype(np.int64)
        for image, (top, left) in zip(images, (centers - self.side // 2).tolist(), strict=True):
            hole = image[max(top, 0) : top + self.side, max(left, 0) : left + self.side]
            hole[:] = 0 if self.fill == "zero" else _mean_level(image)


@dataclass(frozen=True)
class Erasing(Settings):
    """Random removal of a rectangle of random area, aspect ratio and position.

    Args:
        probability: Float in [0, 1]. Probability of erasing per image.
        area: (low, high), above 0 up to 1. Fraction of the image; uniform in this range.
        aspect: (low, high), above 0. Ratio of height to width; its logarithm is uniform, as in torchvision, within the
            ratios for which the rectangle fits into the image.
        fill: "noise" (a random gray level per pixel and channel, the paper's best), "zero" (black) or "mean" (the
            image's mean per channel).

    Source: Zhong et al. 2017.
    """

    probability: Fraction
    area: Annotated[tuple[float, float], interval(1)] = (0.02, 0.33)
    aspect: Annotated[tuple[float, float], interval()] = (0.3, 3.3)
    fill: Annotated[str, choice(("noise", "zero", "mean"))] = "noise"

    def apply(self, images: np.ndarray, draws: Draws) -> None:
        uniform, image_sides = draws.uniform(Purpose.ERASING, 5), np.array(images.shape[1:3])
        sides = self.rectangle_sides(uniform[:, 1], uniform[:, 2], *images.shape[1:3])
        corners = np.floor((image_sides - sides + 1) * uniform[:, 3:]).astype(np.int64)
        for i in np.flatnonzero(uniform[:, 0] < self.probability).tolist():
            (top, left), (height, width) = corners[i], sides[i]
            hole = images[i, top : top + height, left : left + width]
            if self.fill == "noise":
                hole[:] = draws.levels(Purpose.ERASING_NOISE, i, hole.size).reshape(hole.shape)
            else:
                hole[:] = 0 if self.fill == "zero" else _mean_level(images[i])

    def rectangle_sides(self, area: np.ndarray, aspect: np.ndarray, height: int, width: int) -> np.ndarray:
        """Returns (height, width) of rectangles in whole pixels, shape (n, 2), from uniform numbers in [0, 1), (n,)."""
        low, high = self.area
        pixels = height * width * (low + (high - low) * area)
        # Limited to the ratios for which both sides fit: as if drawn, for this area, until one fits.
        lowest = np.log(np.maximum(self.aspect[0], pixels / width**2))
        highest = np.maximum(np.log(np.minimum(self.aspect[1], height**2 / pixels)), lowest)
        root = np.exp((lowest + (highest - lowest) * aspect) / 2)
        sides = np.rint(np.stack([np.sqrt(pixels) * root, np.sqrt(pixels) / root], axis=1))
        return np.clip(sides, 1, (height, width)).astype(np.int64)


def change_some(images: np.ndarray, chosen: np.ndarray, change: Callable, amounts: np.ndarray) -> None:
    """Replaces the chosen images (bool, shape (n,)) by change(images, amounts), in place."""
    positions = np.flatnonzero(chosen)
    if positions.size:
        images[positions] = change(images[positions], amounts[positions])


def _mean_level(image: np.ndarray) -> np.ndarray:
    """Returns the mean of each channel, rounded to uint8."""
    return np.rint(cv2.mean(image)[: image.shape[2]]).astype(np.uint8)

"""Cutout and random erasing: a rectangle of an image is removed."""

from dataclasses import dataclass

import cv2
import numpy as np

from lwcnn.data.augment.checks import FRACTION, check_fields, choice, interval, whole
from lwcnn.data.augment.draws import Draws, Purpose


@dataclass(frozen=True)
class Cutout:
    """Removal of a square from every image. Its center is a uniformly random pixel; it is clipped at the border.

    Args:
        side: Integer of 1 or more. Side of the square in pixels.
        fill: "zero" (black) or "mean" (the image's mean per channel).

    Source: DeVries and Taylor 2017. Their zero, after normalization, is the mean of the training set.
    """

    side: int
    fill: str = "zero"

    def __post_init__(self):
        check_fields(self, side=whole(1), fill=choice(("zero", "mean")))

    def apply(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns the images with a random square removed from each."""
        height, width = images.shape[1:3]
        uniform = draws.uniform(Purpose.CUTOUT, 2)
        tops = np.floor(height * uniform[:, 0]).astype(np.int64) - self.side // 2
        lefts = np.floor(width * uniform[:, 1]).astype(np.int64) - self.side // 2
        cut = images.copy(order="C")
        for i, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            rows = slice(max(top, 0), top + self.side)
            columns = slice(max(left, 0), left + self.side)
            cut[i, rows, columns] = 0 if self.fill == "zero" else _mean_level(cut[i])
        return cut


@dataclass(frozen=True)
class Erasing:
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

    probability: float
    area: tuple[float, float] = (0.02, 0.33)
    aspect: tuple[float, float] = (0.3, 3.3)
    fill: str = "noise"

    def __post_init__(self):
        fills = choice(("noise", "zero", "mean"))
        check_fields(self, probability=FRACTION, area=interval(1), aspect=interval(), fill=fills)

    def apply(self, images: np.ndarray, draws: Draws) -> np.ndarray:
        """Returns the images with a random rectangle removed from some."""
        height, width, channels = images.shape[1:]
        uniform = draws.uniform(Purpose.ERASING, 5)
        sides_y, sides_x = rectangle_sides(self, uniform[:, 1], uniform[:, 2], height, width)
        tops = np.floor((height - sides_y + 1) * uniform[:, 3]).astype(np.int64)
        lefts = np.floor((width - sides_x + 1) * uniform[:, 4]).astype(np.int64)
        erased = images.copy(order="C")
        for i in np.flatnonzero(uniform[:, 0] < self.probability).tolist():
            shape = (int(sides_y[i]), int(sides_x[i]), channels)
            hole = erased[i, tops[i] : tops[i] + shape[0], lefts[i] : lefts[i] + shape[1]]
            if self.fill == "noise":
                hole[:] = draws.levels(Purpose.ERASING_NOISE, i, shape[0] * shape[1] * channels).reshape(shape)
            else:
                hole[:] = 0 if self.fill == "zero" else _mean_level(erased[i])
        return erased


def rectangle_sides(
    erasing: Erasing, area: np.ndarray, aspect: np.ndarray, height: int, width: int
) -> tuple[np.ndarray, np.ndarray]:
    """Returns heights and widths of rectangles in whole pixels, from uniform numbers in [0, 1), shape (n,) each."""
    low, high = erasing.area
    pixels = height * width * (low + (high - low) * area)
    # Limited to the ratios for which both sides fit: the same distribution as drawing until one fits.
    lowest = np.log(np.maximum(erasing.aspect[0], pixels / width**2))
    highest = np.maximum(np.log(np.minimum(erasing.aspect[1], height**2 / pixels)), lowest)
    root = np.exp((lowest + (highest - lowest) * aspect) / 2)
    sides = (np.rint(np.sqrt(pixels) * root), np.rint(np.sqrt(pixels) / root))
    return tuple(np.clip(side, 1, most).astype(np.int64) for side, most in zip(sides, (height, width)))


def _mean_level(image: np.ndarray) -> np.ndarray:
    """Returns the mean of each channel, rounded to uint8."""
    return np.rint(cv2.mean(image)[: image.shape[2]]).astype(np.uint8)

"""Brightness, contrast, saturation and hue of uint8 image batches, with torchvision's definitions of the factors.

The `adjust_` functions take one factor per image and return new arrays. Results are rounded to the nearest gray level,
where torchvision and PIL truncate: they differ by at most one level.
"""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from lwcnn.data.augment.checks import check_amount
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.geometry import Transforms, opencv_views

_LEVELS = np.arange(256)


@dataclass(frozen=True)
class ColorJitter:
    """Random brightness, contrast, saturation and hue, applied in random order per image.

    Saturation and hue change only images of 3 channels.

    Args:
        brightness: Float of 0 or more. The factor is uniform in [max(0, 1 - brightness), 1 + brightness].
        contrast: Float of 0 or more. The factor is uniform in the same way.
        saturation: Float of 0 or more. The factor is uniform in the same way.
        hue: Float in [0, 0.5]. The shift is uniform in +-hue, as a fraction of the color circle.

    Raises:
        LwcnnError: A value is out of range.

    Example:
        >>> jitter = ColorJitter(brightness=0.2, contrast=0.2, hue=0.05)
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self):
        for name in ("brightness", "contrast", "saturation"):
            check_amount(name, getattr(self, name))
        check_amount("hue", self.hue, largest=0.5)


def jitter_colors(images: np.ndarray, jitter: ColorJitter, draws: Draws) -> np.ndarray:
    """Returns the images with random brightness, contrast, saturation and hue."""
    uniform = draws.uniform(Purpose.COLOR_JITTER, 8)
    order = np.argsort(uniform[:, 4:], axis=1, kind="stable")  # of the four operations, per image
    changes = (adjust_brightness, adjust_contrast, adjust_saturation, adjust_hue)
    values = np.empty((len(images), 4))
    for k, amount in enumerate((jitter.brightness, jitter.contrast, jitter.saturation)):
        low, high = max(0.0, 1 - amount), 1 + amount
        values[:, k] = low + (high - low) * uniform[:, k]
    values[:, 3] = jitter.hue * (2 * uniform[:, 3] - 1)
    wanted = [jitter.brightness, jitter.contrast]
    wanted += [jitter.saturation, jitter.hue] if images.shape[3] == 3 else [0, 0]
    jittered = images.copy(order="C")
    for place in range(4):
        for k in np.flatnonzero(wanted).tolist():
            change_some(jittered, order[:, place] == k, changes[k], values[:, k])
    return jittered


def change_some(images: np.ndarray, chosen: np.ndarray, change: Callable, *amounts: np.ndarray) -> None:
    """Replaces the chosen images (bool, shape (n,)) by change(images, *amounts), in place."""
    positions = np.flatnonzero(chosen)
    if positions.size:
        images[positions] = change(images[positions], *(amount[positions] for amount in amounts))


def add_brightness(images: np.ndarray, transforms: Transforms) -> np.ndarray:
    """Returns the images with `transforms.brightness` added, clipped to 0..255."""
    up = np.clip(transforms.brightness, 0, 255).astype(np.uint8)[:, None, None, None]
    down = np.clip(-transforms.brightness, 0, 255).astype(np.uint8)[:, None, None, None]
    # Clipped before adding, so that uint8 cannot wrap around.
    brightened = np.minimum(images, 255 - up)
    brightened += up
    np.maximum(brightened, down, out=brightened)
    brightened -= down
    return brightened


def adjust_brightness(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images multiplied by factors of 0 or more, shape (n,): 0 gives black, 1 the image."""
    return look_up(images, _to_levels(factors[:, None] * _LEVELS)[:, :, None])


def adjust_contrast(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images with differences from their mean gray level multiplied by factors, shape (n,)."""
    height, width = images.shape[1:3]
    sums = to_gray(images).sum(axis=(1, 2), dtype=np.int64)
    means = np.floor(sums / (height * width) + 0.5)[:, None]  # a whole level, as in PIL
    return look_up(images, _to_levels(means + factors[:, None] * (_LEVELS - means))[:, :, None])


def adjust_saturation(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images with differences from their gray versions multiplied by factors, shape (n,).

    0 gives gray, 1 the image. Only images of 3 channels change.
    """
    if images.shape[3] != 3:
        return images.copy()
    grays = np.repeat(to_gray(images)[..., None], 3, axis=3)
    return blend(grays, images, factors)


def adjust_hue(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Returns the images with their hue shifted by fractions of the color circle, shape (n,).

    1/3 changes red to green. Only images of 3 channels change.
    """
    num_images, height, width, channels = images.shape
    if channels != 3:
        return images.copy()
    # In floats: OpenCV's 8-bit hue has only 180 steps, so that a shift of 0 would change images.
    pixels = images.reshape(num_images * height, width, 3).astype(np.float32)
    hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV).reshape(images.shape)
    hue: np.ndarray = hsv[..., 0]
    hue += (360 * (shifts % 1)).astype(np.float32)[:, None, None]
    hue[hue >= 360] -= 360
    rgb = cv2.cvtColor(hsv.reshape(pixels.shape), cv2.COLOR_HSV2RGB)
    return _to_levels(rgb).reshape(images.shape)


def blend(start: np.ndarray, end: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns start + factor * (end - start), rounded and clipped, for factors of shape (n,).

    Factors above 1 extrapolate. Both batches are uint8 of the same shape.
    """
    blended = np.empty_like(end, order="C")
    views = opencv_views(np.ascontiguousarray(start), np.ascontiguousarray(end), blended)
    for first, second, target, factor in zip(*views, factors.tolist(), strict=True):
        cv2.addWeighted(second, factor, first, 1 - factor, 0, target)
    return blended


def look_up(images: np.ndarray, tables: np.ndarray) -> np.ndarray:
    """Returns the images with gray levels replaced by lookup tables.

    Args:
        images: uint8 array, shape (n, height, width, channels).
        tables: uint8 array, shape (n, 256, 1) for one table per image or (n, 256, channels) for one per channel.
    """
    changed = np.empty_like(images, order="C")
    sources, targets = opencv_views(np.ascontiguousarray(images), changed)
    for source, table, target in zip(sources, np.ascontiguousarray(tables), targets, strict=True):
        cv2.LUT(source, table[None], target)
    return changed


def to_gray(images: np.ndarray) -> np.ndarray:
    """Returns gray images, uint8, shape (n, height, width): ITU-R 601 luma of 3 channels, otherwise the mean."""
    num_images, height, width, channels = images.shape
    if channels == 1:
        return images[..., 0]
    if channels == 3:
        rows = np.ascontiguousarray(images).reshape(num_images * height, width, 3)
        return cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY).reshape(num_images, height, width)
    return np.rint(images.mean(axis=3)).astype(np.uint8)


def _to_levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

"""Changes of the gray levels of uint8 image batches, with torchvision's definitions of the parameters.

The `adjust_` functions take one factor per image, (n,). Results are rounded, where torchvision and PIL truncate.
"""

import cv2
import numpy as np

from lwcnn.data.augment.geometry import map_images

_LEVELS = np.arange(256)
_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL's ImageFilter.SMOOTH


def add_brightness(images: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Returns the images with gray levels, integers of shape (n,), added and clipped to 0..255."""
    return _map_levels(images, levels[:, None] + _LEVELS)


def adjust_brightness(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images multiplied by factors of 0 or more: 0 gives black, 1 changes nothing."""
    return _map_levels(images, factors[:, None] * _LEVELS)


def adjust_contrast(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images with differences from their mean gray level multiplied by factors."""
    height, width = images.shape[1:3]
    sums = to_gray(images).sum(axis=(1, 2), dtype=np.int64)
    means = np.floor(sums / (height * width) + 0.5)[:, None]  # a whole level, as in PIL
    return _map_levels(images, means + factors[:, None] * (_LEVELS - means))


def adjust_saturation(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns RGB images blended with their gray versions (0: gray, 1: unchanged); others are only copied."""
    if images.shape[3] != 3:
        return images.copy()
    return _blend(np.repeat(to_gray(images)[..., None], 3, axis=3), images, factors)


def adjust_hue(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Returns images with hue shifted by fractions of the color circle (1/3: red to green); gray images are copied."""
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


def adjust_sharpness(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images with differences from smoothed ones multiplied by factors, except at borders, as in PIL."""
    smooth = images.copy(order="C")
    if min(images.shape[1:3]) < 3:
        return smooth
    filtered = map_images(images, lambda image, out: cv2.filter2D(image, -1, _SMOOTH, out))
    smooth[:, 1:-1, 1:-1] = filtered[:, 1:-1, 1:-1]
    return _blend(smooth, images, factors)


def gaussian_blur(images: np.ndarray, sigmas: np.ndarray, kernel_size: int = 3) -> np.ndarray:
    """Returns the images blurred by Gaussians of sigmas in pixels, shape (n,), with reflected borders."""
    offsets = np.arange(kernel_size) - kernel_size // 2
    kernels = np.exp(-(offsets**2) / (2 * sigmas[:, None] ** 2))
    kernels = (kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32)
    # Not cv2.GaussianBlur, which rounds the kernel to 1/256: errors of more than one gray level.
    border = cv2.BORDER_REFLECT_101
    return map_images(images, lambda i, k, out: cv2.sepFilter2D(i, -1, k, k, out, borderType=border), kernels)


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
    stretched = (levels - low) * (255 / np.maximum(high - low, 1))
    return _map_levels(images, np.where(high > low, stretched, levels))


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
    return _map_levels(images, tables.transpose(0, 2, 1))


def to_gray(images: np.ndarray) -> np.ndarray:
    """Returns gray images, uint8, shape (n, height, width): ITU-R 601 luma of 3 channels, otherwise the mean."""
    num_images, height, width, channels = images.shape
    if channels == 1:
        return images[..., 0]
    if channels == 3:
        rows = np.ascontiguousarray(images).reshape(num_images * height, width, 3)
        return cv2.cvtColor(rows, cv2.COLOR_RGB2GRAY).reshape(num_images, height, width)
    return np.rint(images.mean(axis=3)).astype(np.uint8)


def _blend(start: np.ndarray, end: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns start + factor * (end - start), rounded and clipped; factors above 1 extrapolate."""
    return map_images(end, lambda e, s, f, out: cv2.addWeighted(e, f, s, 1 - f, 0, out), start, factors.tolist())


def _map_levels(images: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the images with gray levels replaced by values of shape (n, 256), or (n, 256, channels)."""
    return map_images(images, cv2.LUT, np.ascontiguousarray(_to_levels(values)).reshape(len(images), 1, 256, -1))


def _to_levels(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)

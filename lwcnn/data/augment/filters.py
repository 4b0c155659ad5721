"""Sharpness and Gaussian blur of uint8 image batches, with torchvision's definitions of the parameters."""

from dataclasses import dataclass

import cv2
import numpy as np

from lwcnn.data.augment.checks import check_amount, check_fraction, check_range, check_whole_number
from lwcnn.data.augment.color import blend, change_some
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.geometry import opencv_views
from lwcnn.system.errors import LwcnnError

_SMOOTH = np.array([[1, 1, 1], [1, 5, 1], [1, 1, 1]], np.float32) / 13  # PIL's ImageFilter.SMOOTH


@dataclass(frozen=True)
class Sharpness:
    """Random change of sharpness.

    Args:
        probability: Float in [0, 1]. Probability of the change per image.
        factor: Float of 0 or more. 0 smooths, 1 has no effect, 2 doubles the difference from the smoothed image.

    Raises:
        LwcnnError: A value is out of range.

    Example:
        >>> sharpness = Sharpness(probability=0.5, factor=2.0)
    """

    probability: float
    factor: float = 2.0

    def __post_init__(self):
        check_fraction("probability", self.probability)
        check_amount("factor", self.factor)


@dataclass(frozen=True)
class GaussianBlur:
    """Random Gaussian blur.

    Args:
        probability: Float in [0, 1]. Probability of the blur per image.
        sigma: (low, high), above 0. Standard deviation in pixels; uniform in this range.
        kernel_size: Odd integer of 3 or more. Side of the kernel in pixels.

    Raises:
        LwcnnError: A value is out of range.

    Example:
        >>> blur = GaussianBlur(probability=0.5, sigma=(0.1, 1.0))
    """

    probability: float
    sigma: tuple[float, float] = (0.1, 1.5)
    kernel_size: int = 3

    def __post_init__(self):
        check_fraction("probability", self.probability)
        check_range("sigma", self.sigma)
        check_whole_number("kernel_size", self.kernel_size, 3)
        if self.kernel_size % 2 == 0:
            raise LwcnnError(f"Give kernel_size as an odd number. Received: kernel_size={self.kernel_size!r}")


def change_sharpness(images: np.ndarray, sharpness: Sharpness, draws: Draws) -> np.ndarray:
    """Returns the images with the sharpness of some changed."""
    chosen = draws.uniform(Purpose.SHARPNESS, 1)[:, 0] < sharpness.probability
    changed = images.copy(order="C")
    change_some(changed, chosen, adjust_sharpness, np.full(len(images), sharpness.factor))
    return changed


def blur_some(images: np.ndarray, blur: GaussianBlur, draws: Draws) -> np.ndarray:
    """Returns the images with some blurred."""
    uniform = draws.uniform(Purpose.BLUR, 2)
    low, high = blur.sigma
    sigmas = low + (high - low) * uniform[:, 1]
    blurred = images.copy(order="C")
    change_some(
        blurred,
        uniform[:, 0] < blur.probability,
        lambda some, some_sigmas: gaussian_blur(some, some_sigmas, blur.kernel_size),
        sigmas,
    )
    return blurred


def adjust_sharpness(images: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Returns the images with differences from their smoothed versions multiplied by factors, shape (n,).

    Border pixels stay unchanged, as in PIL and torchvision, since the 3x3 kernel does not fit there.
    """
    images = np.ascontiguousarray(images)
    smooth = images.copy()
    if min(images.shape[1:3]) < 3:
        return smooth
    filtered = np.empty_like(images)
    for source, target in zip(*opencv_views(images, filtered), strict=True):
        cv2.filter2D(source, -1, _SMOOTH, target)
    smooth[:, 1:-1, 1:-1] = filtered[:, 1:-1, 1:-1]
    return blend(smooth, images, factors)


def gaussian_blur(images: np.ndarray, sigmas: np.ndarray, kernel_size: int = 3) -> np.ndarray:
    """Returns the images blurred by Gaussians of sigmas in pixels, shape (n,), with reflected borders."""
    images = np.ascontiguousarray(images)
    blurred = np.empty_like(images)
    offsets = np.arange(kernel_size) - kernel_size // 2
    kernels = np.exp(-(offsets**2) / (2 * sigmas[:, None] ** 2))
    kernels = (kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32)
    # Not cv2.GaussianBlur, which rounds the kernel to 1/256: errors of more than one gray level.
    for source, target, kernel in zip(*opencv_views(images, blurred), kernels, strict=True):
        cv2.sepFilter2D(source, -1, kernel, kernel, target, borderType=cv2.BORDER_REFLECT_101)
    return blurred

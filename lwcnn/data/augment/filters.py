"""Sharpness and Gaussian blur of uint8 image batches, with torchvision's meaning of the amounts."""

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
    """One change of sharpness, made with a probability.

    Args:
        probability: in [0, 1].
        factor: 0 or more: 0 smooths, 1 changes nothing, 2 doubles the difference from the smoothed image.

    Raises:
        LwcnnError: a value out of its range.
    """

    probability: float
    factor: float = 2.0

    def __post_init__(self):
        check_fraction("probability", self.probability)
        check_amount("factor", self.factor)


@dataclass(frozen=True)
class GaussianBlur:
    """Blur of a random width, made with a probability.

    Args:
        probability: in [0, 1].
        sigma: (low, high) in pixels, above 0; uniform between them.
        kernel_size: side of the kernel in pixels, odd, 3 or more.

    Raises:
        LwcnnError: a value out of its range.
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
    """Returns the images, sharpened or smoothed where it is drawn for them."""
    chosen = draws.uniform(Purpose.SHARPNESS, 1)[:, 0] < sharpness.probability
    changed = images.copy(order="C")
    change_some(changed, chosen, adjust_sharpness, np.full(len(images), sharpness.factor))
    return changed


def blur_some(images: np.ndarray, blur: GaussianBlur, draws: Draws) -> np.ndarray:
    """Returns the images, blurred where it is drawn for them."""
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
    """Returns the images with their differences from smoothed ones times factors, shape (n,).

    Pixels at the border stay as they are, as in PIL and torchvision: the 3x3 kernel does not fit there.
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
    """Returns the images blurred by Gaussian kernels of sigmas in pixels, shape (n,), mirrored at the border."""
    images = np.ascontiguousarray(images)
    blurred = np.empty_like(images)
    offsets = np.arange(kernel_size) - kernel_size // 2
    kernels = np.exp(-(offsets**2) / (2 * sigmas[:, None] ** 2))
    kernels = (kernels / kernels.sum(axis=1, keepdims=True)).astype(np.float32)
    # Not cv2.GaussianBlur: its kernel is in 256ths, which is more than a level off.
    for source, target, kernel in zip(*opencv_views(images, blurred), kernels, strict=True):
        cv2.sepFilter2D(source, -1, kernel, kernel, target, borderType=cv2.BORDER_REFLECT_101)
    return blurred

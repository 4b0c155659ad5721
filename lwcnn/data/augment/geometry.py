"""Flips, crops and affine transforms of uint8 image batches, with parameters of shape (n,), one per image."""

from collections.abc import Callable, Iterable

import cv2
import numpy as np

FILLS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
"""Fill modes of pixels outside an image: reflection, edge pixels included, or zero (black)."""


def flip_and_crop(images: np.ndarray, flip: np.ndarray, shifts: np.ndarray, padding: int, fill: str) -> None:
    """Mirrors contiguous images in place, left to right, where `flip` is true, then shifts them by whole pixels.

    `shifts`, down and right, shape (n, 2), are at most `padding`.
    """
    height, width = images.shape[1:3]
    for image, is_flipped, (top, left) in zip(_views(images), flip.tolist(), (padding - shifts).tolist(), strict=True):
        if is_flipped:
            image[:] = cv2.flip(image, 1)
        if padding:
            padded = cv2.copyMakeBorder(image, *(padding,) * 4, FILLS[fill])
            image[:] = padded[top : top + height, left : left + width]


def warp(images: np.ndarray, fill: str, radians=0.0, zoom=1.0, shift_y=0.0, shift_x=0.0) -> np.ndarray:
    """Returns the images rotated counterclockwise about the center, zoomed and shifted by pixels, in this order.

    Zoom is the side of the visible section relative to the image. Interpolates bilinearly once: separate layers
    would blur three times, and fill from images that are already cropped.
    """
    height, width = images.shape[1:3]
    center_y, center_x = (height - 1) / 2, (width - 1) / 2  # pixels are points, as in Keras
    cosine, sine = zoom * np.cos(radians), zoom * np.sin(radians)
    from_y, from_x = center_y + shift_y, center_x + shift_x
    offset_x = center_x - cosine * from_x + sine * from_y
    offset_y = center_y - sine * from_x - cosine * from_y
    return _warp_affine(images, fill, (cosine, -sine, offset_x), (sine, cosine, offset_y))


def shear(images: np.ndarray, fill: str, along_y=0.0, along_x=0.0) -> np.ndarray:
    """Returns the images sheared about their top left corners.

    A pixel's source lies `along_y` lower per pixel to the right, and `along_x` to the right per pixel down.
    """
    # The corner is half a pixel up and left of the first pixel's center, OpenCV's origin.
    return _warp_affine(images, fill, (1, along_x, along_x / 2), (along_y, 1, along_y / 2))


def _warp_affine(images: np.ndarray, fill: str, *rows: tuple) -> np.ndarray:
    """Returns the images transformed by matrices of two rows, from output (x, y, 1) to input (x, y)."""
    matrices = np.stack(np.broadcast_arrays(*rows[0], *rows[1]), axis=-1).reshape(-1, 2, 3)
    flags, border, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, FILLS[fill], images.shape[2:0:-1]
    return map_images(images, lambda image, m, out: cv2.warpAffine(image, m, size, out, flags, border), matrices)


def map_images(images: np.ndarray, change: Callable, *arguments: Iterable) -> np.ndarray:
    """Returns the images changed by `change(image, *its arguments, out)`, which writes to an array of the same shape.

    As in OpenCV, an image of one channel has shape (height, width).
    """
    changed = np.empty_like(images, order="C")
    for source, out, *values in zip(_views(np.ascontiguousarray(images)), _views(changed), *arguments, strict=True):
        change(source, *values, out)
    return changed


def _views(images: np.ndarray) -> np.ndarray:
    return images.reshape(images.shape[:3]) if images.shape[3] == 1 else images

"""Flips, crops and affine transforms of uint8 image batches, with other parameters for each image."""

from dataclasses import dataclass

import cv2
import numpy as np

FILLS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
"""Fill modes of pixels outside an image: reflection, edge pixels included, or zero (black)."""


@dataclass(frozen=True)
class Transforms:
    """Geometry and brightness of each image of a batch; every field is an array of shape (n,).

    Args:
        angle: Counterclockwise rotation as a fraction of a turn.
        zoom: Side of the visible section relative to the image.
        shift_y: Downward shift of the content in pixels.
        shift_x: Rightward shift of the content in pixels.
        brightness: Gray levels to add, integers from -255 to 255.
        flip: Whether to mirror left to right (bool).
        crop_y: Downward shift of the content in whole pixels.
        crop_x: Rightward shift of the content in whole pixels.
    """

    angle: np.ndarray
    zoom: np.ndarray
    shift_y: np.ndarray
    shift_x: np.ndarray
    brightness: np.ndarray
    flip: np.ndarray
    crop_y: np.ndarray
    crop_x: np.ndarray


def flip_and_crop(images: np.ndarray, transforms: Transforms, padding: int, fill: str) -> np.ndarray:
    """Returns the images mirrored where `flip` is true, then shifted by (crop_y, crop_x) without interpolation."""
    height, width = images.shape[1:3]
    changed = images.copy(order="C")
    flips, tops, lefts = transforms.flip, padding - transforms.crop_y, padding - transforms.crop_x
    margins, border = (padding,) * 4, FILLS[fill]
    (targets,) = opencv_views(changed)
    for target, flip, top, left in zip(targets, flips.tolist(), tops.tolist(), lefts.tolist(), strict=True):
        if flip:
            target[:] = cv2.flip(target, 1)
        if padding:
            target[:] = cv2.copyMakeBorder(target, *margins, border)[top : top + height, left : left + width]
    return changed


def flip_vertically(images: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Returns the images mirrored top to bottom where `flip` (bool, shape (n,)) is true."""
    flipped = images.copy(order="C")
    flipped[flip] = flipped[flip, ::-1]
    return flipped


def warp(images: np.ndarray, transforms: Transforms, fill: str) -> np.ndarray:
    """Returns the images rotated, zoomed and shifted, in this order, with one bilinear interpolation.

    A stack of separate layers would blur three times and fill from images that are already cropped.
    """
    return warp_affine(images, _output_to_input(transforms, images.shape[1], images.shape[2]), fill)


def rotate(images: np.ndarray, degrees: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images rotated counterclockwise about their centers by degrees, shape (n,)."""
    height, width = images.shape[1:3]
    zeros = np.zeros(len(images))
    return warp_affine(images, _similarity(np.deg2rad(degrees), zeros + 1, zeros, zeros, height, width), fill)


def shear(images: np.ndarray, along_y: np.ndarray, along_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images sheared about their top left corners.

    Args:
        images: uint8 array, shape (n, height, width, channels).
        along_y: Array, shape (n,). Vertical offset of a pixel's source, downward, per pixel to the right.
        along_x: Array, shape (n,). Horizontal offset of a pixel's source, rightward, per pixel down.
        fill: Key of `FILLS`.
    """
    matrices = np.zeros((len(images), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1
    matrices[:, 0, 1], matrices[:, 1, 0] = along_x, along_y
    # The corner is half a pixel up and left of the first pixel's center, OpenCV's origin.
    matrices[:, 0, 2], matrices[:, 1, 2] = along_x / 2, along_y / 2
    return warp_affine(images, matrices, fill)


def translate(images: np.ndarray, shift_y: np.ndarray, shift_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images shifted down and to the right by pixels, shape (n,) each."""
    matrices = np.zeros((len(images), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1
    matrices[:, 0, 2], matrices[:, 1, 2] = -shift_x, -shift_y
    return warp_affine(images, matrices, fill)


def warp_affine(images: np.ndarray, matrices: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images transformed by matrices (n, 2, 3) from output (x, y, 1) to input (x, y)."""
    warped = np.empty_like(images, order="C")
    sources, targets = opencv_views(np.ascontiguousarray(images), warped)
    flags, border, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, FILLS[fill], images.shape[2:0:-1]
    for source, matrix, target in zip(sources, matrices, targets, strict=True):
        cv2.warpAffine(source, matrix, size, target, flags, border)
    return warped


def opencv_views(*batches: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns views of contiguous batches with one-channel images of shape (height, width), as in OpenCV."""
    return tuple(batch.reshape(batch.shape[:3]) if batch.shape[3] == 1 else batch for batch in batches)


def _output_to_input(transforms: Transforms, height: int, width: int) -> np.ndarray:
    """Returns matrices (n, 2, 3) from output (x, y, 1) to input (x, y)."""
    turn = 2 * np.pi * transforms.angle
    return _similarity(turn, transforms.zoom, transforms.shift_y, transforms.shift_x, height, width)


def _similarity(turn, zoom, shift_y, shift_x, height: int, width: int) -> np.ndarray:
    """Returns matrices (n, 2, 3) that invert a rotation in radians about the center, a zoom and a shift in pixels."""
    center_y, center_x = (height - 1) / 2, (width - 1) / 2  # pixels are points, as in Keras
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    from_y, from_x = center_y + shift_y, center_x + shift_x
    matrices = np.empty((len(turn), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    matrices[:, 0, 2] = center_x - cosine * from_x + sine * from_y
    matrices[:, 1, 2] = center_y - sine * from_x - cosine * from_y
    return matrices

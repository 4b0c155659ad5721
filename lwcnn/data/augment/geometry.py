"""Flips, crops and affine transforms of uint8 image batches, with other parameters for each image."""

from dataclasses import dataclass

import cv2
import numpy as np

FILLS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
"""Fill modes of pixels outside an image: reflection, edge pixels included, or zero (black)."""


@dataclass(frozen=True)
class Transforms:
    """Geometry and brightness of each image of a batch; every field is an array of shape (n,)."""

    angle: np.ndarray  # counterclockwise, fraction of a turn
    zoom: np.ndarray  # side of the visible section relative to the image
    shift_y: np.ndarray  # downward shift of the content in pixels
    shift_x: np.ndarray  # rightward
    brightness: np.ndarray  # gray levels to add, integers from -255 to 255
    flip: np.ndarray  # bool: whether to mirror left to right
    crop_y: np.ndarray  # downward shift in whole pixels
    crop_x: np.ndarray  # rightward


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


def warp(images: np.ndarray, transforms: Transforms, fill: str) -> np.ndarray:
    """Returns the images rotated, zoomed and shifted, in this order, with one bilinear interpolation.

    A stack of separate layers would blur three times and fill from images that are already cropped.
    """
    turn = 2 * np.pi * transforms.angle
    return _warp_similarly(images, fill, turn, transforms.zoom, transforms.shift_y, transforms.shift_x)


def rotate(images: np.ndarray, degrees: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images rotated counterclockwise about their centers by degrees, shape (n,)."""
    return _warp_similarly(images, fill, np.deg2rad(degrees))


def _warp_similarly(images: np.ndarray, fill: str, turn, zoom=1.0, shift_y=0.0, shift_x=0.0) -> np.ndarray:
    """Returns the images rotated by radians about the center, zoomed and shifted by pixels, of shape (n,)."""
    height, width = images.shape[1:3]
    center_y, center_x = (height - 1) / 2, (width - 1) / 2  # pixels are points, as in Keras
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    from_y, from_x = center_y + shift_y, center_x + shift_x
    offset_x = center_x - cosine * from_x + sine * from_y
    offset_y = center_y - sine * from_x - cosine * from_y
    return _warp_affine(images, fill, (cosine, -sine, offset_x), (sine, cosine, offset_y))


def shear(images: np.ndarray, along_y: np.ndarray, along_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images sheared about their top left corners.

    A pixel's source lies `along_y` lower per pixel to the right, and `along_x` to the right per pixel down, (n,) each.
    """
    # The corner is half a pixel up and left of the first pixel's center, OpenCV's origin.
    return _warp_affine(images, fill, (1, along_x, along_x / 2), (along_y, 1, along_y / 2))


def translate(images: np.ndarray, shift_y: np.ndarray, shift_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images shifted down and to the right by pixels, shape (n,) each."""
    return _warp_affine(images, fill, (1, 0, -shift_x), (0, 1, -shift_y))


def _warp_affine(images: np.ndarray, fill: str, *rows: tuple) -> np.ndarray:
    """Returns the images transformed by matrices of two rows, from output (x, y, 1) to input (x, y)."""
    matrices = np.stack(np.broadcast_arrays(*rows[0], *rows[1]), axis=-1).reshape(-1, 2, 3)
    warped = np.empty_like(images, order="C")
    sources, targets = opencv_views(np.ascontiguousarray(images), warped)
    flags, border, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, FILLS[fill], images.shape[2:0:-1]
    for source, matrix, target in zip(sources, matrices, targets, strict=True):
        cv2.warpAffine(source, matrix, size, target, flags, border)
    return warped


def opencv_views(*batches: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns views of contiguous batches with one-channel images of shape (height, width), as in OpenCV."""
    return tuple(batch.reshape(batch.shape[:3]) if batch.shape[3] == 1 else batch for batch in batches)

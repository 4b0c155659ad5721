"""Flips, crops and affine maps of uint8 image batches, each image by its own."""

from dataclasses import dataclass

import cv2
import numpy as np

FILLS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
"""How pixels from outside an image are made: its mirror image, edge pixels included, or zero (black)."""


@dataclass(frozen=True)
class Transforms:
    """What is done to each image of a batch; every field is an array of shape (n,).

    Args:
        angle: anticlockwise rotation as a fraction of a turn.
        zoom: side of the section shown, 1 for all of the image.
        shift_y, shift_x: shift of the content down and to the right, in pixels.
        brightness: gray levels added, whole numbers from -255 to 255.
        flip: whether to mirror left to right (bool).
        crop_y, crop_x: shift of the content down and to the right, in whole pixels.
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
    """Returns the images mirrored where `flip` says so, then shifted by (crop_y, crop_x), pixels exact."""
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
    """Returns the images turned upside down where flip, bool of shape (n,), says so."""
    flipped = images.copy(order="C")
    flipped[flip] = flipped[flip, ::-1]
    return flipped


def warp(images: np.ndarray, transforms: Transforms, fill: str) -> np.ndarray:
    """Returns the images rotated, zoomed and shifted, in this order, in one bilinear interpolation each.

    One after the other, as a stack of layers does it, they would blur three times, and fill from images that
    are cut off already.
    """
    return warp_affine(images, _output_to_input(transforms, images.shape[1], images.shape[2]), fill)


def rotate(images: np.ndarray, degrees: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images turned anticlockwise about their centers by degrees, shape (n,)."""
    height, width = images.shape[1:3]
    zeros = np.zeros(len(images))
    return warp_affine(images, _similarity(np.deg2rad(degrees), zeros + 1, zeros, zeros, height, width), fill)


def shear(images: np.ndarray, along_y: np.ndarray, along_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images sheared, the top left corner of each staying where it is.

    Args:
        images: uint8, shape (n, height, width, channels).
        along_y: shape (n,); a pixel takes the value from this much further down for each pixel to the right.
        along_x: shape (n,); it takes the value from this much further to the right for each pixel down.
        fill: a key of `FILLS`.
    """
    matrices = np.zeros((len(images), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1
    matrices[:, 0, 1], matrices[:, 1, 0] = along_x, along_y
    # The corner lies half a pixel up and left of the first pixel's center, which OpenCV counts from.
    matrices[:, 0, 2], matrices[:, 1, 2] = along_x / 2, along_y / 2
    return warp_affine(images, matrices, fill)


def translate(images: np.ndarray, shift_y: np.ndarray, shift_x: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images shifted down and to the right by pixels, shape (n,) each."""
    matrices = np.zeros((len(images), 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = 1
    matrices[:, 0, 2], matrices[:, 1, 2] = -shift_x, -shift_y
    return warp_affine(images, matrices, fill)


def warp_affine(images: np.ndarray, matrices: np.ndarray, fill: str) -> np.ndarray:
    """Returns the images mapped by matrices (n, 2, 3) from (x, y, 1) of an output pixel to (x, y) in the input."""
    warped = np.empty_like(images, order="C")
    sources, targets = opencv_views(np.ascontiguousarray(images), warped)
    flags, border, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, FILLS[fill], images.shape[2:0:-1]
    for source, matrix, target in zip(sources, matrices, targets, strict=True):
        cv2.warpAffine(source, matrix, size, target, flags, border)
    return warped


def opencv_views(*batches: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns views of contiguous batches in which an image of one channel is (height, width), as OpenCV has it."""
    return tuple(batch.reshape(batch.shape[:3]) if batch.shape[3] == 1 else batch for batch in batches)


def _output_to_input(transforms: Transforms, height: int, width: int) -> np.ndarray:
    """Matrices (n, 2, 3) from (x, y) of an output pixel to where its value lies in the input."""
    turn = 2 * np.pi * transforms.angle
    return _similarity(turn, transforms.zoom, transforms.shift_y, transforms.shift_x, height, width)


def _similarity(turn, zoom, shift_y, shift_x, height: int, width: int) -> np.ndarray:
    """Matrices (n, 2, 3) that undo a turn in radians about the center, a zoom and a shift in pixels."""
    center_y, center_x = (height - 1) / 2, (width - 1) / 2  # pixels are points: this is Keras's center too
    cosine, sine = zoom * np.cos(turn), zoom * np.sin(turn)
    from_y, from_x = center_y + shift_y, center_x + shift_x
    matrices = np.empty((len(turn), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    matrices[:, 0, 2] = center_x - cosine * from_x + sine * from_y
    matrices[:, 1, 2] = center_y - sine * from_x - cosine * from_y
    return matrices

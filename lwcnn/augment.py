"""Augmentation of uint8 image batches, drawn per image from (seed, epoch, index), without a framework.

What an image becomes depends on the seed, the epoch and its index in the data set alone: not on the batch
it lies in, the order of the batches, the thread that makes them or the backend that trains on them.
"""

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from lwcnn.errors import LwcnnError

FILLS = {"reflect": cv2.BORDER_REFLECT, "constant": cv2.BORDER_CONSTANT}
"""How pixels from outside an image are made: its mirror image, edge pixels included, or zero (black)."""

_AUGMENTATION_KEY = 1  # keeps these numbers apart from those drawn for other purposes (batches.py)
_DRAWS_PER_IMAGE = 8  # one for each column of `draw_transforms`, so that no setting changes another's draws


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random in an image; everything is off unless it is set.

    Args:
        rotation: largest angle as a fraction of a full turn, in [0, 1]; the angle is uniform in +-rotation.
        zoom: in [0, 1); the side of the section shown is uniform in 1 +- zoom, one for both axes: above 1
            shrinks the content, as in Keras's RandomZoom.
        translation: largest shift as a fraction of height and width, in [0, 1]; uniform, each axis by itself.
        brightness: largest change as a fraction of 255, in [0, 1]; one uniform value is added to all of an
            image's pixels and channels, and the sum is clipped.
        horizontal_flip: mirror left to right with probability 1/2.
        crop_padding: largest shift in whole pixels, as by a random crop after padding that much on all sides.
        fill: "reflect" or "constant" (zero), for pixels that come from outside the image.

    Raises:
        LwcnnError: a value out of its range, or an unknown fill.
    """

    rotation: float = 0.0
    zoom: float = 0.0
    translation: float = 0.0
    brightness: float = 0.0
    horizontal_flip: bool = False
    crop_padding: int = 0
    fill: str = "reflect"

    def __post_init__(self):
        for name in ("rotation", "zoom", "translation", "brightness"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
                raise LwcnnError(f"Give {name} as a fraction from 0 to 1. Received: {name}={value!r}")
        if self.zoom == 1:
            raise LwcnnError(f"Give zoom below 1: a factor of 0 shows nothing. Received: zoom={self.zoom!r}")
        padding, flip = self.crop_padding, self.horizontal_flip
        if isinstance(padding, bool) or not isinstance(padding, int) or padding < 0:
            raise LwcnnError(f"Give crop_padding as a whole number of pixels. Received: crop_padding={padding!r}")
        if not isinstance(flip, bool):
            raise LwcnnError(f"Give horizontal_flip as True or False. Received: horizontal_flip={flip!r}")
        if self.fill not in FILLS:
            raise LwcnnError(f"Give fill as one of {sorted(FILLS)}. Received: fill={self.fill!r}")


# The paper names rotation, zoom, brightness and translation, no amounts. Rotation, zoom and translation are
# those of the author's notebook; its brightness factor is 0, which does nothing, so 0.2 is ours.
PAPER_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.2)

# The author's notebook as it runs: brightness factor 0.
PUBLISHED_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.0)


@dataclass(frozen=True)
class Transforms:
    """What is done to each image of a batch; every field is an array of shape (n,).

    Args:
        angle: anticlockwise rotation as a fraction of a turn.
        zoom: side of the section shown, 1 for all of the image.
        shift_y, shift_x: shift of the content down and to the right, in pixels.
        brightness: grey levels added, whole numbers from -255 to 255.
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


def augment_batch(
    images: np.ndarray,
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    indices: np.ndarray,
    stream: int = 0,
) -> np.ndarray:
    """Returns the images as the augmentation changes them in this epoch, in a new array.

    Args:
        images: uint8, shape (n, height, width, channels), 1 to 4 channels; left as it is.
        augmentation: what may change, and how far.
        seed: of the run, 0 or more.
        epoch: 0 or more; another epoch draws afresh.
        indices: shape (n,), each image's index in its data set: its draw depends on this, not on its place.
        stream: 0 or more; another number draws independently for the same image, seed and epoch.

    Returns:
        uint8, the shape of images.

    Raises:
        LwcnnError: images are not uint8 of that shape, or indices do not fit them.
    """
    check_images(images)
    indices = np.asarray(indices)
    fits = indices.shape == images.shape[:1] and indices.dtype.kind in "iu"
    if not fits or (indices.size and indices.min() < 0):
        raise LwcnnError(
            f"Give one index of 0 or more for each of the {len(images)} images. "
            f"Received: indices of shape {indices.shape} and type {indices.dtype}"
        )
    if len(images) == 0:
        return images.copy()
    transforms = draw_transforms(augmentation, seed, epoch, indices, images.shape[1], images.shape[2], stream)
    changed = images
    if augmentation.horizontal_flip or augmentation.crop_padding:
        changed = flip_and_crop(changed, transforms, augmentation.crop_padding, augmentation.fill)
    if augmentation.rotation or augmentation.zoom or augmentation.translation:
        changed = warp(changed, transforms, augmentation.fill)
    if augmentation.brightness:
        changed = add_brightness(changed, transforms)
    return images.copy() if changed is images else changed


def draw_transforms(
    augmentation: Augmentation,
    seed: int,
    epoch: int,
    indices: np.ndarray,
    height: int,
    width: int,
    stream: int = 0,
) -> Transforms:
    """Returns what the augmentation does to the images with these indices, of this height and width."""
    num_rows = 1024
    while num_rows <= indices.max():  # whole powers of two: the batches of an epoch share one table
        num_rows *= 2
    draws = _uniform_table(seed, epoch, stream, num_rows)[indices]  # (n, 8) in [0, 1)
    signed = 2 * draws - 1
    padding = augmentation.crop_padding
    offsets = np.floor(draws[:, 6:8] * (2 * padding + 1)).astype(np.int64) - padding
    return Transforms(
        angle=augmentation.rotation * signed[:, 0],
        zoom=1 + augmentation.zoom * signed[:, 1],
        shift_y=augmentation.translation * height * signed[:, 2],
        shift_x=augmentation.translation * width * signed[:, 3],
        # Whole grey levels lose nothing: the pixels are whole numbers before and after.
        brightness=np.rint(255 * augmentation.brightness * signed[:, 4]).astype(np.int64),
        flip=(draws[:, 5] < 0.5) & augmentation.horizontal_flip,
        crop_y=offsets[:, 0],
        crop_x=offsets[:, 1],
    )


def flip_and_crop(images: np.ndarray, transforms: Transforms, padding: int, fill: str) -> np.ndarray:
    """Returns the images mirrored where `flip` says so, then shifted by (crop_y, crop_x), pixels exact."""
    height, width = images.shape[1:3]
    flipped = np.where(transforms.flip[:, None, None, None], images[:, :, ::-1], images)
    if padding == 0:
        return flipped
    margins = ((0, 0), (padding, padding), (padding, padding), (0, 0))
    padded = np.pad(flipped, margins, mode="symmetric" if fill == "reflect" else "constant")
    cropped = np.empty_like(flipped)
    tops = (padding - transforms.crop_y).tolist()
    lefts = (padding - transforms.crop_x).tolist()
    for i, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        cropped[i] = padded[i, top : top + height, left : left + width]
    return cropped


def warp(images: np.ndarray, transforms: Transforms, fill: str) -> np.ndarray:
    """Returns the images rotated, zoomed and shifted, in this order, in one bilinear interpolation each.

    One after the other, as a stack of layers does it, they would blur three times, and fill from images that
    are cut off already.
    """
    num_images, height, width, channels = images.shape
    matrices = _output_to_input(transforms, height, width)
    warped = np.empty_like(images, order="C")
    # OpenCV takes an image of one channel as (height, width).
    shape = (num_images, height, width) if channels == 1 else images.shape
    sources, targets = np.ascontiguousarray(images).reshape(shape), warped.reshape(shape)
    flags, border, size = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, FILLS[fill], (width, height)
    for source, matrix, target in zip(sources, matrices, targets, strict=True):
        cv2.warpAffine(source, matrix, size, target, flags, border)
    return warped


def _output_to_input(transforms: Transforms, height: int, width: int) -> np.ndarray:
    """Matrices (n, 2, 3) from (x, y) of an output pixel to where its value lies in the input."""
    center_y, center_x = (height - 1) / 2, (width - 1) / 2  # pixels are points: this is Keras's centre too
    turn = 2 * np.pi * transforms.angle
    cosine, sine = transforms.zoom * np.cos(turn), transforms.zoom * np.sin(turn)
    from_y, from_x = center_y + transforms.shift_y, center_x + transforms.shift_x
    matrices = np.empty((len(turn), 2, 3))
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine, -sine
    matrices[:, 1, 0], matrices[:, 1, 1] = sine, cosine
    matrices[:, 0, 2] = center_x - cosine * from_x + sine * from_y
    matrices[:, 1, 2] = center_y - sine * from_x - cosine * from_y
    return matrices


def add_brightness(images: np.ndarray, transforms: Transforms) -> np.ndarray:
    """Returns the images with their brightness added, clipped to 0..255."""
    up = np.clip(transforms.brightness, 0, 255).astype(np.uint8)[:, None, None, None]
    down = np.clip(-transforms.brightness, 0, 255).astype(np.uint8)[:, None, None, None]
    # Clipped before adding, so that uint8 cannot wrap around.
    brightened = np.minimum(images, 255 - up)
    brightened += up
    np.maximum(brightened, down, out=brightened)
    brightened -= down
    return brightened


def random_bits(key: tuple[int, ...], count: int) -> np.ndarray:
    """Returns uint64 random numbers that depend on the key alone: their purpose, the seed, the epoch, ...

    NumPy promises that the raw output of Philox and of SeedSequence stays as it is, which it does not of the
    distributions made from it. The first numbers of a longer draw are those of a shorter one.
    """
    # Below 2**32 each is one word of the seed, so that two keys of one length never mean the same words.
    if not all(isinstance(part, (int, np.integer)) and 0 <= part < 2**32 for part in key):
        raise LwcnnError(f"Give seed, epoch and stream as whole numbers from 0 to 2**32 - 1. Received: {key}")
    return np.random.Philox(np.random.SeedSequence([int(part) for part in key])).random_raw(count)


@lru_cache(maxsize=8)
def _uniform_table(seed: int, epoch: int, stream: int, num_rows: int) -> np.ndarray:
    """Uniform numbers in [0, 1), shape (num_rows, 8): row i is image i's, whatever num_rows is."""
    bits = random_bits((_AUGMENTATION_KEY, seed, epoch, stream), num_rows * _DRAWS_PER_IMAGE)
    table = (bits >> np.uint64(11)) * 2.0**-53
    table.setflags(write=False)
    return table.reshape(num_rows, _DRAWS_PER_IMAGE)


def check_images(images: np.ndarray) -> None:
    """Raises LwcnnError unless the images are uint8, (n, height, width, channels), of 1 to 4 channels."""
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        received = f"{getattr(images, 'dtype', type(images))} of shape {getattr(images, 'shape', None)}"
        raise LwcnnError(f"Give images as uint8 of shape (n, height, width, channels). Received: {received}")
    if not 1 <= images.shape[3] <= 4:
        raise LwcnnError(f"Give images of 1 to 4 channels. Received: shape {images.shape}")

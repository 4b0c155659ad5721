"""What is changed at random in an image, and the batch that comes of it.

What an image becomes depends on the seed, the epoch and its index in the data set alone: not on the batch
it lies in, the order of the batches, the thread that makes them or the backend that trains on them.
"""

from dataclasses import dataclass

import numpy as np

from lwcnn.data.augment.checks import check_fraction, check_images, check_settings, check_whole_number
from lwcnn.data.augment.color import ColorJitter, add_brightness, jitter_colors
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.erasing import Cutout, Erasing, cut_out, erase_some
from lwcnn.data.augment.filters import GaussianBlur, Sharpness, blur_some, change_sharpness
from lwcnn.data.augment.geometry import FILLS, Transforms, flip_and_crop, flip_vertically, warp
from lwcnn.data.augment.randaugment import RandAugment, rand_augment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import added_later

_NUM_TRANSFORMS = 8  # one draw for each column of `draw_transforms`, so that no setting changes another's draws


@dataclass(frozen=True)
class Augmentation:
    """What is changed at random in an image; everything is off unless it is set.

    The changes are made in this order: horizontal flip and crop; vertical flip; rotation, zoom and translation;
    `rand_augment`; brightness; `color_jitter`; `sharpness`; `blur`; `cutout`; `erasing`.

    Args:
        rotation: largest angle as a fraction of a full turn, in [0, 1]; the angle is uniform in +-rotation.
        zoom: in [0, 1); the side of the section shown is uniform in 1 +- zoom, one for both axes: above 1
            shrinks the content, as in Keras's RandomZoom.
        translation: largest shift as a fraction of height and width, in [0, 1]; uniform, each axis by itself.
        brightness: largest change as a fraction of 255, in [0, 1]; one uniform value is added to all of an
            image's pixels and channels, and the sum is clipped. (That of `color_jitter` is a factor.)
        horizontal_flip: mirror left to right with probability 1/2.
        crop_padding: largest shift in whole pixels, as by a random crop after padding that much on all sides.
        fill: "reflect" or "constant" (zero), for pixels that come from outside the image.
        vertical_flip: probability of turning upside down, in [0, 1].
        rand_augment: operations drawn for each image, or None.
        color_jitter: factors of brightness, contrast and saturation, shift of hue, or None.
        sharpness: a change of sharpness with a probability, or None.
        blur: Gaussian blur with a probability, or None.
        cutout: a square taken out of every image, or None.
        erasing: a rectangle taken out with a probability, or None.

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
    vertical_flip: float = added_later(0.0)
    rand_augment: RandAugment | None = added_later(None)
    color_jitter: ColorJitter | None = added_later(None)
    sharpness: Sharpness | None = added_later(None)
    blur: GaussianBlur | None = added_later(None)
    cutout: Cutout | None = added_later(None)
    erasing: Erasing | None = added_later(None)

    def __post_init__(self):
        for name in ("rotation", "zoom", "translation", "brightness", "vertical_flip"):
            check_fraction(name, getattr(self, name))
        if self.zoom == 1:
            raise LwcnnError(f"Give zoom below 1: a factor of 0 shows nothing. Received: zoom={self.zoom!r}")
        check_whole_number("crop_padding", self.crop_padding, 0)
        flip = self.horizontal_flip
        if not isinstance(flip, bool):
            raise LwcnnError(f"Give horizontal_flip as True or False. Received: horizontal_flip={flip!r}")
        if self.fill not in FILLS:
            raise LwcnnError(f"Give fill as one of {sorted(FILLS)}. Received: fill={self.fill!r}")
        check_settings("rand_augment", self.rand_augment, RandAugment)
        check_settings("color_jitter", self.color_jitter, ColorJitter)
        check_settings("sharpness", self.sharpness, Sharpness)
        check_settings("blur", self.blur, GaussianBlur)
        check_settings("cutout", self.cutout, Cutout)
        check_settings("erasing", self.erasing, Erasing)


# The paper names rotation, zoom, brightness and translation, no amounts. Rotation, zoom and translation are
# those of the author's notebook; its brightness factor is 0, which does nothing, so 0.2 is ours.
PAPER_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.2)

# The author's notebook as it runs: brightness factor 0.
PUBLISHED_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.0)


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
    draws = Draws(seed, epoch, stream, indices)
    transforms = draw_transforms(augmentation, seed, epoch, indices, images.shape[1], images.shape[2], stream)
    changed = images
    if augmentation.horizontal_flip or augmentation.crop_padding:
        changed = flip_and_crop(changed, transforms, augmentation.crop_padding, augmentation.fill)
    if augmentation.vertical_flip:
        upside_down = draws.uniform(Purpose.VERTICAL_FLIP, 1)[:, 0] < augmentation.vertical_flip
        changed = flip_vertically(changed, upside_down)
    if augmentation.rotation or augmentation.zoom or augmentation.translation:
        changed = warp(changed, transforms, augmentation.fill)
    if augmentation.rand_augment:
        changed = rand_augment(changed, augmentation.rand_augment, augmentation.fill, draws)
    if augmentation.brightness:
        changed = add_brightness(changed, transforms)
    if augmentation.color_jitter:
        changed = jitter_colors(changed, augmentation.color_jitter, draws)
    if augmentation.sharpness:
        changed = change_sharpness(changed, augmentation.sharpness, draws)
    if augmentation.blur:
        changed = blur_some(changed, augmentation.blur, draws)
    if augmentation.cutout:
        changed = cut_out(changed, augmentation.cutout, draws)
    if augmentation.erasing:
        changed = erase_some(changed, augmentation.erasing, draws)
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
    draws = Draws(seed, epoch, stream, indices).uniform(Purpose.TRANSFORMS, _NUM_TRANSFORMS)
    signed = 2 * draws - 1
    padding = augmentation.crop_padding
    offsets = np.floor(draws[:, 6:8] * (2 * padding + 1)).astype(np.int64) - padding
    return Transforms(
        angle=augmentation.rotation * signed[:, 0],
        zoom=1 + augmentation.zoom * signed[:, 1],
        shift_y=augmentation.translation * height * signed[:, 2],
        shift_x=augmentation.translation * width * signed[:, 3],
        # Whole gray levels lose nothing: the pixels are whole numbers before and after.
        brightness=np.rint(255 * augmentation.brightness * signed[:, 4]).astype(np.int64),
        flip=(draws[:, 5] < 0.5) & augmentation.horizontal_flip,
        crop_y=offsets[:, 0],
        crop_x=offsets[:, 1],
    )

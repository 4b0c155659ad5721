"""Random changes of single images, and their application to a batch.

The result for an image depends only on the seed, the epoch, the stream and the image's index in the data set.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from lwcnn.data.augment.checks import Flag, Fraction, Rule, Settings, check_images, choice, number, whole
from lwcnn.data.augment.color import add_brightness
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.geometry import FILLS, flip_and_crop, warp
from lwcnn.data.augment.operations import ColorJitter, Cutout, Erasing, GaussianBlur, Sharpness
from lwcnn.data.augment.policies import POLICIES, RandAugment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import added_later

_NUM_TRANSFORMS = 8  # one column per random value of `draw_transforms`, so that no setting affects another's values
_BELOW_ONE = Rule(lambda value: number(1).is_valid(value) and value < 1, "a number from 0 to below 1")


@dataclass(frozen=True)
class Augmentation(Settings):
    """Random augmentation of single images. By default, nothing is changed.

    The operations are applied in this order: horizontal flip and crop; vertical flip; rotation, zoom and translation;
    `rand_augment`; `policy`; brightness; `color_jitter`; `sharpness`; `blur`; `cutout`; `erasing`.

    Args:
        rotation: Float in [0, 1]. Maximum angle as a fraction of a full turn; the angle is uniform in +-rotation.
        zoom: Float in [0, 1). The side of the visible section is uniform in 1 +- zoom, equal for both axes. Values
            above 1 shrink the content, as in Keras's RandomZoom.
        translation: Float in [0, 1]. Maximum shift as a fraction of height and width; uniform and independent per axis.
        brightness: Float in [0, 1]. Maximum change as a fraction of 255. One uniform value per image is added to all
            pixels and channels, and the sum is clipped. (`ColorJitter.brightness` multiplies instead.)
        horizontal_flip: Whether to mirror left to right with probability 1/2.
        crop_padding: Integer of 0 or more. Maximum shift in pixels, as in a random crop after padding all sides.
        fill: "reflect" or "constant" (zero). Fill mode of pixels outside the image.
        vertical_flip: Float in [0, 1]. Probability of mirroring top to bottom.
        rand_augment: RandAugment settings, or None.
        color_jitter: Random brightness, contrast, saturation and hue, or None.
        sharpness: Random change of sharpness, or None.
        blur: Random Gaussian blur, or None.
        cutout: Removal of a square, or None.
        erasing: Random removal of a rectangle, or None.
        policy: "trivial_augment" (one operation of random strength), "auto_augment" (AutoAugment's policy for CIFAR-10)
            or None.

    Raises:
        LwcnnError: A value is out of range, or the fill mode is unknown.

    Example:
        >>> augmentation = Augmentation(horizontal_flip=True, crop_padding=4, cutout=Cutout(side=8))
    """

    rotation: Fraction = 0.0
    zoom: Annotated[
        float, Rule(lambda value: number(1).is_valid(value) and value < 1, "a number from 0 to below 1")
    ] = 0.0
    translation: Fraction = 0.0
    brightness: Fraction = 0.0
    horizontal_flip: Flag = False
    crop_padding: Annotated[int, whole(0)] = 0
    fill: Annotated[str, choice(FILLS)] = "reflect"
    vertical_flip: Fraction = added_later(0.0)
    rand_augment: RandAugment | None = added_later(None)
    color_jitter: ColorJitter | None = added_later(None)
    sharpness: Sharpness | None = added_later(None)
    blur: GaussianBlur | None = added_later(None)
    cutout: Cutout | None = added_later(None)
    erasing: Erasing | None = added_later(None)
    policy: Annotated[str | None, choice((None, *POLICIES))] = added_later(None)


# The paper names rotation, zoom, brightness and translation without amounts. Rotation, zoom and translation are those
# of the author's notebook. Its brightness factor is 0, which has no effect; 0.2 is ours.
PAPER_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.2)

# The author's notebook as executed: brightness factor 0.
PUBLISHED_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.0)


def augment_batch(
    images: np.ndarray, augmentation: Augmentation, seed: int, epoch: int, indices: np.ndarray, stream: int = 0
) -> np.ndarray:
    """Returns augmented images in a new array, uint8, shape (n, height, width, channels).

    `indices`, shape (n,), are those of the images in their data set; with the seed, the epoch and the stream, they
    determine the random numbers.
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
    draws, fill = Draws(seed, epoch, stream, indices), augmentation.fill
    drawn = draw_transforms(augmentation, draws, images.shape[1], images.shape[2])
    changed = images
    if augmentation.horizontal_flip or augmentation.crop_padding:
        changed = flip_and_crop(changed, drawn.flip, drawn.crop_y, drawn.crop_x, augmentation.crop_padding, fill)
    if augmentation.vertical_flip:
        upside_down = draws.uniform(Purpose.VERTICAL_FLIP, 1) < augmentation.vertical_flip
        changed = np.where(upside_down[..., None, None], changed[:, ::-1], changed)
    if augmentation.rotation or augmentation.zoom or augmentation.translation:
        changed = warp(changed, fill, 2 * np.pi * drawn.angle, drawn.zoom, drawn.shift_y, drawn.shift_x)
    if augmentation.rand_augment:
        changed = augmentation.rand_augment.apply(changed, draws, fill)
    if augmentation.policy:
        changed = POLICIES[augmentation.policy](changed, draws, fill)
    if augmentation.brightness:
        changed = add_brightness(changed, drawn.brightness)
    for name in ("color_jitter", "sharpness", "blur", "cutout", "erasing"):
        if operation := getattr(augmentation, name):
            changed = operation.apply(changed, draws)
    return images.copy() if changed is images else changed


class Transforms(NamedTuple):
    """Random geometry and brightness of each image of a batch; every field is an array of shape (n,)."""

    angle: np.ndarray  # counterclockwise, fraction of a turn
    zoom: np.ndarray  # side of the visible section relative to the image
    shift_y: np.ndarray  # downward shift of the content in pixels
    shift_x: np.ndarray  # rightward
    brightness: np.ndarray  # gray levels to add, integers from -255 to 255
    flip: np.ndarray  # bool: whether to mirror left to right
    crop_y: np.ndarray  # downward shift in whole pixels
    crop_x: np.ndarray  # rightward


def draw_transforms(augmentation: Augmentation, draws: Draws, height: int, width: int) -> Transforms:
    uniform = draws.uniform(Purpose.TRANSFORMS, _NUM_TRANSFORMS)
    signed = 2 * uniform - 1
    padding = augmentation.crop_padding
    offsets = np.floor(uniform[:, 6:8] * (2 * padding + 1)).astype(np.int64) - padding
    return Transforms(
        angle=augmentation.rotation * signed[:, 0],
        zoom=1 + augmentation.zoom * signed[:, 1],
        shift_y=augmentation.translation * height * signed[:, 2],
        shift_x=augmentation.translation * width * signed[:, 3],
        # Whole gray levels, since pixels are integers before and after.
        brightness=np.rint(255 * augmentation.brightness * signed[:, 4]).astype(np.int64),
        flip=(uniform[:, 5] < 0.5) & augmentation.horizontal_flip,
        crop_y=offsets[:, 0],
        crop_x=offsets[:, 1],
    )

"""Random changes of single images. They depend only on the seed, the epoch, the stream and the image's index."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from lwcnn.data.augment.color import add_brightness
from lwcnn.data.augment.draws import Draws, Purpose
from lwcnn.data.augment.geometry import FILLS, flip_and_crop, warp
from lwcnn.data.augment.operations import ColorJitter, Cutout, Erasing, GaussianBlur, Sharpness
from lwcnn.data.augment.policies import POLICIES, RandAugment
from lwcnn.system.settings import BELOW_ONE, Fraction, Settings, added_later, choice, whole


@dataclass(frozen=True)
class Augmentation(Settings):
    """Random augmentation of single images. By default, nothing is changed.

    The operations are applied in this order: horizontal flip and crop; vertical flip; rotation, zoom and translation;
    `rand_augment`; `policy`; brightness; `color_jitter`; `sharpness`; `blur`; `cutout`; `erasing`.

    Args:
        rotation: Float in [0, 1]. Maximum angle as a fraction of a full turn; the angle is uniform in +-rotation.
        zoom: Float in [0, 1). The side of the visible section is scaled by a factor uniform in 1 +- zoom, equal for
            both axes. Factors above 1 shrink the content, as in Keras's RandomZoom.
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

    Examples:
        >>> augmentation = Augmentation(horizontal_flip=True, crop_padding=4, cutout=lwcnn.augment.Cutout(side=8))
    """

    rotation: Fraction = 0.0
    zoom: Annotated[float, BELOW_ONE] = 0.0
    translation: Fraction = 0.0
    brightness: Fraction = 0.0
    horizontal_flip: bool = False
    crop_padding: Annotated[int, whole(0)] = 0
    fill: Annotated[str, choice(FILLS)] = "reflect"
    vertical_flip: Fraction = added_later(0.0)
    rand_augment: RandAugment | None = added_later(None)
    color_jitter: ColorJitter | None = added_later(None)
    sharpness: Sharpness | None = added_later(None)
    blur: GaussianBlur | None = added_later(None)
    cutout: Cutout | None = added_later(None)
    erasing: Erasing | None = added_later(None)
    policy: Annotated[str | None, choice(POLICIES)] = added_later(None)


# The paper names rotation, zoom, brightness and translation without amounts. Rotation, zoom and translation are those
# of the author's notebook. Its brightness factor is 0, which has no effect; 0.2 is ours.
PAPER_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.2)

# The author's notebook as executed: brightness factor 0.
PUBLISHED_AUGMENTATION = Augmentation(rotation=0.1, zoom=0.2, translation=0.2, brightness=0.0)


def augment_batch(
    images: np.ndarray, augmentation: Augmentation, seed: int, epoch: int, indices: np.ndarray, stream: int = 0
) -> np.ndarray:
    """Returns augmented uint8 images (n, height, width, 1 to 4 channels); `indices` are positions in the dataset."""
    changed = images.copy(order="C")
    if len(images) == 0:
        return changed
    draws, fill = Draws(seed, epoch, stream, indices), augmentation.fill
    height, width = images.shape[1:3]
    # A column for each random value, so that no setting affects another's values.
    uniform = draws.uniform(Purpose.TRANSFORMS, 8)
    signed = 2 * uniform - 1
    if augmentation.horizontal_flip or augmentation.crop_padding:
        flip, padding = (uniform[:, 5] < 0.5) & augmentation.horizontal_flip, augmentation.crop_padding
        shifts = np.floor(uniform[:, 6:8] * (2 * padding + 1)).astype(np.int64) - padding
        flip_and_crop(changed, flip, shifts, padding, fill)
    if augmentation.vertical_flip:
        upside_down = draws.uniform(Purpose.VERTICAL_FLIP, 1) < augmentation.vertical_flip
        changed = np.where(upside_down[..., None, None], changed[:, ::-1], changed)
    if augmentation.rotation or augmentation.zoom or augmentation.translation:
        radians, zoom = 2 * np.pi * (augmentation.rotation * signed[:, 0]), 1 + augmentation.zoom * signed[:, 1]
        shift_y = augmentation.translation * height * signed[:, 2]
        shift_x = augmentation.translation * width * signed[:, 3]
        changed = warp(changed, fill, radians, zoom, shift_y, shift_x)
    if augmentation.rand_augment:
        augmentation.rand_augment.apply(changed, draws, fill)
    if augmentation.policy:
        POLICIES[augmentation.policy](changed, draws, fill)
    if augmentation.brightness:
        # Whole gray levels, since pixels are integers before and after.
        changed = add_brightness(changed, np.rint(255 * augmentation.brightness * signed[:, 4]).astype(np.int64))
    for name in ("color_jitter", "sharpness", "blur", "cutout", "erasing"):
        if operation := getattr(augmentation, name):
            operation.apply(changed, draws)
    return changed

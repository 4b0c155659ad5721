"""Augmentation of uint8 image batches with NumPy and OpenCV, random per image from (seed, epoch, index).

`augment_batch` applies an `Augmentation` to each image; `mix_batch` mixes the images of a batch (MixUp, CutMix).
"""

from lwcnn.data.augment.augmentation import (
    PAPER_AUGMENTATION,
    PUBLISHED_AUGMENTATION,
    Augmentation,
    augment_batch,
    draw_transforms,
)
from lwcnn.data.augment.checks import check_images
from lwcnn.data.augment.color import ColorJitter, add_brightness
from lwcnn.data.augment.draws import Purpose, random_bits
from lwcnn.data.augment.erasing import Cutout, Erasing
from lwcnn.data.augment.filters import GaussianBlur, Sharpness, gaussian_blur
from lwcnn.data.augment.geometry import FILLS, Transforms, flip_and_crop, warp
from lwcnn.data.augment.mixing import MixUpCutMix, mix_batch
from lwcnn.data.augment.randaugment import RandAugment

__all__ = [
    "FILLS",
    "PAPER_AUGMENTATION",
    "PUBLISHED_AUGMENTATION",
    "Augmentation",
    "ColorJitter",
    "Cutout",
    "Erasing",
    "GaussianBlur",
    "MixUpCutMix",
    "Purpose",
    "RandAugment",
    "Sharpness",
    "Transforms",
    "add_brightness",
    "augment_batch",
    "check_images",
    "draw_transforms",
    "flip_and_crop",
    "gaussian_blur",
    "mix_batch",
    "random_bits",
    "warp",
]

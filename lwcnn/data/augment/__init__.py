"""Augmentation of uint8 image batches with NumPy and OpenCV, random per image from (seed, epoch, index).

`augment_batch` applies an `Augmentation` to each image; `mix_batch` mixes the images of a batch (MixUp, CutMix).
"""

from lwcnn.data.augment.augmentation import PAPER_AUGMENTATION, PUBLISHED_AUGMENTATION, Augmentation, augment_batch
from lwcnn.data.augment.mixing import MixUpCutMix, mix_batch
from lwcnn.data.augment.operations import ColorJitter, Cutout, Erasing, GaussianBlur, Sharpness
from lwcnn.data.augment.policies import RandAugment

__all__ = [
    "PAPER_AUGMENTATION",
    "PUBLISHED_AUGMENTATION",
    "Augmentation",
    "ColorJitter",
    "Cutout",
    "Erasing",
    "GaussianBlur",
    "MixUpCutMix",
    "RandAugment",
    "Sharpness",
    "augment_batch",
    "mix_batch",
]

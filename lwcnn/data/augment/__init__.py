"""Augmentation of uint8 image batches with NumPy and OpenCV, random per image from (seed, epoch, index)."""

from lwcnn.data.augment.augmentation import PAPER_AUGMENTATION, PUBLISHED_AUGMENTATION, Augmentation, augment_batch
from lwcnn.data.augment.mixing import MixUpCutMix
from lwcnn.data.augment.operations import ColorJitter, Cutout, Erasing, GaussianBlur, Sharpness
from lwcnn.data.augment.policies import RandAugment

"""Times every augmentation that lwcnn offers, on one core, in seconds for 50,000 images of 32x32x3.

Run `python benchmarks/augment.py`. It exits with 1 if an augmentation takes longer than its limit.
"""

import argparse
import os
import platform
import sys
import timeit
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

# One core, and before the libraries start their threads. Not every system can pin a process.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import cv2
import numpy as np

from lwcnn.data.augment import (
    PAPER_AUGMENTATION,
    PUBLISHED_AUGMENTATION,
    Augmentation,
    ColorJitter,
    Cutout,
    Erasing,
    GaussianBlur,
    MixUpCutMix,
    RandAugment,
    Sharpness,
    augment_batch,
)
from lwcnn.data.batches import Batches
from lwcnn.data.images import Images

MAX_SECONDS = 6.0  # for one augmentation of 50,000 images
MAX_SECONDS_RAND_AUGMENT = 20.0
NUM_CLASSES = 10
BATCH_SIZE = 128

AUGMENTATIONS = {
    "rotation 0.1": Augmentation(rotation=0.1),
    "zoom 0.2": Augmentation(zoom=0.2),
    "translation 0.2": Augmentation(translation=0.2),
    "brightness 0.2": Augmentation(brightness=0.2),
    "horizontal flip": Augmentation(horizontal_flip=True),
    "crop, padding 4, reflect": Augmentation(crop_padding=4),
    "crop, padding 4, constant": Augmentation(crop_padding=4, fill="constant"),
    "flip and crop": Augmentation(horizontal_flip=True, crop_padding=4),
    "as published": PUBLISHED_AUGMENTATION,
    "paper": PAPER_AUGMENTATION,
    "vertical flip": Augmentation(vertical_flip=0.05),
    "cutout 16": Augmentation(cutout=Cutout(16)),
    "cutout 16, mean": Augmentation(cutout=Cutout(16, "mean")),
    "erasing, every image, noise": Augmentation(erasing=Erasing(1.0)),
    "erasing 0.2": Augmentation(erasing=Erasing(0.2)),
    "color jitter 0.4, hue 0.1": Augmentation(color_jitter=ColorJitter(0.4, 0.4, 0.4, 0.1)),
    "brightness factor 0.4": Augmentation(color_jitter=ColorJitter(brightness=0.4)),
    "contrast 0.4": Augmentation(color_jitter=ColorJitter(contrast=0.4)),
    "saturation 0.4": Augmentation(color_jitter=ColorJitter(saturation=0.4)),
    "hue 0.1": Augmentation(color_jitter=ColorJitter(hue=0.1)),
    "sharpness, every image": Augmentation(sharpness=Sharpness(1.0)),
    "blur, every image": Augmentation(blur=GaussianBlur(1.0)),
}

RAND_AUGMENTATIONS = {
    "RandAugment 2 of 9": Augmentation(rand_augment=RandAugment(2, 9)),
    "TrivialAugment": Augmentation(policy="trivial_augment"),
    "AutoAugment": Augmentation(policy="auto_augment"),
    "flip, crop, RandAugment": Augmentation(horizontal_flip=True, crop_padding=4, rand_augment=RandAugment(2, 9)),
}

MIXINGS = {
    "Batches: as they are": None,
    "Batches: MixUp 0.2": MixUpCutMix(mixup_alpha=0.2, cutmix_alpha=0),
    "Batches: CutMix 1.0": MixUpCutMix(mixup_alpha=0, cutmix_alpha=1.0),
    "Batches: MixUp or CutMix": MixUpCutMix(0.2, 1.0),
}


def least(run: Callable[[], object], repeats: int) -> float:
    """Returns the least of several timings in seconds: what the machine can do when nothing else runs."""
    return min(timeit.repeat(run, number=1, repeat=repeats))


def measure(images: np.ndarray, repeats: int) -> Iterator[tuple[str, float]]:
    """Yields each augmentation's name and its seconds for all the images, in shuffled batches."""
    order = np.random.default_rng(0).permutation(len(images))

    def augment_all(augmentation: Augmentation) -> None:
        for start in range(0, len(images), BATCH_SIZE):
            indices = order[start : start + BATCH_SIZE]
            augment_batch(images[indices], augmentation, seed=0, epoch=0, indices=indices)

    for name, augmentation in (AUGMENTATIONS | RAND_AUGMENTATIONS).items():
        yield name, least(partial(augment_all, augmentation), repeats)
    labels = np.zeros(len(images), np.int64)
    batches = Batches(Images(images, labels), BATCH_SIZE, seed=0, branches=(None, PAPER_AUGMENTATION))
    yield "Batches: original and paper", least(partial(deque, batches, 0), repeats)
    for name, mixing in MIXINGS.items():
        batches = Batches(Images(images, labels), BATCH_SIZE, seed=0, mixing=mixing, num_classes=NUM_CLASSES)
        yield name, least(partial(deque, batches, 0), repeats)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=50_000, help="how many images (default: 50000)")
    parser.add_argument("--repeats", type=int, default=2, help="timings; the least counts (default: 2)")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    images = np.random.default_rng(0).integers(0, 256, (arguments.images, 32, 32, 3), dtype=np.uint8)

    print(f"{len(images)} images of 32x32x3, batches of {BATCH_SIZE}, one core, best of {arguments.repeats}")
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, OpenCV {cv2.__version__}")
    print(f"{'augmentation':<30}{'seconds':>9}{'us/image':>10}{'limit':>7}")
    too_slow = []
    for name, seconds in measure(images, arguments.repeats):
        most = MAX_SECONDS_RAND_AUGMENT if name in RAND_AUGMENTATIONS else MAX_SECONDS
        limit = most * len(images) / 50_000
        print(f"{name:<30}{seconds:>9.2f}{1e6 * seconds / len(images):>10.1f}{limit:>7.1f}", flush=True)
        if seconds > limit:
            too_slow.append(name)
    if too_slow:
        print(f"Over their limits: {', '.join(too_slow)}.", file=sys.stderr)
    return 1 if too_slow else 0


if __name__ == "__main__":
    sys.exit(main())

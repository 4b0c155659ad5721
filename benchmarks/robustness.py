"""Accuracy of released CIFAR-10 networks on corrupted test images, at severities 1 to 5.

The corruptions are ten of CIFAR-10-C (Hendrycks and Dietterich, arXiv 1903.12261) with the parameters of its
`make_cifar_c.py`, made here because PyPI's `imagecorruptions` needs NumPy 1. Their random numbers are seeded. The
networks run as float32 LiteRT files, which is fastest. Run

    LWCNN_DATA_DIR=... python benchmarks/robustness.py --json results/robustness.json
"""

import argparse
import io
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import load_dataset
from lwcnn.evaluation.metrics import accuracy
from lwcnn.export.convert import to_litert
from lwcnn.export.formats import LitertModel
from lwcnn.export.run import run_batches
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.files import write_json

FAMILY = ("wren_5k", "wren_10k", "wren_20k", "wren_30k", "wren_30k_distilled", "wren_100k", "wren_fast")
NETWORKS = ("paper", "paper_tuned", "residual_se_muon", *FAMILY)
NUM_IMAGES = 2000
SIZE = 32


def impulse_noise(x, amount, rng):
    """Sets values to black or white with probability `amount`."""
    drawn = rng.random(x.shape)
    return np.where(drawn < amount, (drawn < amount / 2).astype(x.dtype), x)


def defocus_blur(x, radius, blur):
    """Convolves with a disk whose edge is blurred by a Gaussian."""
    across = np.arange(-8, 9)
    disk = (across**2 + across[:, None] ** 2 <= radius**2).astype(np.float32)
    kernel = cv2.GaussianBlur(disk / disk.sum(), (3, 3), blur)
    return np.stack([cv2.filter2D(image, -1, kernel) for image in x])


def zoom_blur(x, largest):
    """Averages zooms about the center from 1 to `largest` in steps of 0.01, and the image once more."""

    def zoomed(image, factor):
        middle = (SIZE - 1) / 2 * (1 - factor)
        return cv2.warpAffine(image, np.float32([[factor, 0, middle], [0, factor, middle]]), (SIZE, SIZE))

    factors = np.append(np.arange(1, largest + 0.005, 0.01), 1)
    return np.stack([np.mean([zoomed(image, factor) for factor in factors], axis=0) for image in x])


def in_hsv(x, channel, change):
    """Changes the saturation (channel 1) or the value (channel 2)."""
    hsv = cv2.cvtColor(x.reshape(-1, SIZE, 3), cv2.COLOR_RGB2HSV)
    hsv[..., channel] = np.clip(change(hsv[..., channel]), 0, 1)
    return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB).reshape(x.shape)


def contrast(x, factor):
    """Scales the differences from each image's mean color."""
    mean = x.mean(axis=(1, 2), keepdims=True)
    return (x - mean) * factor + mean


def through_pillow(x, change):
    """Changes each image as a Pillow image."""
    images = (Image.fromarray(np.uint8(image)) for image in np.rint(x * 255))
    return np.stack([np.asarray(change(image), np.float32) / 255 for image in images])


def pixelate(image, share):
    """Shrinks an image by averaging boxes and enlarges it again."""
    small = image.resize((int(SIZE * share),) * 2, Image.Resampling.BOX)
    return small.resize((SIZE, SIZE), Image.Resampling.BOX)


def jpeg(image, quality):
    """Compresses an image as JPEG."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream)


CORRUPTIONS: dict[str, tuple[Callable, tuple]] = {
    "Gaussian noise": (lambda x, c, rng: x + rng.normal(0, c, x.shape), (0.04, 0.06, 0.08, 0.09, 0.10)),
    "shot noise": (lambda x, c, rng: rng.poisson(x * c) / c, (500, 250, 100, 75, 50)),
    "impulse noise": (impulse_noise, (0.01, 0.02, 0.03, 0.05, 0.07)),
    "defocus blur": (lambda x, c, _: defocus_blur(x, *c), ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1))),
    "zoom blur": (lambda x, c, _: zoom_blur(x, c), (1.05, 1.10, 1.15, 1.20, 1.25)),
    "brightness": (lambda x, c, _: in_hsv(x, 2, lambda value: value + c), (0.05, 0.1, 0.15, 0.2, 0.3)),
    "contrast": (lambda x, c, _: contrast(x, c), (0.75, 0.5, 0.4, 0.3, 0.15)),
    "saturation": (
        lambda x, c, _: in_hsv(x, 1, lambda saturation: saturation * c[0] + c[1]),
        ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    ),
    "pixelation": (lambda x, c, _: through_pillow(x, lambda image: pixelate(image, c)), (0.95, 0.9, 0.85, 0.75, 0.65)),
    "JPEG": (lambda x, c, _: through_pillow(x, lambda image: jpeg(image, c)), (80, 65, 58, 50, 40)),
}
"""Functions from images between 0 and 1, a parameter and a random generator to images, with five parameters each."""


def corrupt(images: np.ndarray, name: str, severity: int) -> np.ndarray:
    """Returns uint8 images of shape (n, 32, 32, 3), corrupted at a severity from 1 to 5."""
    change, parameters = CORRUPTIONS[name]
    rng = np.random.default_rng([list(CORRUPTIONS).index(name), severity])
    changed = change(np.float32(images) / 255, parameters[severity - 1], rng)
    return np.uint8(np.clip(changed, 0, 1) * 255 + 1e-3)  # rounds down as the source, but not by float32's error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "robustness.json")
    options = parser.parse_args()
    data = load_dataset("cifar10")
    chosen = np.sort(np.random.default_rng(0).permutation(len(data.x_test))[:NUM_IMAGES])
    images, labels = data.x_test[chosen], data.y_test[chosen]
    models = {name: LitertModel(to_litert(load_model(ROOT / "models" / f"cifar10-{name}.keras"))) for name in NETWORKS}
    rows = [row(name, model, "none", 0, images, labels) for name, model in models.items()]
    for corruption in CORRUPTIONS:
        for severity in range(1, 6):
            changed = corrupt(images, corruption, severity)
            rows += [row(name, model, corruption, severity, changed, labels) for name, model in models.items()]
            print(corruption, severity, [one["accuracy"] for one in rows[-len(models) :]], flush=True)
    about = {"images": f"{NUM_IMAGES:,} test images of CIFAR-10, drawn with seed 0"}
    write_json(options.json, {"rows": rows, **about, **environment.machine(["ai-edge-litert", "pillow"])})


def row(name, model, corruption, severity, images, labels) -> dict:
    """The accuracy of a network on corrupted images."""
    known = {"experiment": name, "corruption": corruption, "severity": severity}
    return known | {"accuracy": accuracy(run_batches(model, images), labels)}


if __name__ == "__main__":
    main()

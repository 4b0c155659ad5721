"""What each technique that needs no training is worth on CIFAR-10, for Wren and three seeds of Wren-30k.

Temperature and thresholds are fitted on the 5,000 validation images of the runs, and each technique has its validation
accuracy beside that on the test images, which are evaluated once. Of Wren only the released seed's weights exist. Run

    LWCNN_DATA_DIR=... python benchmarks/after_training.py
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from scipy.optimize import minimize
from shrink import kernels, masks_of
from sklearn.metrics import brier_score_loss

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import load_dataset
from lwcnn.data.splits import split_for_training
from lwcnn.evaluation.metrics import (
    accuracy,
    average_probabilities,
    cross_entropy,
    expected_calibration_error,
    fit_temperature,
    log_softmax,
)
from lwcnn.evaluation.predict import TTA_TRANSFORMS, predict_logits
from lwcnn.evaluation.statistics import paired_difference
from lwcnn.experiments.identity import SPLIT_SEED
from lwcnn.export.convert import draw_calibration_images, to_litert_int8
from lwcnn.export.formats import LitertModel
from lwcnn.export.run import run_batches
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.files import write_json

FILES = {
    "residual_se_muon": ("cifar10-residual_se_muon.keras",),
    "wren_30k": (
        "teachers/cifar10-wren_30k-seed0.keras",
        "teachers/cifar10-wren_30k-seed1.keras",
        "cifar10-wren_30k.keras",
    ),
}
SPARSITIES = (0.1, 0.3, 0.5)
MAX_OFFSET = 5.0
PASSES = {"mirror": 2, "five views": 5, "soft voting": 3, "soft voting, mirror": 6}

Logits = tuple[np.ndarray, np.ndarray]
"""Logits of the validation images and of the test images."""


def views(model, parts) -> dict[str, Logits]:
    """The logits of the image alone, of it and its mirror image, and of all five views."""

    def predict(images):
        seen = {name: predict_logits(model, change(images)) for name, change in TTA_TRANSFORMS.items()}
        mirrored = average_probabilities([seen["original"], seen["horizontal_flip"]])
        return seen["original"].astype(float), mirrored, average_probabilities(seen.values())

    validation, test = map(predict, parts)
    return dict(zip(("none", "mirror", "five views"), zip(validation, test)))


def changed(model, parts, calibration) -> dict[str, Logits]:
    """The logits of the int8 file and of pruned networks."""
    quantized = LitertModel(to_litert_int8(model, calibration))
    found = {"int8": tuple(run_batches(quantized, images) for images in parts)}
    for sparsity in SPARSITIES:
        for kernel, mask in zip(kernels(model), masks_of(model, sparsity), strict=True):
            kernel.assign(kernel * mask)
        found[f"pruned, {100 * sparsity:.0f}%"] = tuple(predict_logits(model, images) for images in parts)
    return found


def fit_thresholds(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Fits numbers to add to each class's logits, (classes,), that minimize the cross-entropy (arXiv 1901.06852)."""
    shares = np.bincount(labels, minlength=np.shape(logits)[1]) / len(labels)

    def loss_and_gradient(offsets):
        shifted = logits + offsets
        return cross_entropy(shifted, labels), np.exp(log_softmax(shifted)).mean(axis=0) - shares

    bounds = [(-MAX_OFFSET, MAX_OFFSET)] * len(shares)  # of a class without images the best would be infinite
    return minimize(loss_and_gradient, np.zeros(len(shares)), jac=True, method="L-BFGS-B", bounds=bounds).x


def fitted(logits: Logits, labels) -> dict[str, Logits]:
    """The logits after what is fitted on validation images."""
    validation, test = logits
    temperature, offsets = fit_temperature(validation, labels[0]), fit_thresholds(validation, labels[0])
    return {
        "temperature": (validation / temperature, test / temperature),
        "class thresholds": (validation + offsets, test + offsets),
    }


def brier(logits: np.ndarray, labels: np.ndarray) -> float:
    probabilities = np.exp(log_softmax(logits.astype(float)))
    return brier_score_loss(labels, probabilities, labels=range(logits.shape[1]), scale_by_half=False)


def row(experiment: str, technique: str, seeds: list[Logits], base: list[Logits], labels) -> dict:
    """Means over seeds of a technique's figures, and its gain over the same networks without it."""
    correct, reference = ([test.argmax(axis=1) == labels[1] for _, test in one] for one in (seeds, base))
    gain = paired_difference(correct, reference)
    tests = [test for _, test in seeds]
    return {
        **{"experiment": experiment, "technique": technique, "networks": len(base)},
        "passes": PASSES.get(technique, 1),
        "val_accuracy": [accuracy(validation, labels[0]) for validation, _ in seeds],
        "test_accuracy": [accuracy(test, labels[1]) for test in tests],
        **{"points": 100 * gain.mean, "low": 100 * gain.low, "high": 100 * gain.high},
        **{
            key: float(np.mean([measure(test, labels[1]) for test in tests]))
            for key, measure in (("ece", expected_calibration_error), ("loss", cross_entropy), ("brier", brier))
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "after_training.json")
    options = parser.parse_args()
    data = load_dataset("cifar10")
    _, held_out = split_for_training(data.y_train, 0.1, seed=SPLIT_SEED)
    parts, labels = (data.x_train[held_out], data.x_test), (data.y_train[held_out], data.y_test)
    calibration = draw_calibration_images(data.x_train)
    rows = []
    for experiment, files in FILES.items():
        found: dict[str, list[Logits]] = {}
        for file in files:
            model = load_model(ROOT / "models" / file)
            seen = views(model, parts)
            for name, logits in (seen | fitted(seen["none"], labels) | changed(model, parts, calibration)).items():
                found.setdefault(name, []).append(logits)
            print(
                file, {name: round(accuracy(logits[-1][1], labels[1]), 4) for name, logits in found.items()}, flush=True
            )
        if len(files) > 1:
            for name, voting in (("none", "soft voting"), ("mirror", "soft voting, mirror")):
                voted = tuple(average_probabilities(one) for one in zip(*found[name]))
                found[voting] = [voted] * len(files)
        rows += [row(experiment, name, seeds, found["none"], labels) for name, seeds in found.items()]
    about = {"num_threads": environment.num_threads(), **environment.machine(["ai-edge-litert"])}
    write_json(options.json, {"rows": rows, "models": FILES, **about})


if __name__ == "__main__":
    main()

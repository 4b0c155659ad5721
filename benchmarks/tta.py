"""What test-time augmentation is worth to every trained network of `lwcnn list`: two or three views and all five.

These are the image and its mirror image; for digits, which must not be mirrored, the image, a center crop (which is the
image again) and a blurred copy. The 10% of the training images that the networks were not trained on have a column
beside the test images. Run

    LWCNN_DATA_DIR=... python benchmarks/tta.py
"""

import argparse
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import load_dataset
from lwcnn.data.splits import split_for_training
from lwcnn.evaluation import metrics
from lwcnn.evaluation.predict import TTA_TRANSFORMS, predict_logits
from lwcnn.evaluation.statistics import paired_difference
from lwcnn.experiments.identity import SPLIT_SEED
from lwcnn.experiments.shipped import shipped_file, trained_networks, was_mirrored
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.files import write_json


def averaged(model, images, transforms):
    """The logits of the image alone, of the pair or triple and of all views."""
    seen = {name: predict_logits(model, change(images)) for name, change in TTA_TRANSFORMS.items()}
    parts = {"none": ("original",), "few": transforms, "all": tuple(TTA_TRANSFORMS)}
    return {key: metrics.average_probabilities([seen[name] for name in names]) for key, names in parts.items()}


def measure(name: str, dataset: str, experiment: str) -> dict:
    data = load_dataset(dataset)
    _, held_out = split_for_training(data.y_train, 0.1, seed=SPLIT_SEED)
    model = load_model(file := shipped_file(name, dataset))
    transforms = ("original", "horizontal_flip") if data.mirror else ("original", "center_crop", "blur")
    validation = averaged(model, data.x_train[held_out], transforms)
    test = averaged(model, data.x_test, transforms)
    row = {"network": name, "experiment": experiment, "dataset": dataset}
    row |= {"few": list(transforms), "was_mirrored": was_mirrored(file)}
    correct = {key: logits.argmax(axis=1) == data.y_test for key, logits in test.items()}
    for key in test:
        gain = paired_difference([correct[key]], [correct["none"]])
        row[key + "_views"] = {
            "val_accuracy": metrics.accuracy(validation[key], data.y_train[held_out]),
            "test_accuracy": metrics.accuracy(test[key], data.y_test),
            "ece": metrics.expected_calibration_error(test[key], data.y_test),
            **{"points": 100 * gain.mean, "low": 100 * gain.low, "high": 100 * gain.high},
        }
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "tta.json")
    options = parser.parse_args()
    rows = []
    for (name, dataset), told in trained_networks().items():
        rows.append(measure(name, dataset, told.experiment))
        print(name, dataset, {key: rows[-1][f"{key}_views"]["test_accuracy"] for key in ("none", "few", "all")})
    write_json(options.json, {"rows": rows, "num_threads": environment.num_threads(), **environment.machine()})


if __name__ == "__main__":
    main()

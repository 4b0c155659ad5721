"""Runs MLPerf Tiny's own files and those of our networks on CIFAR-10's test images.

    git clone https://github.com/mlcommons/tiny
    python benchmarks/mlperf_tiny.py tiny --json results/mlperf_tiny.json

Accuracy and calibration error are of all test images; times are those of one image on one thread, as medians over
rounds in which the files take turns.
"""

import argparse
import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from lwcnn.data.datasets import load_dataset
from lwcnn.evaluation.metrics import accuracy, expected_calibration_error
from lwcnn.experiments.zoo import create_model
from lwcnn.export.bench.measure import summarize_rounds, time_calls
from lwcnn.export.convert import draw_calibration_images, to_litert, to_litert_int8
from lwcnn.export.formats import LitertModel
from lwcnn.export.run import run_batches
from lwcnn.system import environment
from lwcnn.system.files import write_json

FOLDER = "benchmark/training/image_classification/trained_models"
THEIRS = {
    ("ResNet-8", "float32"): "pretrainedResnet.tflite",
    ("ResNet-8", "int8"): "pretrainedResnet_quant.tflite",
    ("large ResNet", "int8"): "pretrainedResnet_large_int8.tflite",
}
OURS = {"Wren-fast": "wren-fast", "Wren": "wren", "Wren-30k": "wren-30k"}
ROUNDS, CALLS, SECONDS, WARM_UP = 7, 500, 2.0, 50


def files(checkout: Path, images: np.ndarray) -> Iterator[tuple[dict, bytes]]:
    """Yields what is known of each file, and its content; theirs end in a softmax, ours in logits."""
    for (network, precision), name in THEIRS.items():
        known = {"network": network, "precision": precision, "file": f"{FOLDER}/{name}"}
        yield known, (checkout / FOLDER / name).read_bytes()
    calibration = draw_calibration_images(images)
    for network, name in OURS.items():
        model = create_model(name, pretrained="cifar10")
        yield {"network": network, "precision": "float32"}, to_litert(model)
        yield {"network": network, "precision": "int8"}, to_litert_int8(model, calibration)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkout", type=Path, help="checkout of mlcommons/tiny")
    parser.add_argument("--json", type=Path, help="file to write")
    options = parser.parse_args()
    if not (options.checkout / FOLDER).is_dir():
        parser.error(f"give a checkout of github.com/mlcommons/tiny. Received: {options.checkout}, without {FOLDER}")
    data = load_dataset("cifar10")
    rows, runs, loads = [], [], [os.getloadavg()[0]]
    for known, content in files(options.checkout, data.x_train):
        model = LitertModel(content)
        outputs = run_batches(model, data.x_test)
        logits = np.log(np.maximum(outputs, 1e-12)) if "file" in known else outputs
        rows.append(
            known
            | {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
            | {"accuracy": accuracy(logits, data.y_test), "ece": expected_calibration_error(logits, data.y_test)}
        )
        prepared = model.prepare(data.x_test[:1])
        runs.append(lambda model=model, prepared=prepared: model.run(prepared))
    rounds = [[time_calls(run, CALLS, SECONDS, WARM_UP) for run in runs] for _ in range(ROUNDS)]
    rows = [row | summarize_rounds(times) for row, times in zip(rows, zip(*rounds))]
    commit = subprocess.run(
        ["git", "-C", options.checkout, "rev-parse", "HEAD"], capture_output=True, text=True, check=True
    )
    result = {
        "source": f"https://github.com/mlcommons/tiny at {commit.stdout.strip()}",
        "images": f"{len(data.y_test):,} test images of CIFAR-10",
        "machine": {
            "device": environment.device_name(),
            "threads": 1,
            "load_average_before": loads[0],
            "load_average_after": os.getloadavg()[0],
        },
        "versions": environment.versions(),
        "commit": environment.commit(),
        "rows": rows,
    }
    for row in rows:
        print(row["network"], row["precision"], row["size_bytes"], row["accuracy"], row["ece"], row["p50_ms"])
    if options.json:
        write_json(options.json, result)


if __name__ == "__main__":
    main()

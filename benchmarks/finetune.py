"""Fine-tuning against training from scratch, on few images of a dataset that the network has not seen.

Wren, trained on CIFAR-10, is fine-tuned on 500 images of Fashion-MNIST, in color and resized to 32x32; beside it the
same network is trained on them from random weights. Each seed draws other images; all 10,000 test images are predicted
once a run. Run

    LWCNN_DATA_DIR=... python benchmarks/finetune.py --json results/finetune.json

Finished rows are kept in the JSON and not made again.
"""

import argparse
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.system.files import read_json, write_json

NETWORK, DATASET = "wren", "fashion_mnist"
WAYS = (("random", 15), ("trained", 15), ("random", 60), ("trained", 60))  # weights at the start, epochs
SEEDS = (0, 1, 2)


def measured(weights: str, epochs: int, seed: int, num_images: int, data, folder: Path) -> dict:
    """Trains on images that the seed draws; returns a row."""
    from lwcnn.data.splits import stratified_subset
    from lwcnn.experiments.finetune import fine_tuning, load_to_finetune
    from lwcnn.experiments.recipes import get_experiment, with_settings
    from lwcnn.experiments.run import Folders, run_experiment

    chosen = stratified_subset(data.y_train, num_images, seed)
    few = load_to_finetune(NETWORK, ((data.x_train[chosen], data.y_train[chosen]), (data.x_test, data.y_test)))
    if weights == "trained":
        plan = fine_tuning(NETWORK, few.spec)
    else:
        plan = get_experiment(NETWORK, dataset=few.spec)
    result = run_experiment(
        with_settings(plan, epochs=epochs), few, "quick", seed, Folders(folder / "results", folder / "cache")
    )
    keys = ("val_accuracy", "test_accuracy", "train_seconds", "num_train_images", "num_val_images")
    return {"weights": weights, "epochs": epochs, "seed": seed} | {key: result[key] for key in keys}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=500, help="training and validation images (default: 500)")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "finetune.json")
    options = parser.parse_args()
    from lwcnn.data.datasets import load_dataset
    from lwcnn.publication.tables.benchmarks import benchmark_table
    from lwcnn.system.environment import machine

    data = load_dataset(DATASET)
    settings = {"network": NETWORK, "dataset": data.name, "images": options.images}
    found = read_json(options.json) if options.json.exists() else {}
    rows = found["rows"] if settings.items() <= found.items() else []  # those with the same settings
    found = settings | {"rows": rows}
    with tempfile.TemporaryDirectory() as folder:
        for weights, epochs in WAYS:
            for seed in SEEDS:
                if any(
                    (row["weights"], row["epochs"], row["seed"]) == (weights, epochs, seed) for row in found["rows"]
                ):
                    continue
                row = measured(weights, epochs, seed, options.images, data, Path(folder) / weights / str(seed))
                found["rows"].append(row | machine())
                write_json(options.json, found)
                print(row, file=sys.stderr, flush=True)
    print(benchmark_table("finetune", found["rows"]).markdown())


if __name__ == "__main__":
    main()

"""How the paper's network and one of ours scale: CIFAR-10 at 32, 48 and 64 pixels, and the 100 classes of CIFAR-100.

Each point is a short training in a process of its own: `EXPERIMENTS` on `NUM_IMAGES` training images, and then the test
images once. Time is the processor time, summed over threads for an epoch, after a warm-up that compiles; memory is the
process's peak, with all images of the dataset in it. Run

    LWCNN_DATA_DIR=... python benchmarks/scalability.py --json results/scalability.json

Finished rows are kept in the JSON and not made again.
"""

import argparse
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.identity import provenance, split_images
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import Experiment, get_experiment, get_preset
from lwcnn.experiments.recipes.types import changed, with_settings
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.export.bench.measure import peak_bytes
from lwcnn.models.cost import count_macs
from lwcnn.system.files import read_json, write_json

EXPERIMENTS = {"paper": None, "residual_se_small": 6}  # epochs; None: those of the preset
POINTS = (("cifar10", 32), ("cifar10", 48), ("cifar10", 64), ("cifar100", 32))
PRESET, NUM_IMAGES, SEED = "quick", 10_000, 0


def begin(plan: Experiment, data: Dataset, preset: str) -> PhaseSequence:
    """Returns a training without checkpoints."""
    return PhaseSequence(split_images(data, plan, get_preset(preset)), data.num_classes, SEED)


def train(experiment: str, source: str, size: int) -> dict:
    """Trains an experiment on images of a size; returns its measurements."""
    data = load_dataset(source, size=size)
    plan = get_experiment(experiment, PRESET, data.spec)
    plan = changed(with_settings(plan, EXPERIMENTS[experiment]), {"num_images": NUM_IMAGES})
    warm_up = get_experiment(experiment, "smoke", data.spec)
    train_experiment(warm_up, begin(warm_up, data, "smoke"))
    sequence = begin(plan, data, PRESET)
    start = time.process_time()
    model = train_experiment(plan, sequence)
    seconds = time.process_time() - start
    epochs = sum(len(phase["history"]) for phase in sequence.records)
    return {
        "num_classes": data.num_classes,
        "num_train_images": len(sequence.split.training),
        "params": model.count_params(),
        "macs": count_macs(model),
        "epochs": epochs,
        "seconds_per_epoch": seconds / epochs,
        "peak_bytes": peak_bytes(),
        "test_accuracy": accuracy(predict_logits(model, data.x_test), data.y_test),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--json", type=Path, default=ROOT / "results" / "scalability.json", help="file of the measurements"
    )
    options = parser.parse_args()
    rows = read_json(options.json)["rows"] if options.json.exists() else []
    done = {(row["experiment"], row["dataset"], row["size"]) for row in rows}
    for dataset, size in POINTS:
        for experiment in EXPERIMENTS:
            if (experiment, dataset, size) in done:
                continue
            with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
                row = process.submit(train, experiment, dataset, size).result()
            rows.append({"experiment": experiment, "dataset": dataset, "size": size, **row, **provenance()})
            print(rows[-1], flush=True)
            write_json(options.json, {"seed": SEED, "rows": rows})
    print(f"{len(rows)} rows are in {options.json}")


if __name__ == "__main__":
    main()

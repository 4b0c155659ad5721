"""Shrinking a strong network: its weakest hidden channels are removed, then it is trained on.

Wren is cut to about 19,000 parameters and Wren-100k to about 30,000. Each is then trained with its own recipe for 15
epochs, at half the learning rate. Nothing is chosen by accuracy. Run

    LWCNN_DATA_DIR=... python benchmarks/prune_channels.py --json results/prune_channels.json

Finished rows are kept in the JSON; an interrupted training resumes from its last epoch.
"""

import argparse
import sys
import time
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.system.files import read_json, write_json  # noqa: E402

EXPANSIONS = {"residual_se_muon": 1.0, "wren_100k": 0.38}  # hidden channels per channel, 2 before
EPOCHS, LEARNING_RATE = 15, 0.01


def measured(experiment: str, expansion: float, data, cache: Path) -> dict:
    """Returns the accuracy before pruning, right after it and after training."""
    from lwcnn.data.splits import split_for_training
    from lwcnn.evaluation.metrics import accuracy
    from lwcnn.evaluation.predict import predict_logits
    from lwcnn.experiments.recipes import get_experiment
    from lwcnn.experiments.records import SPLIT_SEED
    from lwcnn.models.cost import count_macs
    from lwcnn.models.io import load_model
    from lwcnn.models.surgery import prune_channels
    from lwcnn.training.checkpoint import Checkpoint
    from lwcnn.training.images import Images, Split
    from lwcnn.training.loop import train_phase
    from lwcnn.training.progress import Progress

    plan = get_experiment(experiment, "full", data.name)
    large = load_model(ROOT / "models" / f"{data.name}-{experiment}.keras")
    model, _ = prune_channels(large, plan.network, expansion)
    parts = split_for_training(data.y_train, plan.validation, seed=SPLIT_SEED)
    split = Split(*(Images(data.x_train, data.y_train, indices) for indices in parts))
    optimizer = replace(plan.phases[0].optimizer, learning_rate=LEARNING_RATE)
    phase = replace(plan.phases[0], epochs=EPOCHS, optimizer=optimizer)

    def accuracies(one) -> dict[str, float]:
        images, labels = split.validation.arrays()
        return {
            "validation_accuracy": accuracy(predict_logits(one, images), labels),
            "test_accuracy": accuracy(predict_logits(one, data.x_test), data.y_test),
        }

    before = accuracies(large) | {"params": large.count_params(), "macs": count_macs(large)}
    pruned, started = accuracies(model), time.perf_counter()
    checkpoint = Checkpoint(cache / f"{data.name}-{experiment}-pruned.npz", f"{expansion} {EPOCHS} {LEARNING_RATE}")
    state = train_phase(model, phase, split, 0, checkpoint=checkpoint, progress=Progress("line"))
    return {
        "experiment": experiment,
        "expansion": expansion,
        "epochs": EPOCHS,
        "learning_rate": LEARNING_RATE,
        "params": model.count_params(),
        "macs": count_macs(model),
        "before": before,
        "pruned": pruned,
        **accuracies(model),
        "history": state.history,
        "seconds": round(time.perf_counter() - started, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=ROOT / ".lwcnn", help="folder of checkpoints")
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "prune_channels.json")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    options = parser.parse_args()
    from lwcnn.publication.tables.benchmarks import benchmark_table

    found = read_json(options.json) if options.json.exists() else {"rows": []}
    if not options.table:
        from lwcnn.data.datasets import load_dataset
        from lwcnn.system.environment import device_name, versions

        data = load_dataset("cifar10")
        found |= {"dataset": data.name, "device": device_name(), "versions": versions()}
        for experiment, expansion in EXPANSIONS.items():
            if not any(row["experiment"] == experiment for row in found["rows"]):
                found["rows"].append(measured(experiment, expansion, data, options.cache))
                write_json(options.json, found)
    print(benchmark_table("prune_channels", found["rows"]).markdown())


if __name__ == "__main__":
    main()

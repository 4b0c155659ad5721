"""What each technique costs: the time of an epoch of its training, relative to the recipe without it.

Every technique and the recipe train a few epochs on `NUM_IMAGES` images of CIFAR-10 in a process of its own, on one
thread; the fastest epoch after the first counts, on average over the technique's phases. Run it on a machine that does
nothing else:

    LWCNN_DATA_DIR=... python benchmarks/technique_time.py --json results/technique_time.json

Each technique keeps the machine and the time of the recipe in the same call, because machines differ, and a machine's
speed changes from day to day. Rows of techniques that are not measured again stay.
"""

import argparse
import multiprocessing
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.images import Images, Split
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import Experiment, get_experiment
from lwcnn.experiments.recipes.techniques import BASE, TECHNIQUES, technique
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.experiments.teachers import load_teacher
from lwcnn.system.environment import commit, device_name, thread_environment
from lwcnn.system.files import read_json, write_json

NUM_IMAGES, EPOCHS, ROUNDS = 2_560, 4, 2


def seconds_per_epoch(experiment: str) -> float:
    data = load_dataset("cifar10")
    return epoch_seconds(get_experiment(experiment, "quick", data.spec), data)


def epoch_seconds(plan: Experiment, data: Dataset) -> float:
    """Trains a few epochs; returns the time of the fastest after the first, on average over the phases."""
    plan = replace(plan, phases=tuple(replace(phase, epochs=EPOCHS) for phase in plan.phases))
    training = Images(data.x_train[:NUM_IMAGES], data.y_train[:NUM_IMAGES])
    sequence = PhaseSequence(Split(training, Images(data.x_train[:100], data.y_train[:100])), data.num_classes, 0)
    train_experiment(plan, sequence, load_teacher(plan, data, Folders()))
    fastest = []
    for phase in sequence.records:
        ends = [epoch["seconds"] for epoch in phase["history"]]
        fastest.append(min(end - start for start, end in zip(ends, ends[1:])))
    return sum(fastest) / len(fastest)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--techniques", nargs="+", metavar="KEY", choices=TECHNIQUES, default=list(TECHNIQUES))
    parser.add_argument("--json", type=Path, default=ROOT / "results" / "technique_time.json")
    options = parser.parse_args()
    os.environ.update(thread_environment(1))  # of the processes
    rows = read_json(options.json)["rows"] if options.json.exists() else []
    experiments = [BASE, *map(technique, options.techniques)]
    fastest = dict.fromkeys(experiments, float("inf"))
    for experiment in experiments * ROUNDS:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            seconds = round(process.submit(seconds_per_epoch, experiment).result(), 3)
        print(experiment, seconds, flush=True)
        fastest[experiment] = min(seconds, fastest[experiment])
    about = {"recipe_seconds_per_epoch": fastest.pop(BASE), "device": device_name(), "commit": commit()}
    rows = [row for row in rows if row["experiment"] not in fastest]
    rows += [{"experiment": name, "seconds_per_epoch": value, **about} for name, value in fastest.items()]
    write_json(options.json, {"images": NUM_IMAGES, "num_threads": 1, "rows": rows})


if __name__ == "__main__":
    main()

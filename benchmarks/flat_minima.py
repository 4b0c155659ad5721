"""Trains Wren with one of two techniques that seek flat minima; its results join those of the other techniques.

Sharpness-aware minimization (SAM, arXiv 2010.01412) moves the weights by `radius` along the gradient, and updates the
original weights with the gradient found there. Stochastic weight averaging (SWA, arXiv 1803.05407) keeps a constant
learning rate in the last quarter of the steps and returns the mean of the weights after each of them. Run

    LWCNN_DATA_DIR=... python benchmarks/flat_minima.py sam --preset quick --seeds 0 1 2
    LWCNN_DATA_DIR=... OMP_NUM_THREADS=1 python benchmarks/flat_minima.py sam --time

Results are written to results/cifar10/technique_sam and technique_swa. Interrupted runs resume. Time the epochs on a
machine that does nothing else.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from unittest.mock import patch

import keras
import numpy as np
from technique_time import epoch_seconds

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lwcnn.data.batches import Batches
from lwcnn.data.datasets import load_dataset
from lwcnn.engine.epoch import Epoch
from lwcnn.experiments import run
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import Experiment, get_experiment
from lwcnn.experiments.recipes.techniques import BASE, TITLES, technique
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.system.environment import commit, device_name, num_threads
from lwcnn.system.errors import wrong
from lwcnn.system.files import read_json, write_json
from lwcnn.training import loop, steps
from lwcnn.training.average import MovingAverage
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.progress import Progress

ROUNDS = 2


@dataclass(frozen=True)
class SharpnessAwareConfig(OptimizerConfig):
    """The recipe's optimizer with the gradients of SAM; `radius` is that of its authors for CIFAR-10."""

    radius: float = 0.05


@dataclass(frozen=True)
class ConstantEndConfig(OptimizerConfig):
    """The recipe's optimizer; its rate falls to `end` times the peak and stays there for that share of the steps."""

    end: float = 0.25

    def build(self, num_steps: int) -> keras.Optimizer:
        optimizer, warmup = super().build(num_steps), round(self.warmup * num_steps)
        decay_steps = self.first_averaged(num_steps) - warmup
        top = {"warmup_target": self.learning_rate, "warmup_steps": warmup}
        optimizer.learning_rate = keras.optimizers.schedules.CosineDecay(0.0, decay_steps, alpha=self.end, **top)
        return optimizer

    def first_averaged(self, num_steps: int) -> int:
        return round((1 - self.end) * num_steps)


class SharpnessAware(Epoch):
    """Training steps of SAM. The moving statistics of batch normalization are those of the first gradient."""

    def __init__(self, model: keras.Model, average: MovingAverage | None, radius: float):
        super().__init__(model, average)
        self._radius = radius

    def gradient(self, images, labels):
        sums, gradient = super().gradient(images, labels)
        statistics = [self._weights.array(variable) for variable in self._weights.others]
        weights, kept = self._weights.vector.copy(), [array.copy() for array in statistics]
        self._weights.vector += self._radius * gradient / (np.linalg.norm(gradient) + 1e-12)
        _, gradient = super().gradient(images, labels)
        self._weights.vector[:] = weights
        for array, values in zip(statistics, kept, strict=True):
            array[...] = values
        return sums, gradient


class EqualAverage(MovingAverage):
    """The mean of the weights after each step from number `first`, counted from 0; before it, the latest weights."""

    def __init__(self, *arguments, first: int):
        super().__init__(*arguments)
        self._first = first

    def next_share(self):
        self.num_updates += 1
        return 1 / max(1, self.num_updates - self._first)


def update_statistics(model: keras.Model, batches) -> None:
    """Sets the moving statistics of batch normalization to their means over batches (images, labels)."""
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momentums = [norm.momentum for norm in norms]
    for i, (images, _) in enumerate(batches):
        for norm in norms:
            norm.momentum = i / (i + 1)
        model(images.astype(np.float32), training=True)
    for norm, momentum in zip(norms, momentums, strict=True):
        norm.momentum = momentum


@contextlib.contextmanager
def sam(config: SharpnessAwareConfig) -> Iterator[None]:
    """Trains with SAM in the block."""
    if steps.step_name() != "engine":
        raise wrong("SAM needs the engine: unset LWCNN_STEP", steps.step_name())
    with patch.object(steps, "open_epoch", lambda model, average, _: SharpnessAware(model, average, config.radius)):
        yield


@contextlib.contextmanager
def swa(config: ConstantEndConfig) -> Iterator[None]:
    """Averages equally in the block, and computes the statistics of batch normalization for the averaged weights.

    The validation accuracies in a result's history are from before these statistics; `ema` in its config has no effect.
    """

    def train(plan: Experiment, sequence: PhaseSequence, teacher: keras.Model | None) -> keras.Model:
        (phase,) = plan.phases
        batches = Batches(sequence.split.training, phase.batch_size, sequence.seed, (phase.augmentation,))
        first = config.first_averaged(phase.epochs * len(batches))
        with patch.object(loop, "MovingAverage", partial(EqualAverage, first=first)):
            model = train_experiment(plan, sequence, teacher)
        update_statistics(model, batches)
        return model

    with patch.object(run, "train_experiment", train):
        yield


TECHNIQUES = {"sam": (sam, SharpnessAwareConfig), "swa": (swa, ConstantEndConfig)}


def changed(key: str, preset: str) -> Experiment:
    """Returns the recipe with a technique."""
    plan = get_experiment(BASE, preset, "cifar10")
    (phase,) = plan.phases
    optimizer = TECHNIQUES[key][1](**vars(phase.optimizer))
    name = technique(key)
    question = f"technique: {TITLES[name]}"
    return replace(plan, name=name, question=question, phases=(replace(phase, optimizer=optimizer),))


def measure_time(file: Path) -> None:
    """Writes the time of an epoch, with SAM and without, to the file of benchmarks/technique_time.py."""
    key = "sam"
    data = load_dataset("cifar10")
    fastest = dict.fromkeys((BASE, technique(key)), float("inf"))
    for _ in range(ROUNDS):
        fastest[BASE] = min(fastest[BASE], epoch_seconds(get_experiment(BASE, "quick", data.spec), data))
        plan = changed(key, "quick")
        with TECHNIQUES[key][0](plan.phases[0].optimizer):
            fastest[plan.name] = min(fastest[plan.name], epoch_seconds(plan, data))
    about = {"recipe_seconds_per_epoch": round(fastest[BASE], 3), "device": device_name(), "commit": commit()}
    row = {"experiment": technique(key), "seconds_per_epoch": round(fastest[technique(key)], 3), **about}
    found = read_json(file)
    rows = [one for one in found["rows"] if one["experiment"] != row["experiment"]]
    write_json(file, found | {"rows": [*rows, row]})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("technique", choices=TECHNIQUES)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--time", action="store_true", help="only time an epoch of SAM, on one thread")
    options = parser.parse_args()
    if options.time:
        if options.technique != "sam" or num_threads() != 1:
            parser.error("give sam and OMP_NUM_THREADS=1; the steps of swa are those of the recipe")
        measure_time(ROOT / "results" / "technique_time.json")
        return
    plan = changed(options.technique, options.preset)
    runs = ROOT / "runs" / "flat_minima"
    folders = Folders(ROOT / "results", runs / "cache", models=runs / "models")
    with TECHNIQUES[options.technique][0](plan.phases[0].optimizer):
        for seed in options.seeds:
            run.run_experiment(plan, "cifar10", options.preset, seed, folders, Progress("line"))


if __name__ == "__main__":
    main()

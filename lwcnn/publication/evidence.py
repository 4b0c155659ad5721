"""The results of each network in a results folder: the evidence for tables, figures and the report."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from lwcnn.data.known import CLASS_NAMES, DATASET_NAMES, INPUT_SHAPES
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.statistics import Estimate, estimate_accuracy, paired_difference
from lwcnn.experiments import results
from lwcnn.experiments.results import MissingInput
from lwcnn.experiments.sequence import fit_to_images
from lwcnn.experiments.zoo import create_model
from lwcnn.publication.names import command_name, split_epochs
from lwcnn.system.files import StrPath
from lwcnn.system.npz import load_npz
from lwcnn.training.optimizers import OptimizerConfig

BASELINE_EXPERIMENT = "paper"
MAX_ROUNDING = 0.002  # of an accuracy, from storing logits as float16


class Evidence:
    """The results of one folder, read on demand: all runs, the largest presets first, or only those of `preset`."""

    def __init__(self, folder: StrPath, preset: str | None = None):
        self.folder, self._preset = Path(folder), preset

    @cached_property
    def runs(self) -> pd.DataFrame:
        found = results.load_results(self.folder)
        return where(found, preset=self._preset).reset_index(drop=True) if self._preset else found

    @cached_property
    def folds(self) -> pd.DataFrame:
        return results.load_folds(self.folder)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials of the search, best first."""
        return results.load_trials(self.folder)

    @cached_property
    def int8_files(self) -> pd.DataFrame:
        """The records of the int8 LiteRT files."""
        return where(results.load_exports(self.folder), format="litert-int8")

    @cached_property
    def latencies(self) -> pd.DataFrame:
        """Latencies of the released models and of the reference networks."""
        return results.load_latencies(self.folder)

    def benchmark(self, name: str) -> dict:
        return results.load_benchmark(self.folder, name)

    def network(self, dataset: str, experiment: str, preset: str | None = None) -> "Network":
        return Network(self, dataset, experiment, preset)


@dataclass(frozen=True)
class Released:
    """The released run of a network: its row of `load_results`, and logits (n, classes) of the test images.

    `features` are the penultimate features of the first test images; None if they were not saved.
    """

    run: pd.DataFrame
    logits: np.ndarray
    labels: np.ndarray
    features: np.ndarray | None

    @property
    def temperature(self) -> float | None:
        """The temperature that was fitted on the validation images; None in results that do not record it."""
        found = self.run.get("temperature")
        return None if found is None or found.isna().any() else float(found.iloc[0])


@dataclass(frozen=True)
class Network:
    """An experiment on a dataset with one preset: its runs, and measurements of its released model.

    The default preset is the largest that the experiment was run with. A property that was not run or measured raises
    `MissingInput`, which says how to get it.
    """

    evidence: Evidence
    dataset: str
    experiment: str
    preset: str | None = None

    @cached_property
    def runs(self) -> pd.DataFrame:
        """The runs, a row per seed."""
        found = where(self.evidence.runs, dataset=self.dataset, experiment=self.experiment)
        preset = self.preset or next(iter(found["preset"]), "full")
        if (chosen := where(found, preset=preset)).empty:
            command = self.train_command(preset, (0, 1, 2))
            raise self._missing("run", f"{command} --results {self.evidence.folder}")
        return chosen

    @property
    def command(self) -> str:
        """The command line that trains these runs."""
        run = self.runs.iloc[0]
        line = f"lwcnn {self.train_command(run['preset'], self.runs['seed'])}"
        line += "".join(f" --{name} {value}" for name, value in run["config"].get("computing", {}).items())
        return line if run["backend"] == "tensorflow" else f"KERAS_BACKEND={run['backend']} {line}"

    def train_command(self, preset: str, seeds: Iterable[int]) -> str:
        """Returns the command, after `lwcnn`, that trains the network with a preset and seeds."""
        name, epochs = split_epochs(self.experiment)
        images = self.dataset if self.dataset in DATASET_NAMES else "path/to/images"
        line = f"train {command_name(name)} --dataset {images} --preset {preset}"
        return line + (f" --epochs {epochs}" if epochs else "") + f" --seeds {' '.join(map(str, seeds))}"

    @property
    def untrained(self) -> keras.Model:
        """The network with random weights, to count its parameters."""
        return untrained_network(self.dataset, self.experiment)

    @property
    def scaled_runs(self) -> pd.DataFrame:
        """The runs with a temperature that was fitted on validation images; runs of earlier versions have none."""
        runs = self.runs.dropna(subset=["ece_scaled"]) if "ece_scaled" in self.runs else self.runs.iloc[:0]
        if runs.empty:
            raise MissingInput(f"no run of `{self.experiment}` on {self.dataset} has a temperature: train it again")
        return runs

    @cached_property
    def correct(self) -> np.ndarray:
        """Which test images the runs classify correctly, bool of shape (seeds, images)."""
        return results.load_correct(self.evidence.folder, self.runs)

    @cached_property
    def accuracy(self) -> Estimate:
        return estimate_accuracy(list(self.correct))

    def minus(self, reference: str) -> Estimate:
        """Compares the test accuracy with that of another experiment, over the seeds that both have."""
        preset = self.runs["preset"].iloc[0]
        other = self.evidence.network(self.dataset, reference, preset)
        ours, theirs = (one.runs.set_index("seed") for one in (self, other))
        seeds = ours.index.intersection(theirs.index)
        if seeds.empty or set(ours["data_checksum"]) != set(theirs["data_checksum"]):
            raise MissingInput(
                f"`{self.experiment}` and `{reference}` on {self.dataset} share no seed of the same images with preset "
                f"{preset}. Received: {self.evidence.folder}"
            )
        found = (results.load_correct(self.evidence.folder, runs.loc[seeds]) for runs in (ours, theirs))
        return paired_difference(*map(list, found))

    @property
    def int8(self) -> pd.Series:
        """The record of its int8 LiteRT file."""
        name = f"{self.dataset}-{self.experiment}"
        output = self.evidence.folder / f"export/{name}-litert-int8.tflite"
        command = f"export models/{name}.keras --format litert-int8 --output {output}"
        return self._record(self.evidence.int8_files, "exported as litert-int8", command)

    def latency(self, runtime: str) -> pd.Series:
        """Returns the record of its latency: the device, and milliseconds per image such as `p50_ms`.

        A network that was not timed has the latency of one with as many parameters and multiply-accumulates.
        """
        command = f"bench models/*.keras --json {self.evidence.folder / 'bench.json'}"
        timed = where(self.evidence.latencies, dataset=self.dataset, runtime=runtime)
        if self.experiment not in set(timed["experiment"]) and not timed.empty:
            parameters, macs = self.runs[["params", "macs"]].iloc[0]
            timed = where(timed, parameters=parameters, macs=macs).assign(experiment=self.experiment)
        return self._record(timed, f"timed with {runtime}", command)

    @property
    def released_path(self) -> Path:
        return Path(self.runs["path"].iloc[0]).with_name("released.npz")

    @cached_property
    def released(self) -> Released:
        path = self.released_path
        if not path.exists():
            raise MissingInput(f"`{self.experiment}` on {self.dataset} is not released. Received: {path}")
        arrays = load_npz(path)
        seed, logits = int(arrays["seed"]), arrays["logits"].astype(np.float64)
        run, labels = where(self.runs, seed=seed), results.load_test_labels(self.evidence.folder, self.dataset)
        if run.empty or abs(accuracy(logits, labels) - run["test_accuracy"].iloc[0]) > MAX_ROUNDING:
            raise MissingInput(f"its logits are not those of seed {seed}'s result. Received: {path}")
        return Released(run, logits, labels, arrays.get("features"))

    def _record(self, frame: pd.DataFrame, what: str, command: str) -> pd.Series:
        found = where(frame, dataset=self.dataset, experiment=self.experiment)
        if found.empty:
            raise self._missing(what, command)
        return found.iloc[0]

    def _missing(self, what: str, command: str) -> MissingInput:
        received = self.evidence.folder
        return MissingInput(
            f"`{self.experiment}` on {self.dataset} was not {what}: `lwcnn {command}`. Received: {received}"
        )


@cache
def untrained_network(dataset: str, experiment: str) -> keras.Model:
    """Builds the untrained network of an experiment for a public dataset, to count its parameters."""
    return create_model(split_epochs(experiment)[0], None, INPUT_SHAPES[dataset], len(CLASS_NAMES[dataset]))


def planned_phases(config: Mapping[str, Any], num_images: int) -> list[dict]:
    """Returns the phases of a run's config in the order of training: of branches, then of the whole model.

    Batch size and optimizer are those for the number of training images.
    """
    of_branches = [phase for _, phase in config.get("branches", ())]  # or the branch's augmentation
    planned = []
    for phase in (*of_branches, config.get("dual"), *config["phases"]):
        if phase and "optimizer" in phase:
            recipe = OptimizerConfig(**phase["optimizer"])
            batch_size, optimizer = fit_to_images(phase["batch_size"], recipe, num_images)
            planned.append(phase | {"batch_size": batch_size, "optimizer": optimizer})
    return planned


def where(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Returns the rows of a frame with these values in its columns."""
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def summed_confusion(runs: pd.DataFrame) -> np.ndarray:
    """Returns the confusion matrix summed over seeds, (classes, classes); `MissingInput` for too many classes."""
    if runs["confusion_matrix"].isna().any():
        raise MissingInput("there are too many classes for a confusion matrix")
    return np.sum(list(runs["confusion_matrix"]), axis=0)

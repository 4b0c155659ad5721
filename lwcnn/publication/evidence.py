"""Selects and compares the results that publications are made from: runs, trials, exports and benchmarks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.statistics import Difference, Estimate, estimate_accuracy, paired_difference
from lwcnn.experiments import results
from lwcnn.experiments.results import PRESETS_BY_SIZE, MissingInput
from lwcnn.publication.names import HEADLINE
from lwcnn.system.files import StrPath
from lwcnn.system.npz import load_npz

LARGEST = "largest"
"""Stands for the largest preset that an experiment was run with."""

BASELINE_EXPERIMENT = "paper"
MAX_ROUNDING = 0.002  # of an accuracy, from storing logits as float16


@dataclass(frozen=True)
class Released:
    """The released run of an experiment: its row of `load_results`, and logits (n, classes) of the test images.

    `features` are the penultimate features of the first test images; None if they were not saved.
    """

    run: pd.DataFrame
    logits: np.ndarray
    labels: np.ndarray
    features: np.ndarray | None


class Evidence:
    """The results of one folder; `presets` are those to use, the largest first."""

    def __init__(self, folder: StrPath = "results", presets: Sequence[str] = PRESETS_BY_SIZE):
        self.folder = Path(folder)
        self.presets = tuple(presets)
        self._differences: dict[tuple[str, str, str, str], Difference] = {}

    @cached_property
    def runs(self) -> pd.DataFrame:
        found = results.load_results(self.folder)
        return found[found["preset"].isin(self.presets)].reset_index(drop=True)

    @cached_property
    def folds(self) -> pd.DataFrame:
        return results.load_folds(self.folder)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials of the search, best first, for the data set and number of epochs with the most trials."""
        found = results.load_trials(self.folder)
        groups = [group for _, group in found.groupby(["dataset", "epochs"], sort=False)]
        return max(groups, key=len).reset_index(drop=True) if groups else found

    @cached_property
    def exports(self) -> pd.DataFrame:
        return results.load_exports(self.folder)

    @cached_property
    def latencies(self) -> pd.DataFrame:
        """Latencies of the released models and of the reference networks."""
        return pd.concat([results.load_latencies(self.folder), results.load_latencies(self.folder, ["bench_networks"])])

    def benchmark(self, name: str) -> dict:
        return results.load_benchmark(self.folder, name)

    def select(self, dataset: str, experiment: str, preset: str = LARGEST) -> pd.DataFrame:
        """Returns the runs of one experiment, a row per seed; `MissingInput` says how to run it."""
        found = rows(self.runs, dataset=dataset, experiment=experiment)
        for size in self.presets if preset == LARGEST else (preset,):
            if not (chosen := rows(found, preset=size)).empty:
                return chosen
        size = self.presets[0] if preset == LARGEST else preset
        name, _, epochs = experiment.partition("-epochs")  # of `with_settings`
        options = f"--preset {size}" + (f" --epochs {epochs}" if epochs else "")
        command = f"lwcnn train {name} --dataset {dataset} {options} --seeds 0 1 2 --results {self.folder}"
        raise MissingInput(f"`{experiment}` on {dataset} was not run; `{command}` runs it. Received: {self.folder}")

    def has(self, dataset: str, experiment: str, preset: str = LARGEST) -> bool:
        try:
            return not self.select(dataset, experiment, preset).empty
        except MissingInput:
            return False

    def accuracy(self, dataset: str, experiment: str, preset: str = LARGEST) -> Estimate:
        return estimate_accuracy(list(self.correct(dataset, experiment, preset)))

    def correct(self, dataset: str, experiment: str, preset: str = LARGEST) -> np.ndarray:
        """Returns which test images the runs of an experiment classify correctly, bool of shape (seeds, images)."""
        return results.load_correct(self.folder, self.select(dataset, experiment, preset))

    def difference(self, dataset: str, experiment: str, reference: str, preset: str) -> Difference:
        """Compares two experiments by test accuracy, over the seeds that both have."""
        key = dataset, experiment, reference, preset
        if key not in self._differences:
            ours, theirs = (self.select(dataset, name, preset).set_index("seed") for name in (experiment, reference))
            seeds = ours.index.intersection(theirs.index)
            if seeds.empty or set(ours["data_checksum"]) != set(theirs["data_checksum"]):
                raise MissingInput(
                    f"`{experiment}` and `{reference}` on {dataset} share no seed of the same images with preset "
                    f"{preset}. Received: {self.folder}"
                )
            found = [list(results.load_correct(self.folder, runs.loc[seeds])) for runs in (ours, theirs)]
            self._differences[key] = paired_difference(*found)
        return self._differences[key]

    def export(self, dataset: str, experiment: str, kind: str) -> pd.Series:
        found = rows(self.exports, dataset=dataset, experiment=experiment, format=kind)
        if found.empty:
            command = f"lwcnn export models/{dataset}-{experiment}.keras --format {kind}"
            raise MissingInput(f"`{experiment}` on {dataset} was not exported as {kind}; `{command}` exports it.")
        return found.iloc[0]

    def latency(self, dataset: str, experiment: str, runtime: str, statistic: str = "p50_ms") -> float:
        """Returns the milliseconds per image of a released model."""
        found = rows(self.latencies, dataset=dataset, experiment=experiment, runtime=runtime)
        if found.empty:
            command = "lwcnn bench models/*.keras --json results/bench.json"
            raise MissingInput(f"`{experiment}` on {dataset} was not timed with {runtime}; `{command}` times it.")
        return float(found[statistic].iloc[0])

    def released(self, dataset: str, experiment: str) -> Released:
        path = self._released_path(dataset, experiment)
        if not path.exists():
            raise MissingInput(f"`{experiment}` on {dataset} is not released. Received: {path}")
        arrays, runs = load_npz(path), self.select(dataset, experiment)
        found = runs[runs["seed"] == int(arrays["seed"])]
        if found.empty:
            raise MissingInput(f"the result of seed {int(arrays['seed'])} is not beside it. Received: {path}")
        logits, labels = arrays["logits"].astype(np.float64), results.load_test_labels(self.folder, dataset)
        if abs(accuracy(logits, labels) - found["test_accuracy"].iloc[0]) > MAX_ROUNDING:
            raise MissingInput(f"its logits are not those of seed {int(arrays['seed'])}'s result. Received: {path}")
        return Released(found, logits, labels, arrays.get("features"))

    def best_experiment(self, dataset: str) -> str:
        """Returns `HEADLINE` if it is released, else the released experiment with the highest validation accuracy."""
        if self.has(dataset, HEADLINE) and self._released_path(dataset, HEADLINE).exists():
            return HEADLINE
        names = self.runs.loc[self.runs["dataset"] == dataset, "experiment"].unique()
        released = [name for name in names if self._released_path(dataset, name).exists()]
        if not released:
            raise MissingInput(f"no experiment on it is released. Received: {dataset!r} in {self.folder}")
        return max(released, key=lambda name: self.select(dataset, name)["val_accuracy"].mean())

    def shown(self, dataset: str) -> list[str]:
        """Returns the baseline, if it was run, and the best experiment; one name if they are the same."""
        baseline = [BASELINE_EXPERIMENT] if self.has(dataset, BASELINE_EXPERIMENT) else []
        return list(dict.fromkeys([*baseline, self.best_experiment(dataset)]))

    def _released_path(self, dataset: str, experiment: str) -> Path:
        return Path(self.select(dataset, experiment)["path"].iloc[0]).with_name("released.npz")


def rows(frame: pd.DataFrame, **values: object) -> pd.DataFrame:
    """Returns the rows of a frame with these values in its columns."""
    for column, value in values.items():
        frame = frame[frame[column] == value]
    return frame


def summed_confusion(runs: pd.DataFrame) -> np.ndarray:
    """Returns the confusion matrix summed over seeds, (classes, classes); `MissingInput` for too many classes."""
    if runs["confusion_matrix"].isna().any():
        raise MissingInput("there are too many classes for a confusion matrix")
    return np.sum(list(runs["confusion_matrix"]), axis=0)


def pair_share(matrix: np.ndarray, a: int, b: int) -> float:
    """Returns the fraction of all errors that confuse two classes, either way."""
    return float((matrix[a, b] + matrix[b, a]) / (matrix.sum() - np.trace(matrix)))


def class_means(runs: pd.DataFrame) -> pd.Series:
    """Returns the mean accuracy over seeds by class name."""
    return pd.DataFrame(list(runs["per_class_accuracy"])).mean()

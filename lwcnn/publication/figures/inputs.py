"""What figures are made from, read once and on demand: results, released logits and features, models, pixels."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lwcnn.data import DATASET_NAMES, find_dataset, load_dataset
from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.results import DISPLAY_NAMES, PRESETS_BY_SIZE, MissingInput, load_correct, load_test_labels
from lwcnn.experiments.run import Folders
from lwcnn.models.io import load_model
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence, Released
from lwcnn.system.safe_text import plot_text

ABLATION_PRESET = "quick"  # that of the ablations in the README


class Inputs:
    """The results of one data set, and what belongs to them.

    Args:
        dataset: its name, as in the results folder.
        folders: where results, models and data sets are.
        presets: the sizes of runs that are shown; of an experiment's several the first.
    """

    def __init__(self, dataset: str, folders: Folders = Folders(), presets: Sequence[str] = PRESETS_BY_SIZE):
        self.dataset = dataset
        self.folders = folders
        self.presets = tuple(presets)
        self._released: dict[str, Released] = {}

    @cached_property
    def evidence(self) -> Evidence:
        """Runs, exports and benchmarks."""
        return Evidence(self.folders.results, self.presets)

    @property
    def display_name(self) -> str:
        """The data set's name as written in titles."""
        return DISPLAY_NAMES.get(self.dataset, self.dataset)

    @cached_property
    def all_runs(self) -> pd.DataFrame:
        """Every run on the data set but those of the ablation of parts and of experiments that train on few images."""
        runs = self.evidence.runs
        few = runs["config"].map(lambda config: bool(config.get("num_images")))
        return runs[(runs["dataset"] == self.dataset) & ~runs["experiment"].isin(PARTS_EXPERIMENTS) & ~few]

    @cached_property
    def groups(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The runs of each (experiment, preset)."""
        return dict(iter(self.all_runs.groupby(["experiment", "preset"], sort=False)))

    @cached_property
    def experiments(self) -> dict[str, pd.DataFrame]:
        """Each experiment's runs of the largest preset that it was run with."""
        found = {name: self.evidence.select(self.dataset, name) for name in self.all_runs["experiment"].unique()}
        if not found:
            raise MissingInput(f"there are no results of it. Received: {self.dataset!r} in {self.folders.results}")
        return found

    @property
    def ablation_preset(self) -> str:
        """The preset of the runs that are compared seed by seed: that of the README's ablations where it is shown."""
        return ABLATION_PRESET if ABLATION_PRESET in self.presets else self.presets[-1]

    def runs(self, experiment: str) -> pd.DataFrame:
        """The runs of an experiment, of its largest preset."""
        return self.evidence.select(self.dataset, experiment)

    def estimate(self, runs: pd.DataFrame) -> Estimate:
        """Test accuracy of the runs of one experiment and preset, with its bootstrap interval."""
        return estimate_accuracy(list(load_correct(self.folders.results, runs)))

    @property
    def class_names(self) -> list[str]:
        """The class names, by label, as plots show them."""
        return [plot_text(name) for name in next(iter(self.experiments.values()))["per_class_accuracy"].iloc[0]]

    @property
    def num_test_images(self) -> int:
        """Number of test images."""
        return len(load_test_labels(self.folders.results, self.dataset))

    @cached_property
    def best_experiment(self) -> str:
        """The released experiment with the highest mean validation accuracy, which figures set beside `paper`."""
        return self.evidence.best_experiment(self.dataset)

    def compared(self) -> tuple[str, str]:
        """The baseline and the best experiment.

        Raises:
            MissingInput: If they are the same.
        """
        self.runs(BASELINE_EXPERIMENT)
        if self.best_experiment == BASELINE_EXPERIMENT:
            raise MissingInput(f"no released run is above `{BASELINE_EXPERIMENT}`. Received: {self.dataset!r}")
        return BASELINE_EXPERIMENT, self.best_experiment

    def shown(self) -> list[str]:
        """The baseline and the best experiment, where they differ; otherwise the one."""
        return list(dict.fromkeys([BASELINE_EXPERIMENT, self.best_experiment]))

    def released(self, experiment: str) -> Released:
        """The released run of an experiment."""
        if experiment not in self._released:
            self._released[experiment] = self.evidence.released(self.dataset, experiment)
        return self._released[experiment]

    def model(self, experiment: str) -> keras.Model:
        """The released model of an experiment."""
        path = Path(self.folders.models) / f"{self.dataset}-{experiment}.keras"
        if not path.exists():
            raise MissingInput(f"`{experiment}` has no released model. Received: {path}")
        return load_model(path)

    @cached_property
    def test_images(self) -> np.ndarray:
        """The pixels of the test images, in the order of the logits; never downloaded for a figure."""
        if self.dataset not in DATASET_NAMES or find_dataset(self.dataset, self.folders.data) is None:
            raise MissingInput(f"the data set's pixels are not at hand (LWCNN_DATA_DIR). Received: {self.dataset!r}")
        data = load_dataset(self.dataset, self.folders.data, download=False)
        expected = next(iter(self.experiments.values()))["data_checksum"].iloc[0]
        if data.checksum != expected:
            raise MissingInput(f"the results were made with other images than these. Received: {data.source}")
        return data.x_test

    def exported_int8(self) -> pd.DataFrame:
        """The records of the experiments' int8 files, by experiment."""
        found = self.evidence.exports
        found = found[(found["dataset"] == self.dataset) & found["format"].str.contains("int8")]
        found = found[found["experiment"].isin(self.experiments)].set_index("experiment")
        if found.empty:
            raise MissingInput(f"no int8 file's record. Received: {self.folders.results}/export of {self.dataset}")
        return found

    def latencies(self, runtime: str) -> pd.Series:
        """Median milliseconds for one image by a runtime, by experiment."""
        found = self.evidence.latencies
        found = found[(found["dataset"] == self.dataset) & (found["runtime"] == runtime)]
        found = found[found["experiment"].isin(self.experiments)].set_index("experiment")["p50_ms"]
        if found.empty:
            raise MissingInput(f"the benchmark has no {runtime!r} of its models. Received: {self.folders.results}")
        return found

"""What figures are made from, read once and on demand: results, released logits and features, models, pixels."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lwcnn.data.datasets import find_dataset, load_dataset
from lwcnn.data.known import DATASET_NAMES
from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.results import DISPLAY_NAMES, PRESETS_BY_SIZE, MissingInput, load_correct, load_test_labels
from lwcnn.models.io import load_model
from lwcnn.publication.evidence import Evidence, Released
from lwcnn.publication.names import budget, display_name, is_part
from lwcnn.system.safe_text import plot_text

ABLATION_PRESET = "quick"


class Inputs:
    """The results on one data set, and what belongs to them; of an experiment's several presets the first is shown."""

    def __init__(self, dataset: str, folders: Folders = Folders(), presets: Sequence[str] = PRESETS_BY_SIZE):
        self.dataset = dataset
        self.folders = folders
        self.presets = tuple(presets)
        self.display_name = DISPLAY_NAMES.get(dataset, plot_text(dataset))

    @cached_property
    def evidence(self) -> Evidence:
        return Evidence(self.folders.results, self.presets)

    @cached_property
    def groups(self) -> dict[tuple[str, str], pd.DataFrame]:
        """The runs of each (experiment, preset), without the ablation of parts and trainings on few images."""
        runs = self.evidence.runs
        few = runs["config"].map(lambda config: bool(config.get("num_images")))
        shown = runs[(runs["dataset"] == self.dataset) & ~runs["experiment"].map(is_part) & ~few]
        if shown.empty:
            raise MissingInput(f"there are no results of it. Received: {self.dataset!r} in {self.folders.results}")
        return dict(iter(shown.groupby(["experiment", "preset"], sort=False)))

    @property
    def networks(self) -> dict[str, pd.DataFrame]:
        """Each experiment's runs of the largest preset that any experiment has: those whose costs are compared."""
        presets = {preset for _, preset in self.groups}
        largest = next(preset for preset in self.presets if preset in presets)
        return {experiment: runs for (experiment, preset), runs in self.groups.items() if preset == largest}

    def runs(self, experiment: str) -> pd.DataFrame:
        return self.evidence.select(self.dataset, experiment)

    def correct(self, runs: pd.DataFrame) -> np.ndarray:
        return load_correct(self.folders.results, runs)

    def estimate(self, runs: pd.DataFrame) -> Estimate:
        """Test accuracy of the runs of one experiment and preset, with its bootstrap interval."""
        return estimate_accuracy(list(self.correct(runs)))

    @cached_property
    def labels(self) -> np.ndarray:
        return load_test_labels(self.folders.results, self.dataset)

    @property
    def class_names(self) -> list[str]:
        """Class names by label, as plots show them."""
        return [plot_text(name) for name in next(iter(self.groups.values()))["per_class_accuracy"].iloc[0]]

    @cached_property
    def best_experiment(self) -> str:
        return self.evidence.best_experiment(self.dataset)

    @property
    def shown(self) -> list[str]:
        return self.evidence.shown(self.dataset)

    def released(self, experiment: str) -> Released:
        return self.evidence.released(self.dataset, experiment)

    def model(self, experiment: str) -> keras.Model:
        path = Path(self.folders.models) / f"{self.dataset}-{experiment}.keras"
        if not path.exists():
            raise MissingInput(f"`{experiment}` has no released model. Received: {path}")
        return load_model(path)

    @cached_property
    def test_images(self) -> np.ndarray:
        """Pixels of the test images, in the order of the logits; never downloaded for a figure."""
        if self.dataset not in DATASET_NAMES or find_dataset(self.dataset, self.folders.data) is None:
            raise MissingInput(f"the data set's pixels are not at hand (LWCNN_DATA_DIR). Received: {self.dataset!r}")
        data = load_dataset(self.dataset, self.folders.data, download=False)
        if data.checksum != next(iter(self.groups.values()))["data_checksum"].iloc[0]:
            raise MissingInput(f"the results were made with other images than these. Received: {data.source}")
        return data.x_test

    def model_name(self, runs: pd.DataFrame) -> str:
        """Plain name, budget unless it is the full one, and seeds of runs of one experiment."""
        first = runs.iloc[0]
        size = "" if first["preset"] == "full" else f", {budget(first['preset'])}"
        seeds = f"seed{'s' if len(runs) > 1 else ''} {', '.join(map(str, runs['seed']))}"
        return f"{display_name(first['experiment'])}{size}, {seeds}"

    def title(self, what: str, *details: str) -> str:
        """What is shown, and a second line with details."""
        return "\n".join([f"{what}, {self.display_name}", ", ".join(details)]).strip()

    @property
    def images_counted(self) -> str:
        return f"{len(self.labels):,} test images"

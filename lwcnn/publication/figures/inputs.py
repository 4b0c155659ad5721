"""What figures are made from, read once and on demand: results, released logits and features, models, pixels."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lwcnn.data.datasets import find_dataset, load_dataset
from lwcnn.data.known import DATASET_NAMES, INPUT_SHAPES
from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.results import DISPLAY_NAMES, PRESETS_BY_SIZE, MissingInput, load_correct, load_test_labels
from lwcnn.models.io import load_model
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence, Released
from lwcnn.publication.names import budget, display_name, is_part, seed_names
from lwcnn.system.safe_text import plot_text

ABLATION_PRESET = "quick"  # that of the ablations in the README


class Inputs:
    """The results on one data set, and what belongs to them; of an experiment's several presets the first is shown."""

    def __init__(self, dataset: str, folders: Folders = Folders(), presets: Sequence[str] = PRESETS_BY_SIZE):
        self.dataset = dataset
        self.folders = folders
        self.presets = tuple(presets)
        self.display_name = DISPLAY_NAMES.get(dataset, plot_text(dataset))

    @cached_property
    def evidence(self) -> Evidence:
        """Runs, exports and benchmarks."""
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

    @property
    def ablation_preset(self) -> str:
        """The preset of the runs that are compared seed by seed: that of the README's ablations where it is shown."""
        return ABLATION_PRESET if ABLATION_PRESET in self.presets else self.presets[-1]

    def runs(self, experiment: str) -> pd.DataFrame:
        """The runs of an experiment, of its largest preset."""
        return self.evidence.select(self.dataset, experiment)

    def correct(self, runs: pd.DataFrame) -> np.ndarray:
        """Whether the runs classify each test image correctly, shape (seeds, images)."""
        return load_correct(self.folders.results, runs)

    def estimate(self, runs: pd.DataFrame) -> Estimate:
        """Test accuracy of the runs of one experiment and preset, with its bootstrap interval."""
        return estimate_accuracy(list(self.correct(runs)))

    @cached_property
    def labels(self) -> np.ndarray:
        """Labels of the test images."""
        return load_test_labels(self.folders.results, self.dataset)

    @property
    def class_names(self) -> list[str]:
        """Class names by label, as plots show them."""
        return [plot_text(name) for name in next(iter(self.groups.values()))["per_class_accuracy"].iloc[0]]

    @cached_property
    def best_experiment(self) -> str:
        """As `Evidence.best_experiment`."""
        return self.evidence.best_experiment(self.dataset)

    @property
    def shown(self) -> list[str]:
        """The baseline, if it was run, and the best experiment."""
        return self.evidence.shown(self.dataset)

    def released(self, experiment: str) -> Released:
        """The released run of an experiment."""
        return self.evidence.released(self.dataset, experiment)

    def model(self, experiment: str) -> keras.Model:
        """The released model of an experiment."""
        path = Path(self.folders.models) / f"{self.dataset}-{experiment}.keras"
        if not path.exists():
            raise MissingInput(f"`{experiment}` has no released model. Received: {path}")
        return load_model(path)

    @property
    def shape(self) -> tuple[tuple[int, int, int], int]:
        """Shape of the images and number of classes."""
        if self.dataset in INPUT_SHAPES:
            return INPUT_SHAPES[self.dataset], len(self.class_names)
        model = self.model(BASELINE_EXPERIMENT)  # a data set of the user's own
        return tuple(model.input_shape[1:]), model.output_shape[-1]

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
        return f"{display_name(first['experiment'])}{size}, {seed_names(runs['seed'])}"

    def title(self, what: str, *details: str) -> str:
        """What is shown, and a second line with details."""
        return "\n".join([f"{what}, {self.display_name}", ", ".join(details)]).strip()

    @property
    def images_counted(self) -> str:
        """Number of test images, for titles."""
        return f"{len(self.labels):,} test images"

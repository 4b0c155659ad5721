"""The inputs of figures, read on demand: the results on one dataset, its released models and its pixels."""

from functools import cached_property

import keras
import numpy as np
import pandas as pd

from lwcnn.data.datasets import load_dataset
from lwcnn.data.known import DATASET_NAMES
from lwcnn.data.sources import find_dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes.paper import PAPER_EXPERIMENTS
from lwcnn.experiments.results import DISPLAY_NAMES, MissingInput, load_test_labels
from lwcnn.models.description import read_input_shape
from lwcnn.models.io import load_model
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence, Network
from lwcnn.publication.names import HEADLINE, budget, display_name, is_part, list_seeds
from lwcnn.system.safe_text import plot_text

VARIANTS = {*PAPER_EXPERIMENTS, "paper_tuned_one_go", "repo_baseline_frozen"} - {BASELINE_EXPERIMENT}
"""Experiments that figures of cost leave out: other trainings, or changes, of a network that they show."""


class Inputs:
    """The evidence on one dataset, for all presets or one, with its released models and pixels.

    `source` is the folder or file of the user's own images.
    """

    def __init__(self, dataset: str, folders: Folders, preset: str | None = None, source: str | None = None):
        self.dataset, self.source = dataset, source
        self.folders = folders
        self.evidence = Evidence(folders.results, preset)
        self.display_name = DISPLAY_NAMES.get(dataset, plot_text(dataset))

    def network(self, experiment: str, preset: str | None = None) -> Network:
        return self.evidence.network(self.dataset, experiment, preset)

    @cached_property
    def networks(self) -> list[Network]:
        """Every experiment with every preset that it was run with, except parts and runs on few images."""
        runs = self.evidence.runs
        few = runs["config"].map(lambda config: bool(config.get("num_images")))
        shown = runs[(runs["dataset"] == self.dataset) & ~runs["experiment"].map(is_part) & ~few]
        if shown.empty:
            found = f"{self.dataset!r} in {self.folders.results}"
            raise MissingInput(f"there are no results on this dataset. Received: {found}")
        return [self.network(*names) for names in shown[["experiment", "preset"]].drop_duplicates().to_numpy()]

    @property
    def largest(self) -> list[Network]:
        """The networks with the largest preset that any of them has: those whose costs are compared.

        Variants are left out, unless there is nothing else.
        """
        first = self.networks[0].preset
        found = [one for one in self.networks if one.preset == first]
        return [one for one in found if one.experiment not in VARIANTS] or found

    @cached_property
    def compared(self) -> list[Network]:
        """The baseline, if it was run, and the best network, which can be the same.

        The best is `HEADLINE` if it is released, else the released one with the highest validation accuracy.
        """
        runs = self.evidence.runs
        names = runs.loc[runs["dataset"] == self.dataset, "experiment"].unique()
        networks = {name: self.network(name) for name in names}
        released = [one for one in networks.values() if one.released_path.exists()]
        if not released:
            raise MissingInput(f"no model of this dataset is in {self.folders.models}. Received: {self.dataset!r}")
        best = max(released, key=lambda one: (one.experiment == HEADLINE, one.runs["val_accuracy"].mean()))
        baseline = networks.get(BASELINE_EXPERIMENT, best)
        return [best] if best is baseline else [baseline, best]

    @property
    def best(self) -> Network:
        return self.compared[-1]

    @cached_property
    def labels(self) -> np.ndarray:
        return load_test_labels(self.folders.results, self.dataset)

    @property
    def class_names(self) -> list[str]:
        """Class names by label, as plots show them."""
        return [plot_text(name) for name in self.networks[0].runs["per_class_accuracy"].iloc[0]]

    def model(self, experiment: str) -> keras.Model:
        path = self.folders.best_model(self.dataset, experiment)
        if not path.exists():
            raise MissingInput(f"`{experiment}` has no released model. Received: {path}")
        return load_model(path)

    @cached_property
    def test_images(self) -> np.ndarray:
        """Pixels of the test images, in the order of the logits; never downloaded for a figure."""
        if self.source:
            model = self.folders.best_model(self.dataset, self.best.experiment)
            size = read_input_shape(model) if model.exists() else None
            data = load_dataset(self.source, self.folders.data, size=size)
        elif self.dataset not in DATASET_NAMES:
            raise MissingInput(f"give the folder or file of the images with --dataset. Received: {self.dataset!r}")
        elif find_dataset(self.dataset, self.folders.data) is None:
            raise MissingInput(f"the dataset's images are missing (LWCNN_DATA_DIR). Received: {self.dataset!r}")
        else:
            data = load_dataset(self.dataset, self.folders.data, download=False)
        if data.checksum != self.networks[0].runs["data_checksum"].iloc[0]:
            raise MissingInput(f"the results were made with other images than these. Received: {data.source}")
        return data.x_test

    def title(self, what: str, *details: str) -> str:
        """Returns a title: what the figure shows and, on a second line, details."""
        return "\n".join([f"{what}, {self.display_name}", ", ".join(details)]).strip()

    @property
    def images_counted(self) -> str:
        return f"{len(self.labels):,} test images"


def describe_runs(runs: pd.DataFrame) -> str:
    """Returns the display name, the budget unless it is full, and the seeds of an experiment's runs."""
    first = runs.iloc[0]
    size = "" if first["preset"] == "full" else f", {budget(first['preset'])}"
    return f"{display_name(first['experiment'])}{size}, {list_seeds(runs['seed'])}"

"""What figures are made from, read once and on demand: results, released logits and features, models, pixels."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import DATASET_NAMES, find_dataset, load_dataset
from lwcnn.evaluation import accuracy
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.results import PRESETS_BY_SIZE, MissingInput
from lwcnn.experiments.run import Folders
from lwcnn.publication.tables.tables import load_results
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json
from lwcnn.system.npz import load_npz
from lwcnn.system.safe_text import plot_text

BASELINE_EXPERIMENT = "paper"
ABLATION_PRESET = "quick"  # that of the ablations in the README
MAX_ROUNDING = 0.002  # of an accuracy, by keeping logits as float16
DISPLAY_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}


@dataclass(frozen=True)
class Released:
    """The released run of an experiment.

    Attributes:
        result: its JSON.
        logits: of the test images, (n, classes), float64.
        labels: of the test images, (n,).
        features: of the first test images, (m, d); None where none were kept.
    """

    result: dict
    logits: np.ndarray
    labels: np.ndarray
    features: np.ndarray | None


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

    @property
    def display_name(self) -> str:
        """The data set's name as written in titles."""
        return DISPLAY_NAMES.get(self.dataset, self.dataset)

    @cached_property
    def groups(self) -> dict[tuple[str, str], list[dict]]:
        """Every run of the presets that are shown, by (experiment, preset).

        Without those of the parts, which have a figure of their own, and of experiments that train on some images only.
        """
        found: dict[tuple[str, str], list[dict]] = {}
        for result in load_results(self.folders.results):
            shown = result["preset"] in self.presets and result["experiment"] not in PARTS_EXPERIMENTS
            shown = shown and not result.get("config", {}).get("num_images")
            if result["dataset"] == self.dataset and shown:
                found.setdefault((result["experiment"], result["preset"]), []).append(result)
        return found

    @cached_property
    def experiments(self) -> dict[str, list[dict]]:
        """Each experiment's runs of the largest preset that it was run with."""
        found: dict[str, list[dict]] = {}
        for preset in self.presets:
            for (experiment, size), runs in self.groups.items():
                if size == preset:
                    found.setdefault(experiment, runs)
        if not found:
            raise MissingInput(f"there are no results of it. Received: {self.dataset!r} in {self.folders.results}")
        return found

    @property
    def ablation_preset(self) -> str:
        """The preset of the runs that are compared seed by seed: that of the ablations in the README where shown."""
        return ABLATION_PRESET if ABLATION_PRESET in self.presets else self.presets[-1]

    def runs(self, experiment: str) -> list[dict]:
        """The runs of an experiment, of its largest preset."""
        if experiment not in self.experiments:
            raise MissingInput(f"no run of `{experiment}`. Received: {self.dataset!r} in {self.folders.results}")
        return self.experiments[experiment]

    @property
    def class_names(self) -> list[str]:
        """The class names, by label, as plots show them."""
        return [plot_text(name) for name in next(iter(self.experiments.values()))[0]["per_class_accuracy"]]

    @property
    def num_test_images(self) -> int:
        """How many test images there are."""
        matrix = next(iter(self.experiments.values()))[0]["confusion_matrix"]
        if matrix is not None:
            return int(np.sum(matrix))
        labels = self.folders.results / self.dataset / "test_labels.npy"
        if not labels.exists():
            raise MissingInput(f"there is no {labels.name} of it. Received: {labels}")
        return len(np.load(labels))

    def confusion_matrix(self, experiment: str) -> np.ndarray:
        """The confusion matrix of an experiment, summed over seeds."""
        matrices = [run["confusion_matrix"] for run in self.runs(experiment)]
        if any(matrix is None for matrix in matrices):
            raise MissingInput(f"there are too many classes for a matrix. Received: {len(self.class_names)} classes")
        return np.sum(matrices, axis=0)

    @cached_property
    def best_experiment(self) -> str:
        """The released experiment with the highest mean validation accuracy, which figures set beside `paper`."""
        released = [name for name in self.experiments if self._released_path(name).exists()]
        if not released:
            raise MissingInput(f"no experiment is released. Received: {self.dataset!r} in {self.folders.results}")
        return max(released, key=lambda name: np.mean([run["val_accuracy"] for run in self.experiments[name]]))

    def compared(self) -> tuple[str, str]:
        """The baseline and the best experiment.

        Raises:
            MissingInput: if they are the same.
        """
        self.runs(BASELINE_EXPERIMENT)
        if self.best_experiment == BASELINE_EXPERIMENT:
            raise MissingInput(f"no released run is above `{BASELINE_EXPERIMENT}`. Received: {self.dataset!r}")
        return BASELINE_EXPERIMENT, self.best_experiment

    def shown(self) -> list[str]:
        """The baseline and the best experiment, where they differ; else the one."""
        return list(dict.fromkeys([BASELINE_EXPERIMENT, self.best_experiment]))

    def _released_path(self, experiment: str) -> Path:
        run = self.runs(experiment)[0]
        return self.folders.result(self.dataset, experiment, run["preset"], 0).with_name("released.npz")

    def released(self, experiment: str) -> Released:
        """The released run of an experiment.

        Raises:
            MissingInput: if there is none, or the labels of its test images are not there.
        """
        if experiment not in self._released:
            path, labels = self._released_path(experiment), self.folders.results / self.dataset / "test_labels.npy"
            for needed in (path, labels):
                if not needed.exists():
                    raise MissingInput(f"there is no {needed.name} of it. Received: {needed}")
            arrays = load_npz(path)
            result = next((r for r in self.runs(experiment) if r["seed"] == int(arrays["seed"])), None)
            if result is None:
                raise MissingInput(f"the result of seed {int(arrays['seed'])} is not beside it. Received: {path}")
            logits, truth = arrays["logits"].astype(np.float64), np.load(labels)
            if abs(accuracy(logits, truth) - result["test_accuracy"]) > MAX_ROUNDING:
                raise MissingInput(f"its logits are not those of seed {result['seed']}'s result. Received: {path}")
            self._released[experiment] = Released(result, logits, truth, arrays.get("features"))
        return self._released[experiment]

    def model(self, experiment: str) -> keras.Model:
        """The released model of an experiment."""
        path = Path(self.folders.models) / f"{self.dataset}-{experiment}.keras"
        if not path.exists():
            raise MissingInput(f"`{experiment}` has no released model. Received: {path}")
        try:
            return keras.saving.load_model(path, compile=False)
        except (ValueError, OSError, TypeError, KeyError) as error:
            raise LwcnnError(f"The model can't be read: {error}. Received: {path}") from error

    @cached_property
    def test_images(self) -> np.ndarray:
        """The pixels of the test images, in the order of the logits; never downloaded for a figure."""
        if self.dataset not in DATASET_NAMES or find_dataset(self.dataset, self.folders.data) is None:
            raise MissingInput(f"the data set's pixels are not at hand (LWCNN_DATA_DIR). Received: {self.dataset!r}")
        data = load_dataset(self.dataset, self.folders.data, download=False)
        expected = next(iter(self.experiments.values()))[0]["data_checksum"]
        if data.checksum != expected:
            raise MissingInput(f"the results were made with other images than these. Received: {data.source}")
        return data.x_test

    def exported_int8(self) -> dict[str, dict]:
        """The record of each experiment's int8 file, by experiment."""
        folder, found = self.folders.results / "export", {}
        for path in sorted(folder.glob(f"{self.dataset}-*.json")):
            record = read_json(path)
            experiment = _experiment_of(record.get("model", ""), self.dataset)
            if "int8" in path.stem and experiment in self.experiments and record.get("size_bytes"):
                found[experiment] = record
        if not found:
            raise MissingInput(f"no int8 file's record. Received: {folder}/{self.dataset}-*int8*.json")
        return found

    def latencies(self, runtime: str) -> dict[str, float]:
        """Median milliseconds for one image by a runtime, by experiment."""
        path = self.folders.results / "bench.json"
        if not path.exists():
            raise MissingInput(f"no benchmark. Received: {path}")
        found = {}
        for model in read_json(path).get("models", []):
            experiment = _experiment_of(model.get("model", ""), self.dataset)
            for row in model.get("rows", []):
                if row.get("name") == runtime and experiment in self.experiments and "batch1" in row:
                    found[experiment] = row["batch1"]["p50_ms"]
        if not found:
            raise MissingInput(f"the benchmark has no {runtime!r} of its models. Received: {path}")
        return found


def _experiment_of(model: str, dataset: str) -> str:
    """`paper` of "cifar10-paper.keras", wherever that file lies; "" for another data set's."""
    name = Path(model).name.removesuffix(".keras")
    return name.removeprefix(f"{dataset}-") if name.startswith(f"{dataset}-") else ""

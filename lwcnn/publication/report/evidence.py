"""What the report rests on, read once and on demand: runs, trials, exports, benchmarks, counts of built networks."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import keras

from lwcnn.data import INPUT_SHAPES
from lwcnn.evaluation.comparison import Difference
from lwcnn.experiments.library import library_model
from lwcnn.experiments.release import PRESETS_BY_SIZE
from lwcnn.experiments.run import Folders
from lwcnn.models.cost import count_macs
from lwcnn.publication.claims.audit import AuditRow, audit_rows
from lwcnn.publication.figures.inputs import Inputs, MissingInput
from lwcnn.publication.report.latex import NOT_RUN
from lwcnn.publication.tables.parts_table import compare_experiments
from lwcnn.publication.tables.tables import DATASET_ORDER, load_results
from lwcnn.system.files import read_json

NUM_CLASSES = 10
LARGEST = "largest"
"""Stands for the largest preset that an experiment was run with."""


@dataclass(frozen=True)
class Counts:
    """What a network comes to.

    Attributes:
        params: all parameters, moving statistics too.
        trainable: those that are trained.
        convolutional: those of convolutions.
        macs: multiply-accumulates an image.
    """

    params: int
    trainable: int
    convolutional: int
    macs: int


class Evidence:
    """The results under some folders.

    Args:
        folders: where results and released models are.

    Attributes:
        missing: what was asked for and is not there, in words, each once and in order.
    """

    def __init__(self, folders: Folders = Folders()):
        self.folders = folders
        self.missing: list[str] = []
        self._counts: dict[tuple, Counts] = {}
        self._inputs: dict[str, Inputs] = {}

    def or_not_run(self, make: Callable[..., str], *arguments) -> str:
        """What a function makes of the arguments, or a marked "not run", which is written down."""
        try:
            return make(*arguments)
        except MissingInput as error:
            return self.note_missing(str(error))

    def note_missing(self, what: str) -> str:
        """Writes down that something is not there, and gives the mark that stands in its place."""
        if what not in self.missing:
            self.missing.append(what)
        return NOT_RUN

    @cached_property
    def groups(self) -> dict[tuple[str, str, str], list[dict]]:
        """Every run by (data set, experiment, preset), smoke runs left out."""
        found: dict[tuple[str, str, str], list[dict]] = {}
        for run in load_results(self.folders.results):
            if run["preset"] in PRESETS_BY_SIZE:
                found.setdefault((run["dataset"], run["experiment"], run["preset"]), []).append(run)
        return found

    @property
    def all_runs(self) -> list[dict]:
        """Every run but smoke runs."""
        return [run for runs in self.groups.values() for run in runs]

    def runs(self, dataset: str, experiment: str, preset: str = LARGEST) -> list[dict]:
        """The runs of an experiment, one a seed.

        Raises:
            MissingInput: if there is none.
        """
        for size in PRESETS_BY_SIZE if preset == LARGEST else (preset,):
            if (dataset, experiment, size) in self.groups:
                return self.groups[dataset, experiment, size]
        size = "" if preset == LARGEST else f" with preset {preset}"
        raise MissingInput(f"`{experiment}` on {dataset}{size} was not run")

    def accuracies(self, dataset: str, experiment: str, preset: str = LARGEST) -> list[float]:
        """Test accuracies of an experiment's runs, one a seed."""
        return [run["test_accuracy"] for run in self.runs(dataset, experiment, preset)]

    def difference(self, dataset: str, experiment: str, reference: str, preset: str) -> Difference:
        """The accuracy of an experiment minus that of another, by seeds that both have.

        Raises:
            MissingInput: if they share none.
        """
        self.runs(dataset, experiment, preset), self.runs(dataset, reference, preset)
        found = compare_experiments(self.folders.results / dataset, preset, experiment, reference)
        if found is None:
            raise MissingInput(f"`{experiment}` and `{reference}` on {dataset} share no seed with preset {preset}")
        return found

    def inputs(self, dataset: str) -> Inputs:
        """What the figures of a data set are made from: released logits, benchmarks."""
        return self._inputs.setdefault(dataset, Inputs(dataset, self.folders))

    @cached_property
    def trials(self) -> list[dict]:
        """The trials of the search, best first; of several lengths the one with the most trials."""
        folders = sorted((self.folders.results / "search").glob("*/*"))
        found = max(([read_json(p) for p in sorted(folder.glob("*.json"))] for folder in folders), key=len, default=[])
        return sorted(found, key=lambda trial: (-trial["val_accuracy"], trial["trial"]))

    @cached_property
    def audit(self) -> list[AuditRow]:
        """Every claim with what is measured here."""
        return audit_rows(self.folders.results)

    @cached_property
    def kfolds(self) -> list[dict]:
        """The K-fold assessments."""
        return [read_json(path) for path in sorted(self.folders.results.glob("*/*/*/kfold*.json"))]

    @cached_property
    def exports(self) -> dict[tuple[str, str], dict]:
        """The record of each exported model, by (model without ending, format)."""
        records = [read_json(path) for path in sorted((self.folders.results / "export").glob("*.json"))]
        return {(r["model"].removesuffix(".keras"), r["format"]): r for r in records if r.get("size_bytes")}

    def export(self, model: str, kind: str) -> dict:
        """The record of an exported model."""
        if (model, kind) not in self.exports:
            raise MissingInput(f"{model} was not exported as {kind}")
        return self.exports[model, kind]

    def measured(self, name: str) -> dict:
        """A benchmark's file in the results folder."""
        path = self.folders.results / f"{name}.json"
        if not path.exists():
            raise MissingInput(f"{path.name} was not measured")
        return read_json(path)

    def latency(self, model: str, runtime: str, statistic: str = "p50_ms") -> float:
        """Milliseconds for one image."""
        for one in self.measured("bench")["models"]:
            for row in one["rows"]:
                if one["model"] == f"{model}.keras" and row["name"] == runtime and "batch1" in row:
                    return row["batch1"][statistic]
        raise MissingInput(f"the latency of {model} by {runtime} was not measured")

    def counts(self, dataset: str, experiment: str, side: int | None = None) -> Counts:
        """What an experiment's network comes to, by building it; for another image side if given."""
        shape = INPUT_SHAPES[dataset] if side is None else (side, side, INPUT_SHAPES[dataset][-1])
        key = (dataset, experiment, shape)
        if key not in self._counts:
            self._counts[key] = _count(library_model(experiment, shape, NUM_CLASSES))
        return self._counts[key]

    @property
    def datasets(self) -> list[str]:
        """The data sets with results, in the paper's order."""
        found = {dataset for dataset, _, _ in self.groups}
        return [name for name in DATASET_ORDER if name in found]


def _count(model: keras.Model) -> Counts:
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    convolutional = sum(layer.count_params() for layer in convolutions)
    return Counts(model.count_params(), trainable, convolutional, count_macs(model))

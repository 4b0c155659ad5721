"""Tables of the method's steps for given models and results: sizes, merge, phases, runs."""

from collections.abc import Iterable, Mapping, Sequence

import keras

from lwcnn.experiments.recipes import get_experiment
from lwcnn.models.merge import MergeCheck
from lwcnn.publication.claims.measurement import percent
from lwcnn.publication.names import budget, named
from lwcnn.publication.tables.table import Cell, Table


def sizes(models: Iterable[keras.Model]) -> Table:
    return Table(["model", "parameters"], [[[model.name, f"{model.count_params():,}"] for model in models]])


def merge(checks: Iterable[MergeCheck]) -> Table:
    """Comparison of each submodel with its branch of the merged model, by `check_merge`."""
    rows = [
        [one.name, "yes" if one.same_weights else "no", f"{one.largest_difference:.1e}", f"{one.largest_logit:.1f}"]
        for one in checks
    ]
    return Table(["branch", "same weights", "largest difference of logits", "largest logit"], [rows])


def phases(run: Mapping, model: keras.Model) -> Table:
    """The phases of a run: trained parameters, epochs, and validation accuracy."""
    rows = [
        [
            phase["name"],
            f"{sum(model.get_layer(name).count_params() for name in phase['trainable']):,}",
            str(phase["epochs"]),
            percent(phase["best_val_accuracy"]).bare(),
        ]
        for phase in run["history"]
        if phase["name"] != "dual"
    ]
    return Table(["phase", "trained parameters", "epochs", "validation %"], [rows])


def runs(results: Iterable[Mapping]) -> Table:
    """Accuracy of runs on training, validation and test images, and their warnings."""
    rows: list[list[Cell]] = [
        [
            f"{named(run['experiment'])}, {budget(run['preset'])}, seed {run['seed']}",
            f"{run['params']:,}",
            *(percent(run[f"{part}_accuracy"]).bare() for part in ("train", "val", "test")),
            "; ".join(run["warnings"]) or "none",
        ]
        for run in results
    ]
    return Table(["run", "parameters", "training %", "validation %", "test %", "warnings"], [rows])


def questions(experiments: Sequence[str]) -> Table:
    """The question that each experiment answers."""
    return Table(["experiment", "question"], [[[named(name), get_experiment(name).question] for name in experiments]])

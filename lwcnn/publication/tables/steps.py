"""Tables of the method's steps for given models and results: sizes, merge, phases, runs."""

from collections.abc import Iterable, Mapping, Sequence

import keras

from lwcnn.experiments.recipes import get_experiment
from lwcnn.models.merge import MergeCheck
from lwcnn.publication.names import budget, named
from lwcnn.publication.tables.table import Columns, Table, table_of


def sizes(models: Iterable[keras.Model]) -> Table:
    return table_of({"model": lambda one: one.name, "parameters": lambda one: f"{one.count_params():,}"}, models)


def merge(checks: Iterable[MergeCheck]) -> Table:
    """Comparison of each submodel with its branch of the merged model, by `check_merge`."""
    columns: Columns = {
        "branch": lambda one: one.name,
        "same weights": lambda one: "yes" if one.same_weights else "no",
        "largest difference of logits": lambda one: f"{one.largest_difference:.1e}",
        "largest logit": lambda one: f"{one.largest_logit:.1f}",
    }
    return table_of(columns, checks)


def phases(run: Mapping) -> Table:
    """The phases of a run: trained parameters, epochs, and validation accuracy."""
    columns: Columns = {
        "phase": "{name}",
        # Runs of an earlier version lack it.
        "trained parameters": lambda one: f"{one['trainable_params']:,}" if "trainable_params" in one else "",
        "epochs": "{epochs}",
        "validation %": "{best_val_accuracy:.2%}",
    }
    return table_of(columns, [phase for phase in run["history"] if phase["name"] != "dual"])


def runs(results: Iterable[Mapping]) -> Table:
    """Accuracy of runs on training, validation and test images, and their warnings."""
    columns: Columns = {
        "run": lambda run: f"{named(run['experiment'])}, {budget(run['preset'])}, seed {run['seed']}",
        "parameters": "{params:,}",
        "training %": "{train_accuracy:.2%}",
        "validation %": "{val_accuracy:.2%}",
        "test %": "{test_accuracy:.2%}",
        "warnings": lambda run: "; ".join(run["warnings"]) or "none",
    }
    return table_of(columns, results)


def questions(experiments: Sequence[str]) -> Table:
    """What each experiment tests."""
    return table_of({"experiment": named, "what it tests": lambda name: get_experiment(name).question}, experiments)

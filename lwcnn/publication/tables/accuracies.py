"""Accuracies of all experiments, by class and by fold, and the machines of the runs."""

from collections.abc import Sequence

import pandas as pd

from lwcnn.experiments.recipes.family import FAMILY_EXPERIMENTS
from lwcnn.publication.claims import PAPER_ACCURACY
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import mean_and_spread, percent, points
from lwcnn.publication.names import dataset_name, is_part, named, split_epochs
from lwcnn.publication.tables.table import Columns, Table, table_of


def accuracies(evidence: Evidence, dataset: str | None = None, experiments: Sequence[str] | None = None) -> Table:
    """Accuracy, calibration and training time of experiments, a row per experiment and preset.

    By default of all datasets and experiments, except parts and techniques, which have their own tables.
    """
    runs = evidence.runs
    recipes = runs["experiment"].map(lambda name: split_epochs(name)[0])
    runs = runs[recipes.isin(experiments) if experiments else ~runs["experiment"].map(is_part).astype(bool)]
    runs = runs[runs["dataset"] == dataset] if dataset else runs
    paper = {name: f"{100 * claimed:.0f}" for name, claimed in PAPER_ACCURACY.items()}
    columns: Columns = {
        "data": lambda runs: dataset_name(runs["dataset"].iloc[0]),
        "experiment": lambda runs: named(runs["experiment"].iloc[0]),
        "preset": lambda runs: runs["preset"].iloc[0],
        "parameters": lambda runs: f"{runs['params'].iloc[0]:,}",
        "seeds": lambda runs: str(len(runs)),
        "validation %": lambda runs: percent(runs["val_accuracy"].mean()),
        "test %": lambda runs: mean_and_spread(runs["test_accuracy"]),
        "paper %": lambda runs: paper.get(runs["dataset"].iloc[0], "") if runs["experiment"].iloc[0] == "paper" else "",
        "ECE %": lambda runs: percent(runs["ece"].mean(), 1),
        "ECE scaled %": _scaled,
        "training, s": lambda runs: f"{runs['train_seconds'].mean():.0f}",
        "step": lambda runs: " and ".join(runs["step"].unique()),
    }
    if "paper" not in set(runs["experiment"]):
        del columns["paper %"]
    groups = [group for _, group in runs.groupby(["dataset", "experiment", "preset"], sort=False)]
    return table_of(columns, groups)


def _scaled(runs: pd.DataFrame) -> str:
    """Returns the mean ECE after temperature scaling; empty if some seeds lack it."""
    has_all = "ece_scaled" in runs and runs["ece_scaled"].notna().all()
    return f"{100 * runs['ece_scaled'].mean():.1f}" if has_all else ""


def family(evidence: Evidence) -> Table:
    """The Wren family, and its variants, on CIFAR-10."""
    return accuracies(evidence, "cifar10", tuple(FAMILY_EXPERIMENTS))


def folds(evidence: Evidence) -> Table:
    """A row per K-fold cross-validation."""
    kinds = {True: "model never reset, as published", False: "from scratch"}
    columns: Columns = {
        "data": lambda folds: dataset_name(folds["dataset"].iloc[0]),
        "K-fold of": lambda folds: f"{named(folds['experiment'].iloc[0])}, {kinds[_leaks(folds)]}",
        "preset": lambda folds: folds["preset"].iloc[0],
        "folds %": lambda folds: " ".join(f"{100 * share:.2f}" for share in folds["accuracy"]),
        "mean %": lambda folds: mean_and_spread(folds["accuracy"]),
        "test % of the same model": lambda folds: (
            f"{100 * folds['test_accuracy'].iloc[0]:.2f}" if _leaks(folds) else ""
        ),
        "folds minus test, points": lambda folds: points(folds["leak"].iloc[0]) if _leaks(folds) else "",
    }
    return table_of(columns, [group for _, group in evidence.folds.groupby("path", sort=False)])


def _leaks(folds: pd.DataFrame) -> bool:
    return bool(folds["leaky"].iloc[0])


def machines(evidence: Evidence) -> Table:
    """Hardware and software of the runs."""
    runs = evidence.runs.assign(keras=[versions["keras"] for versions in evidence.runs["versions"]])
    keys = ["device", "num_threads", "backend", "keras", "step"]
    rows = [[*map(str, key), str(len(group))] for key, group in runs.groupby(keys, dropna=False)]
    return Table(["machine", "threads per run", "backend", "Keras", "step", "runs"], [rows])

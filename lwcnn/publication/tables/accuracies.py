"""Test accuracies of all experiments, by class, and the machines of the runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lwcnn.experiments.recipes.family import FAMILY_EXPERIMENTS
from lwcnn.publication.claims.literature import PAPER_ACCURACY
from lwcnn.publication.claims.measurement import mean_and_spread, percent
from lwcnn.publication.evidence import Evidence, class_means, pair_share, summed_confusion
from lwcnn.publication.names import is_part, named
from lwcnn.publication.tables.table import Table, table_of

NUM_PAIRS = 6  # of classes that are confused most


def accuracies(evidence: Evidence, dataset: str | None = None, experiments: Sequence[str] | None = None) -> Table:
    """Accuracy, calibration and training time of experiments, a row per experiment and preset.

    By default of all data sets and experiments, except parts and techniques, which have their own tables.
    """
    runs = evidence.runs
    runs = runs[runs["experiment"].isin(experiments) if experiments else ~runs["experiment"].map(is_part).astype(bool)]
    runs = runs[runs["dataset"] == dataset] if dataset else runs
    columns = {
        "data": lambda runs: runs["dataset"].iloc[0],
        "experiment": lambda runs: named(runs["experiment"].iloc[0]),
        "preset": lambda runs: runs["preset"].iloc[0],
        "parameters": lambda runs: f"{runs['params'].iloc[0]:,}",
        "seeds": lambda runs: str(len(runs)),
        "validation %": lambda runs: percent(runs["val_accuracy"].mean()).bare(),
        "test %": lambda runs: mean_and_spread(runs["test_accuracy"]).bare(),
        "paper %": _paper,
        "ECE %": lambda runs: percent(runs["ece"].mean(), 1).bare(),
        "scaled": _scaled,
        "s": lambda runs: f"{runs['train_seconds'].mean():.0f}",
        "step": lambda runs: " and ".join(runs["step"].dropna().unique()),
    }
    groups = [group for _, group in runs.groupby(["dataset", "experiment", "preset"], sort=False)]
    return table_of(columns, groups)


def _paper(runs: pd.DataFrame) -> str:
    claimed = PAPER_ACCURACY.get(runs["dataset"].iloc[0])
    return f"{100 * claimed:.0f}" if claimed else ""


def _scaled(runs: pd.DataFrame) -> str:
    """Returns the mean ECE after temperature scaling; if only some seeds have it, these and their unscaled ECE too."""
    if "ece_scaled" not in runs or (some := runs[runs["ece_scaled"].notna()]).empty:
        return ""
    scaled = f"{100 * some['ece_scaled'].mean():.1f}"
    if len(some) == len(runs):
        return scaled
    seeds = ", ".join(map(str, some["seed"]))
    return f"{scaled} (seed {seeds}, from {100 * some['ece'].mean():.1f})"


def family(evidence: Evidence) -> Table:
    """The Wren family, and its variants, on CIFAR-10."""
    return accuracies(evidence, "cifar10", tuple(FAMILY_EXPERIMENTS))


def machines(evidence: Evidence) -> Table:
    """Hardware and software of the runs."""
    runs = evidence.runs.assign(keras=[versions["keras"] for versions in evidence.runs["versions"]])
    keys = ["device", "num_threads", "backend", "keras", "step"]
    rows = [[*map(str, key), str(len(group))] for key, group in runs.groupby(keys, dropna=False)]
    return Table(["machine", "threads per run", "backend", "Keras", "step", "runs"], [rows])


def confused_classes(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """The pairs of classes with the most errors, as fractions of all errors: baseline and best experiment."""
    shown = evidence.shown(dataset)
    runs = [evidence.select(dataset, name) for name in shown]
    names, matrices = list(runs[0]["per_class_accuracy"].iloc[0]), [summed_confusion(one) for one in runs]
    pairs = [(a, b) for a in range(len(names)) for b in range(a)]
    pairs.sort(key=lambda pair: -pair_share(matrices[-1], *pair))
    rows = [
        [f"{names[b]} and {names[a]}", *(f"{100 * pair_share(matrix, a, b):.1f}" for matrix in matrices)]
        for a, b in pairs[:NUM_PAIRS]
    ]
    errors = [f"{100 - 100 * float(np.trace(matrix) / matrix.sum()):.1f}" for matrix in matrices]
    head = ["confused, %", *map(named, shown)]
    return Table(head, [rows, [["error rate, %", *errors]]], "l" + "r" * len(shown))


def class_accuracies(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Accuracy by class, mean over seeds: baseline and best experiment."""
    shown = evidence.shown(dataset)
    means = [class_means(evidence.select(dataset, name)) for name in shown]
    rows = [[name, *(f"{100 * one[name]:.1f}" for one in means)] for name in means[0].index]
    return Table(["class", *map(named, shown)], [rows], "l" + "r" * len(shown))

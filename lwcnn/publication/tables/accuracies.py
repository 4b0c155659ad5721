"""Test accuracies: of all experiments, the paper's architecture, and the improved networks beside their goals."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lwcnn.experiments.recipes.family import FAMILY_EXPERIMENTS
from lwcnn.experiments.results import DISPLAY_NAMES
from lwcnn.publication.claims.literature import GOALS, PAPER_ACCURACY
from lwcnn.publication.claims.measurement import Measurement, accuracy, mean_and_spread, or_missing, percent
from lwcnn.publication.counts import counts
from lwcnn.publication.evidence import Evidence, class_means, pair_share, summed_confusion
from lwcnn.publication.names import is_part, named
from lwcnn.publication.tables.table import Cell, Table

NUM_PAIRS = 6  # of classes that are confused most
_REPRODUCTION = ("paper", "paper_as_published", "paper_tuned")
_MORE = {"mnist": ("paper_batch64",), "cifar10": ("paper_tuned_one_go",)}
_WITHOUT_GOAL = (
    *("residual_se_distilled", "residual_se_muon", "residual_se_small_distilled", "residual_plain", "residual_cbam"),
    "repo_baseline_frozen",
)


def accuracies(evidence: Evidence, dataset: str | None = None, experiments: Sequence[str] | None = None) -> Table:
    """Accuracy, calibration and training time of experiments, a row per experiment and preset.

    By default of all data sets and experiments, except parts and techniques, which have their own tables.
    """
    runs = evidence.runs
    runs = runs[runs["experiment"].isin(experiments) if experiments else ~runs["experiment"].map(is_part).astype(bool)]
    runs = runs[runs["dataset"] == dataset] if dataset else runs
    rows = [_row(group) for _, group in runs.groupby(["dataset", "experiment", "preset"], sort=False)]
    head = ["data", "experiment", "preset", "parameters", "seeds", "validation %", "test %", "paper %", "ECE %"]
    return Table([*head, "scaled", "s", "step"], [rows])


def machines(evidence: Evidence) -> Table:
    """Hardware and software of the runs."""
    runs = evidence.runs.assign(keras=[versions["keras"] for versions in evidence.runs["versions"]])
    keys = ["device", "num_threads", "backend", "keras", "step"]
    rows = [[*map(str, key), str(len(group))] for key, group in runs.groupby(keys, dropna=False)]
    return Table(["machine", "threads per run", "backend", "Keras", "step", "runs"], [rows])


def _row(runs: pd.DataFrame) -> list[Cell]:
    first = runs.iloc[0]
    paper = PAPER_ACCURACY.get(first["dataset"])
    return [
        first["dataset"],
        named(first["experiment"]),
        first["preset"],
        f"{first['params']:,}",
        str(len(runs)),
        percent(runs["val_accuracy"].mean()).bare(),
        mean_and_spread(runs["test_accuracy"]).bare(),
        f"{100 * paper:.0f}" if paper else "",
        percent(runs["ece"].mean(), 1).bare(),
        _scaled(runs),
        f"{runs['train_seconds'].mean():.0f}",
        " and ".join(runs["step"].dropna().unique()),
    ]


def _scaled(runs: pd.DataFrame) -> str:
    """Returns the mean ECE after temperature scaling; if only some seeds have it, these and their unscaled ECE too."""
    if "ece_scaled" not in runs or (some := runs[runs["ece_scaled"].notna()]).empty:
        return ""
    scaled = f"{100 * some['ece_scaled'].mean():.1f}"
    if len(some) == len(runs):
        return scaled
    seeds = ", ".join(map(str, some["seed"]))
    return f"{scaled} (seed {seeds}, from {100 * some['ece'].mean():.1f})"


def reproduction(evidence: Evidence) -> Table:
    """The paper's architecture on its three data sets: the paper's accuracy and ours."""
    groups = []
    for dataset, claimed in PAPER_ACCURACY.items():
        rows = []
        for name in (*_REPRODUCTION, *_MORE.get(dataset, ())):
            cells = _measured(evidence, dataset, name)
            rows.append([DISPLAY_NAMES[dataset], named(name), *cells, f"{100 * claimed:.0f}"])
        groups.append(rows)
    head = ["data", "experiment", "preset", "seeds", "validation", "test", "95 % interval", "paper"]
    return Table(head, groups)


def family(evidence: Evidence) -> Table:
    """The Wren family, and its variants, on CIFAR-10."""
    return accuracies(evidence, "cifar10", tuple(FAMILY_EXPERIMENTS))


def improved(evidence: Evidence) -> Table:
    """Other systems' networks and ours: parameters, accuracy and goals."""
    goals = {(goal.dataset, goal.experiment): (goal.beat, goal.least, goal.aim) for goal in GOALS}
    groups = []
    for dataset in ("cifar10", "fashion_mnist", "mnist"):
        rows = []
        without = _WITHOUT_GOAL if dataset == "cifar10" else ()
        for name in (*(goal.experiment for goal in GOALS if goal.dataset == dataset), *without):
            preset, seeds, _, *reached = _measured(evidence, dataset, name)
            figures = ["" if pd.isna(figure) else f"{figure:g}" for figure in goals.get((dataset, name), [np.nan] * 3)]
            size = f"{counts(dataset, name).params:,}"
            rows.append([DISPLAY_NAMES[dataset], named(name), size, preset, seeds, *reached, *figures])
        groups.append(rows)
    head = ["data", "experiment", "parameters", "preset", "seeds", "test", "95 % interval", "to beat", "goal", "aim"]
    return Table(head, groups, "llrlllllll")


def _measured(evidence: Evidence, dataset: str, name: str) -> list[Cell]:
    """Returns preset, seeds, validation and test accuracy with interval; a missing test accuracy if it was not run."""
    runs = or_missing(evidence.select, dataset, name)
    if isinstance(runs, Measurement):
        return ["", "", "", runs, ""]
    found = evidence.accuracy(dataset, name)
    return [
        runs["preset"].iloc[0],
        str(len(runs)),
        mean_and_spread(runs["val_accuracy"]).bare(),
        accuracy(found).bare(),
        f"[{100 * found.low:.2f}, {100 * found.high:.2f}]",
    ]


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

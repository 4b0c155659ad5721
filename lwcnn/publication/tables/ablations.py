"""Ablations of the paper's method and of the improved network, techniques on top, and the trials of the search."""

import contextlib
from collections.abc import Sequence

import numpy as np

from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.paper import CHANGES
from lwcnn.experiments.recipes.techniques import BASE as TECHNIQUE_BASE
from lwcnn.experiments.recipes.techniques import TITLES
from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims import CLAIMED_GAINS
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence, Network, where
from lwcnn.publication.measurement import gain, or_missing, percent
from lwcnn.publication.names import dataset_name, named
from lwcnn.publication.tables.networks import mean_accuracy
from lwcnn.publication.tables.table import Cell, Table

ABLATION_PRESET = "quick"
OPTIMIZER_NAMES = {"rmsprop": "RMSProp", "adam": "Adam", "sgd": "SGD"}


def method(evidence: Evidence, datasets: Sequence[str] = ("cifar10", "mnist")) -> Table:
    """Each change of the paper's method: its accuracy minus that of the method as described, at `quick` and `full`."""
    names = (*CHANGES, "paper_as_published")
    networks = {name: [evidence.network(dataset, name, ABLATION_PRESET) for dataset in datasets] for name in names}

    def at_full(name: str) -> Cell:
        cell, _ = gain_cells(evidence.network(datasets[0], name, "full"), BASELINE_EXPERIMENT)
        return "" if isinstance(cell, MissingInput) else cell

    rows = [
        [named(name), *(cell for one in found for cell in gain_cells(one, BASELINE_EXPERIMENT)), at_full(name)]
        for name, found in networks.items()
    ]
    titles = [*map(dataset_name, datasets)]
    columns = [column for title in titles for column in (f"{title}, points", "p")]
    return Table(["change", *columns, f"{titles[0]} at `full`, points"], [rows])


def parts(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Each part of the improved network, added to the baseline and removed from the full recipe; other optimizers."""

    def network(name: str) -> Network:
        return evidence.network(dataset, name, ABLATION_PRESET)

    def percent(name: str) -> Cell:
        return or_missing(mean_accuracy, network(name))

    def alone(name: str) -> list[Cell]:
        return [percent(name), *gain_cells(network(name), BASELINE)]

    def left_out(name: str) -> list[Cell]:
        return [percent(name), *gain_cells(network(WHOLE), name)]

    rows = [
        [part.title, *alone(only(key)), *left_out(leave_one_out(key)), CLAIMED_GAINS.get(part.title, "")]
        for key, part in PARTS.items()
    ]
    others = [[name, "", "", "", *left_out(f"parts_{key}"), ""] for key, name in OPTIMIZER_NAMES.items()]
    head = ["part", "alone", "gain when added", "p", "without it", "loss when removed", "p", "claimed"]
    return Table(head, [[["none; all", percent(BASELINE), "", "", percent(WHOLE), "", "", ""]], rows, others])


def trials(evidence: Evidence, columns: int) -> Table:
    """Every trial, best first, in columns: parameters in thousands, accuracy on validation images.

    R and A stand for the recipes that later rounds combine with other changes.
    """
    names = evidence.trials["trial"]
    for recipe, letter in (("ema_batch_norm+rate_0.02+smoothing_0", "A"), ("rate_0.02+smoothing_0", "R")):
        names = names.str.replace(f"+{recipe}", f"+{letter}", regex=False)
    cells = [
        [f"`{one.trial}`", f"{one.params / 1000:.1f}", f"{100 * one.val_accuracy:.1f}"]
        for one in evidence.trials.assign(trial=names).itertuples()
    ]
    height = -(-len(cells) // columns)
    cells += [["", "", ""]] * (height * columns - len(cells))
    return Table(["trial", "k", "%"] * columns, [[sum(cells[row::height], []) for row in range(height)]])


def techniques(evidence: Evidence) -> Table:
    """Each technique that was run, minus the recipe without it: a group of rows per budget, the best first."""
    runs = where(evidence.runs, dataset="cifar10")
    times = technique_times(evidence)
    groups: list[list[Sequence[Cell]]] = []
    for preset, some in runs[runs["experiment"].isin(list(TITLES))].groupby("preset", sort=False):
        base = evidence.network("cifar10", TECHNIQUE_BASE, preset)
        recipe = base.runs.set_index("seed")["test_accuracy"]
        groups.append([[f"none: the recipe, `{preset}`", *_seeds_and_accuracies(base), "", "", "", _ece(base), "1.00"]])
        gains = (some["test_accuracy"] - some["seed"].map(recipe)).groupby(some["experiment"]).mean()
        for name in gains.sort_values(ascending=False, kind="stable").index:
            network = evidence.network("cifar10", name, preset)
            gained = [*gain_cells(network, TECHNIQUE_BASE), or_missing(_on_validation, network)]
            measured = [*_seeds_and_accuracies(network), *gained, _ece(network), times.get(name, "")]
            groups[-1].append([TITLES[name], *measured])
    points = ["points", "p", "validation"]
    head = ["technique", "seeds", "training %", "test %", *points, "ECE %", "time"]
    return Table(head, groups, "lrrrllrrr")


def technique_times(evidence: Evidence) -> dict[str, str]:
    """Returns the time of an epoch with each technique that was timed, relative to the recipe's, by experiment."""
    with contextlib.suppress(MissingInput):
        rows = evidence.benchmark("technique_time")["rows"]
        return {row["experiment"]: f"{row['seconds_per_epoch'] / row['recipe_seconds_per_epoch']:.2f}" for row in rows}
    return {}


def _seeds_and_accuracies(network: Network) -> list[Cell]:
    """Returns the number of seeds and the mean training and test accuracy."""
    runs = network.runs
    training = percent(runs["train_accuracy"].mean(), 1)
    return [str(len(runs)), training, mean_accuracy(network)]


def _ece(network: Network) -> Cell:
    return percent(network.runs["ece"].mean(), 1)


def _on_validation(network: Network) -> str:
    """Returns the gain in validation accuracy over the recipe with the same seeds, in points."""
    recipe = network.evidence.network(network.dataset, TECHNIQUE_BASE, network.preset)
    gains = network.runs.set_index("seed")["val_accuracy"] - recipe.runs.set_index("seed")["val_accuracy"]
    if gains.isna().all():
        raise MissingInput(f"run {network.experiment} with seeds of {TECHNIQUE_BASE}")
    return f"{100 * gains.mean():+.2f}"


def gain_cells(network: Network, reference: str) -> list[Cell]:
    """Returns cells with the gain over another experiment and its interval, and with the p-values of pairs of seeds."""
    found = or_missing(network.minus, reference)
    return [found, ""] if isinstance(found, MissingInput) else [gain(found), p_values(found.p_values)]


def p_values(values: Sequence[float]) -> str:
    """Formats p-values with three digits, as "all <.001", or as the smallest and the largest of more than three."""
    shown = ["<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 1 else "1" for p in values]
    if len(shown) > 1 and set(shown) == {"<.001"}:
        return "all <.001"
    return f"{shown[np.argmin(values)]} to {shown[np.argmax(values)]}" if len(shown) > 3 else ", ".join(shown)

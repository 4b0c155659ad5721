"""Gain and cost of each technique on the recipe of the best network."""

import pandas as pd

from lwcnn.experiments.recipes.techniques import BASE, TECHNIQUES, technique
from lwcnn.publication.claims.measurement import mean_and_spread
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.ablations import gain_cells
from lwcnn.publication.tables.table import Cell, Table

PRESETS = ("quick", "full")


def techniques(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Each technique that was run, minus the recipe without it: by group, the largest gain of `quick` first."""
    groups: dict[str, list[tuple[float, list[Cell]]]] = {"base": _rows(evidence, dataset, BASE, "the recipe", "")}
    for key, one in TECHNIQUES.items():
        groups.setdefault(one.group, []).extend(_rows(evidence, dataset, technique(key), one.title, one.group))
    budgets = [title for preset in PRESETS for title in (f"`{preset}`, %", "points", "p")]
    rows = [[row for _, row in sorted(found, key=lambda pair: -pair[0])] for found in groups.values()]
    return Table(["technique", "group", "parameters", *budgets, "time"], rows)


def _rows(evidence: Evidence, dataset: str, name: str, title: str, group: str) -> list[tuple[float, list[Cell]]]:
    """Returns a technique's mean accuracy, to sort by, with its row; nothing if it was not run."""
    runs = {preset: evidence.select(dataset, name, preset) for preset in PRESETS if evidence.has(dataset, name, preset)}
    if not runs:
        return []
    cells: list[Cell] = []
    for preset in PRESETS:
        gain = gain_cells(evidence, dataset, name, BASE, preset) if preset in runs and name != BASE else ["", ""]
        cells += [mean_and_spread(runs[preset]["test_accuracy"]).bare() if preset in runs else "", *gain]
    first = next(iter(runs.values()))
    row: list[Cell] = [title, group, f"{first['params'].iloc[0]:,}", *cells, _time(evidence, dataset, first)]
    return [(first["test_accuracy"].mean(), row)]


def _time(evidence: Evidence, dataset: str, runs: pd.DataFrame) -> str:
    """Training time relative to the recipe's; empty where the devices differ."""
    preset = runs["preset"].iloc[0]
    if not evidence.has(dataset, BASE, preset):
        return ""
    base = evidence.select(dataset, BASE, preset)
    if set(base["device"]) != set(runs["device"]):
        return ""
    return f"{runs['train_seconds'].mean() / base['train_seconds'].mean():.2f}"

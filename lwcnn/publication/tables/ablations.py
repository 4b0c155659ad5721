"""Ablations of the paper's method and of the improved network, techniques on top, and the trials of the search."""

from collections.abc import Sequence

import pandas as pd

from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.techniques import BASE as TECHNIQUE_BASE
from lwcnn.experiments.recipes.techniques import TECHNIQUES, technique
from lwcnn.experiments.results import DISPLAY_NAMES, MissingInput
from lwcnn.publication.claims.measurement import gain, mean_and_spread, missing, or_missing
from lwcnn.publication.evidence import BASELINE_EXPERIMENT, Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.table import Cell, Table

ABLATION_PRESET = "quick"
TECHNIQUE_PRESETS = ("quick", "full")
CHANGES = (
    *("single", "dual_no_augment", "no_unfreezing", "layerwise", "low_rate"),
    *("head_only", "reinit_merge", "nadam_throughout", "end_to_end"),
)
SHORT = {
    "residual": "shortcuts",
    "se": "SE",
    "mixing": "MixUp, CutMix",
    "adamw": "AdamW",
    "smoothing": "smoothing",
    "ema": "averaging",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "sgd": "SGD",
}
"""Parts, and optimizers in AdamW's place; their full names would leave no room for the figures."""


def method(evidence: Evidence, datasets: Sequence[str] = ("cifar10", "mnist"), preset: str = ABLATION_PRESET) -> Table:
    """Each change of the paper's method: its accuracy minus that of the method as described."""
    rows: list[list[Cell]] = []
    for name in (*CHANGES, "paper_as_published"):
        cells = [
            cell for dataset in datasets for cell in gain_cells(evidence, dataset, name, BASELINE_EXPERIMENT, preset)
        ]
        rows.append([named(name), *cells])
    columns = [title for dataset in datasets for title in (f"{DISPLAY_NAMES.get(dataset, dataset)}, points", "p")]
    return Table(["change", *columns], [rows])


def parts(evidence: Evidence, dataset: str = "cifar10", preset: str = ABLATION_PRESET) -> Table:
    """Each part of the improved network, alone on the baseline and left out of the whole; then other optimizers."""

    def percent(name: str) -> Cell:
        return or_missing(lambda: mean_and_spread(evidence.select(dataset, name, preset)["test_accuracy"]).bare())

    rows: list[list[Cell]] = []
    for key, part in PARTS.items():
        alone = gain_cells(evidence, dataset, only(key), BASELINE, preset)
        within = gain_cells(evidence, dataset, WHOLE, leave_one_out(key), preset)
        rows.append([SHORT[key], percent(only(key)), *alone, percent(leave_one_out(key)), *within, part.claim or ""])
    others: list[list[Cell]] = []
    for key in OPTIMIZERS:
        within = gain_cells(evidence, dataset, WHOLE, f"parts_{key}", preset)
        others.append([SHORT[key], "", "", "", percent(f"parts_{key}"), *within, ""])
    head = ["part", "alone", "minus baseline", "p", "without it", "whole minus that", "p", "claimed"]
    references: list[list[Cell]] = [["none; all", percent(BASELINE), "", "", percent(WHOLE), "", "", ""]]
    return Table(head, [references, rows, others])


def trials(evidence: Evidence, columns: int = 3) -> Table:
    """Every trial, best first, in columns: parameters in thousands, accuracy on validation images.

    R and A stand for the recipes that later rounds combine with other changes.
    """
    cells = [
        [f"`{_short(one.trial)}`", f"{one.params / 1000:.1f}", f"{100 * one.val_accuracy:.1f}"]
        for one in evidence.trials.itertuples()
    ]
    height = -(-len(cells) // columns)
    cells += [["", "", ""]] * (height * columns - len(cells))
    rows = [sum((cells[column * height + row] for column in range(columns)), []) for row in range(height)]
    kinds = r"@{\hspace{1.5em}}".join([r">{\raggedright\arraybackslash}Xll"] * columns)
    return Table(["trial", "k", "%"] * columns, [rows], kinds, r"\textwidth")


def p_values(values: Sequence[float]) -> str:
    """Formats p-values with three digits, or as "all <.001"."""
    shown = ["<.001" if p < 0.001 else f"{p:.3f}".removeprefix("0") if p < 1 else "1" for p in values]
    return "all <.001" if len(shown) > 1 and set(shown) == {"<.001"} else ", ".join(shown)


def gain_cells(evidence: Evidence, dataset: str, name: str, reference: str, preset: str) -> list[Cell]:
    """Returns cells with a gain and its interval, and with the p-values of its pairs of seeds."""
    try:
        found = evidence.difference(dataset, name, reference, preset)
    except MissingInput as error:
        return [missing(str(error)), ""]
    return [gain(found).bare(), p_values(found.p_values)]


def _short(trial: str) -> str:
    for recipe, letter in (("ema_batch_norm+rate_0.02+smoothing_0", "A"), ("rate_0.02+smoothing_0", "R")):
        trial = trial.replace(f"+{recipe}", f"+{letter}")
    return trial


def techniques(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Each technique that was run, minus the recipe without it: by group, the largest gain of `quick` first."""
    groups: dict[str, list] = {}
    for key, one in TECHNIQUES.items():
        groups.setdefault(one.group, []).append(_technique(evidence, dataset, technique(key), one.title, one.group))
    budgets = [title for preset in TECHNIQUE_PRESETS for title in (f"`{preset}`, %", "points", "p")]
    rows = [[row for _, row in sorted(filter(None, found), key=lambda pair: -pair[0])] for found in groups.values()]
    return Table(["technique", "group", "parameters", *budgets, "time"], rows)


def _technique(evidence: Evidence, dataset: str, name: str, title: str, group: str) -> tuple[float, list[Cell]] | None:
    """Returns a technique's mean accuracy, to sort by, with its row; None if it was not run."""
    cells: list[Cell] = []
    first = None
    for preset in TECHNIQUE_PRESETS:
        if not evidence.has(dataset, name, preset):
            cells += ["", "", ""]
            continue
        runs = evidence.select(dataset, name, preset)
        first = runs if first is None else first
        gains = gain_cells(evidence, dataset, name, TECHNIQUE_BASE, preset)
        cells += [mean_and_spread(runs["test_accuracy"]).bare(), *gains]
    if first is None:
        return None
    row: list[Cell] = [title, group, f"{first['params'].iloc[0]:,}", *cells, _time(evidence, dataset, first)]
    return first["test_accuracy"].mean(), row


def _time(evidence: Evidence, dataset: str, runs: pd.DataFrame) -> str:
    """Training time relative to the recipe's; empty where the devices differ."""
    preset = runs["preset"].iloc[0]
    if not evidence.has(dataset, TECHNIQUE_BASE, preset):
        return ""
    base = evidence.select(dataset, TECHNIQUE_BASE, preset)
    same = set(base["device"]) == set(runs["device"])
    return f"{runs['train_seconds'].mean() / base['train_seconds'].mean():.2f}" if same else ""

"""Dots with 95% intervals: accuracies, and what a change, a part or a technique is worth."""

import contextlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.recipes.ablation import BASELINE as PARTS_BASELINE
from lwcnn.experiments.recipes.ablation import PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.experiments.recipes.techniques import BASE as TECHNIQUE_BASE
from lwcnn.experiments.recipes.techniques import TECHNIQUES, technique
from lwcnn.publication.claims.literature import PAPER_ACCURACY
from lwcnn.publication.figures.inputs import BASELINE_EXPERIMENT, Inputs, MissingInput
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, GRAY, ORANGE, new_panels, styled
from lwcnn.publication.names import budget, display_name
from lwcnn.system.errors import LwcnnError

GROUP_COLORS = (BASELINE, BEST)
DOTTED = (0, (1, 1.2))
REFERENCE: dict[str, Any] = {"color": BLACK, "linewidth": 0.9, "linestyle": (0, (4, 2))}

Estimates = Mapping[str, Estimate]
"""Estimates by name of the row; the topmost row is the first."""


@styled(6.5, lambda groups, *_: 1.05 + 0.22 * len(next(iter(groups.values()))))
def plot_intervals(
    groups: Mapping[str, Estimates],
    rows: Sequence[str] = (),
    highlight: Sequence[str] = (),
    reference: float | None = None,
    bands: Mapping[str, tuple[float, float]] = {},
    title: str = "",
    *,
    ax: Axes,
):
    """Draws a row per name: mean, 95% bootstrap interval over seeds and images, and a small dot per seed.

    Groups are drawn beside each other in two colors, `highlight` are rows in the color of the best network, `reference`
    is the place of a vertical line, between 0 and 1, and `bands` are claimed ranges in points. A single seed has a
    hollow mark and a dotted interval, because that interval covers the test images alone.
    """
    rows = list(rows) or [row for group in list(groups.values())[:1] for row in group]
    if not rows or not any(groups.values()):
        raise LwcnnError(f"Give at least one estimate. Received: {groups!r}")
    for row, (low, high) in bands.items():
        if row in rows:
            ax.barh(rows.index(row), high - low, 0.8, left=low, color=ORANGE, alpha=0.35, linewidth=0, zorder=1)
    offsets = np.linspace(-0.17, 0.17, len(groups)) if len(groups) > 1 else [0]
    for estimates, offset, color in zip(groups.values(), offsets, GROUP_COLORS, strict=False):
        for place, row in enumerate(rows):
            if row in estimates:
                _draw(ax, estimates[row], place + offset, BEST if row in highlight else color)
    if reference is not None:
        ax.axvline(100 * reference, zorder=1, **REFERENCE)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.margins(x=0.04)
    ax.set_title(title)


def _draw(ax: Axes, one: Estimate, place: float, color: str) -> None:
    single = len(one.by_seed) == 1
    ends, style = [100 * one.low, 100 * one.high], DOTTED if single else "solid"
    ax.plot(ends, [place] * 2, color=color, linewidth=1.4, linestyle=style)
    if not single:
        seeds = [100 * seed for seed in one.by_seed]
        ax.plot(seeds, [place] * len(seeds), "|", color=BLACK, markersize=6, mew=0.8)
    ax.plot(100 * one.mean, place, "o", color=color, mfc="white" if single else color, markersize=5, mew=1.2)


def _legend(figure: Figure, shown: Mapping[str, Estimates], reference="", band="", named=()) -> None:
    """Draws the legend below a figure: the looks that occur, and, if any, named groups, line and bands."""
    handles = {
        name: Line2D([], [], linestyle="", marker="o", color=color, markersize=5)
        for name, color in zip(named, GROUP_COLORS, strict=False)
    }
    single = {len(one.by_seed) == 1 for group in shown.values() for one in group.values()}
    look: dict[str, Any] = {"color": GRAY, "marker": "o", "markersize": 5, "linewidth": 1.4}
    if False in single:
        handles["mean and 95 % interval"] = Line2D([], [], **look)
        handles["each seed"] = Line2D([], [], linestyle="", marker="|", color=BLACK, markersize=6)
    if True in single:
        handles["one seed"] = Line2D([], [], mfc="white", linestyle=DOTTED, **look)
    if reference:
        handles[reference] = Line2D([], [], **REFERENCE)
    if band:
        handles[band] = Line2D([], [], color=ORANGE, alpha=0.35, linewidth=6)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(4, len(handles)))


def _error_scale(ax: Axes) -> None:
    """Scales accuracies in percent by the logarithm of the error: 99.0 and 99.5 % are as far apart as 80 and 90 %."""
    ax.set_xscale("function", functions=(lambda x: -np.log10(np.maximum(100 - x, 0.01)), lambda x: 100 - 10.0**-x))
    low, high = (100 - end for end in reversed(ax.get_xlim()))  # of the error
    if high / low > 3:
        digits = range(1, 10) if high / low < 15 else (1, 2, 5)
        ticks = [digit * 10.0**power for power in range(-2, 2) for digit in digits]
        ax.set_xticks([100 - tick for tick in ticks if low <= tick <= high])
    ax.xaxis.set_major_formatter("{x:g}")


def _stacked(inputs: Inputs, budgets: Mapping[str, Estimates], **options) -> tuple[Figure, list[Axes]]:
    """Draws a panel per budget, by preset, the largest mean on top."""
    if not budgets:
        raise MissingInput(f"there is nothing to compare. Received: {inputs.dataset!r}")
    heights = [len(found) + 2.5 for found in budgets.values()]
    figure, axes = new_panels(6.5, 1.2 + 0.2 * sum(heights), 1, len(heights), height_ratios=heights, sharex=True)
    for (preset, found), ax in zip(budgets.items(), axes):
        rows = sorted(found, key=lambda name: -found[name].mean)
        plot_intervals({"": found}, rows, title=budget(preset).capitalize(), ax=ax, **options)
    return figure, axes


def accuracies(inputs: Inputs) -> Figure:
    """Test accuracy of every experiment, a panel per budget."""
    budgets: dict[str, dict[str, Estimate]] = {}
    for (experiment, preset), runs in inputs.groups.items():
        budgets.setdefault(preset, {})[display_name(experiment)] = inputs.estimate(runs)
    budgets = {preset: budgets[preset] for preset in inputs.presets if preset in budgets}
    paper = PAPER_ACCURACY.get(inputs.dataset)
    figure, axes = _stacked(inputs, budgets, highlight=[display_name(inputs.best_experiment)], reference=paper)
    for ax in axes:
        ax.tick_params(labelbottom=True)  # shared axes hide it
    _error_scale(axes[-1])
    axes[-1].set_xlabel("test accuracy, %, on a logarithmic scale of the error")
    _legend(figure, budgets, reference=f"the paper, {100 * paper:.0f} %" if paper else "")
    figure.suptitle(inputs.title("Test accuracy", inputs.images_counted))
    return figure


def per_class_accuracy(inputs: Inputs) -> Figure:
    """Accuracy by class of baseline and best."""
    groups = {}
    for runs in map(inputs.runs, inputs.shown):
        correct = inputs.correct(runs)
        groups[inputs.model_name(runs)] = {
            name: estimate_accuracy(list(correct[:, inputs.labels == label]))
            for label, name in enumerate(inputs.class_names)
        }
    figure, (ax,) = new_panels(6.5, 1.3 + 0.28 * len(inputs.class_names), 1)
    plot_intervals(groups, title=inputs.title("Test accuracy by class", inputs.images_counted), ax=ax)
    ax.set_xlabel("test accuracy, %")
    _legend(figure, groups, named=groups)
    return figure


def _gains(inputs: Inputs, pairs: Mapping[str, tuple[str, str]], preset: str) -> dict[str, Estimate]:
    """Returns the first experiment minus the second, where both were run, by row."""
    found: dict[str, Estimate] = {}
    for row, pair in pairs.items():
        with contextlib.suppress(MissingInput):
            found[row] = inputs.evidence.difference(inputs.dataset, *pair, preset)
    return found


def ablation(inputs: Inputs) -> Figure:
    """What each change of the paper's method is worth, seed by seed."""
    pairs = {display_name(name): (name, BASELINE_EXPERIMENT) for name in EXPERIMENTS if name != BASELINE_EXPERIMENT}
    found = _gains(inputs, pairs, inputs.ablation_preset)
    figure, (ax,) = _stacked(inputs, {inputs.ablation_preset: found} if found else {}, reference=0.0)
    ax.set_xlabel("test accuracy minus that of the method as described, points")
    _legend(figure, {"": found})
    figure.suptitle(inputs.title("What each change of the paper's method is worth", inputs.images_counted))
    return figure


def techniques(inputs: Inputs) -> Figure:
    """What each technique is worth on the recipe of the best network, a panel per budget, the best first."""
    pairs = {one.title: (technique(key), TECHNIQUE_BASE) for key, one in TECHNIQUES.items()}
    budgets = {preset: found for preset in inputs.presets if (found := _gains(inputs, pairs, preset))}
    figure, axes = _stacked(inputs, budgets, reference=0.0)
    axes[-1].set_xlabel("test accuracy minus that of the recipe without it, points")
    _legend(figure, budgets)
    figure.suptitle(inputs.title("What each technique is worth", inputs.images_counted))
    return figure


def parts(inputs: Inputs) -> Figure:
    """What each part of the improved network is worth, alone and in the whole, beside the claimed gains."""
    preset = inputs.ablation_preset
    pairs: dict[str, dict[str, tuple[str, str]]] = {
        "gained when added": {part.title: (only(key), PARTS_BASELINE) for key, part in PARTS.items()},
        "lost when removed": {part.title: (WHOLE, leave_one_out(key)) for key, part in PARTS.items()},
    }
    panels = {title: found for title, each in pairs.items() if (found := _gains(inputs, each, preset))}
    if not panels:
        raise MissingInput(f"no `{preset}` runs of `{PARTS_BASELINE}` and a part. Received: {inputs.dataset!r}")
    rows = [part.title for part in PARTS.values() if any(part.title in gains for gains in panels.values())]
    claims = {part.title: _claimed(part.claim) for part in PARTS.values() if part.claim}
    width, height = max(4.2 * len(panels), 6.5), 1.5 + 0.28 * len(rows)
    figure, axes = new_panels(width, height, len(panels), sharey=True, sharex=True)
    titles = {"gained when added": "added to the baseline", "lost when removed": "removed from the full recipe"}
    for ax, (what, gains) in zip(axes, panels.items()):
        plot_intervals({"": gains}, rows, bands=claims, reference=0.0, title=titles[what], ax=ax)
        ax.set_xlabel(f"accuracy {what}, points")
    _legend(figure, panels, band="the extension's claim")
    figure.suptitle(inputs.title("What each part is worth", budget(preset), inputs.images_counted))
    return figure


def _claimed(text: str) -> tuple[float, float]:
    """Returns the range of "+3 to +4"; half a point around the figure of "about +2"."""
    ends = [float(number) for number in re.findall(r"\d+", text)]
    return (ends[0], ends[1]) if len(ends) > 1 else (ends[0] - 0.5, ends[0] + 0.5)

"""Dot plots with 95% intervals: accuracy by class, and the effect of each change, part or technique."""

import contextlib
import re
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lwcnn.evaluation.statistics import Estimate, estimate_accuracy
from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.paper import PAPER_EXPERIMENTS
from lwcnn.experiments.recipes.techniques import BASE as TECHNIQUE_BASE
from lwcnn.experiments.recipes.techniques import TITLES
from lwcnn.experiments.results import PRESETS_BY_SIZE, MissingInput
from lwcnn.publication.claims import CLAIMED_GAINS
from lwcnn.publication.evidence import BASELINE_EXPERIMENT
from lwcnn.publication.figures import style
from lwcnn.publication.figures.inputs import Inputs, describe_runs
from lwcnn.publication.figures.style import BEST, BLACK, ORANGE, Look, legend_below, new_panels, styled, up_to_100
from lwcnn.publication.names import budget, display_name
from lwcnn.publication.tables.ablations import ABLATION_PRESET, technique_times
from lwcnn.system.errors import wrong

GROUP_LOOKS = ((style.BASELINE, "o"), (BEST, "s"))
DOTTED = (0, (1, 1.2))
MAX_CLASSES = 50

Estimates = Mapping[str, Estimate]
"""Estimates by name of the row; the topmost row is the first."""


@styled(6.5, lambda groups, *_, **__: 1.05 + 0.22 * len(next(iter(groups.values()))))
def plot_intervals(
    groups: Mapping[str, Estimates],
    rows: Sequence[str] = (),
    reference: float | None = None,
    bands: Mapping[str, tuple[float, float]] = {},
    title: str = "",
    *,
    ax: Axes,
):
    """Draws a row per name: mean, 95% bootstrap interval over seeds and images, and a small dot per seed.

    Groups are drawn beside each other in two looks, `reference` is drawn as a line, such as 0 for differences, and
    `bands` are claimed ranges in points. A single seed has a hollow mark and a dotted interval, because that interval
    covers the test images alone.
    """
    rows = list(rows) or list(next(iter(groups.values()), {}))
    if not rows or not any(groups.values()):
        raise wrong("Give at least one estimate", repr(groups))
    for row, (low, high) in bands.items():
        if row in rows:
            look: Look = {"color": ORANGE, "alpha": 0.35, "linewidth": 0, "zorder": 1, "label": "its author's claim"}
            ax.barh(rows.index(row), high - low, 0.8, left=low, **look)
    offsets = np.linspace(-0.17, 0.17, len(groups)) if len(groups) > 1 else [0]
    for (name, estimates), offset, (color, marker) in zip(groups.items(), offsets, GROUP_LOOKS, strict=False):
        for place, row in enumerate(rows):
            if row in estimates:
                _draw(ax, estimates[row], place + offset, color, marker, name)
    if reference is not None:
        ax.axvline(100 * reference, zorder=1, color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)))
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.margins(x=0.04)
    ax.set_title(title)


def _draw(ax: Axes, one: Estimate, place: float, color: str, marker: str, group: str) -> None:
    single = len(one.by_seed) == 1
    bar = ax.errorbar(
        100 * one.mean, place, xerr=[[100 * (one.mean - one.low)], [100 * (one.high - one.mean)]], fmt=marker,
        color=color, mfc="white" if single else color, markersize=5, mew=1.2, elinewidth=1.4,
        label=group or ("one seed" if single else "mean and 95% interval"),
    )  # fmt: skip
    bar[2][0].set_linestyle(DOTTED if single else "solid")
    if not single:
        seeds = [100 * seed for seed in one.by_seed]
        look: Look = {"color": BLACK, "markersize": 6, "mew": 0.8, "zorder": 3}  # above the mean
        ax.plot(seeds, [place] * len(seeds), "|", label="each seed", **look)


def _stacked(inputs: Inputs, title: str, label: str, budgets: Mapping[str, Estimates], **options) -> Figure:
    """Draws a panel per budget, by preset, with the largest mean on top."""
    budgets = {preset: found for preset, found in budgets.items() if found}
    if not budgets:
        raise MissingInput(f"there is nothing to compare. Received: {inputs.dataset!r}")
    heights = [len(found) + 2.5 for found in budgets.values()]
    figure, axes = new_panels(6.5, 1.2 + 0.2 * sum(heights), 1, len(heights), height_ratios=heights, sharex=True)
    for (preset, found), ax in zip(budgets.items(), axes):
        rows = sorted(found, key=lambda name: -found[name].mean)
        plot_intervals({"": found}, rows, title=budget(preset).capitalize(), ax=ax, **options)
        ax.tick_params(labelbottom=True)  # shared axes hide it
    axes[-1].set_xlabel(label)
    legend_below(figure)
    figure.suptitle(inputs.title(title, inputs.images_counted))
    return figure


def per_class_accuracy(inputs: Inputs) -> Figure:
    """Accuracy by class of baseline and best; of many classes, those on which the best is least accurate."""
    groups = {
        describe_runs(one.runs): {
            name: estimate_accuracy(list(one.correct[:, inputs.labels == label]))
            for label, name in enumerate(inputs.class_names)
            if (inputs.labels == label).any()
        }
        for one in inputs.compared
    }
    *_, best = groups.values()
    rows, title = list(best), "Test accuracy by class"
    if len(rows) > MAX_CLASSES:
        rows = sorted(rows, key=lambda name: best[name].mean)[:MAX_CLASSES]
        title = f"Test accuracy of the {MAX_CLASSES} hardest classes of {len(best)}"
    figure, (ax,) = new_panels(6.5, 1.3 + 0.28 * len(rows), 1)
    plot_intervals(groups, rows, title=inputs.title(title, inputs.images_counted), ax=ax)
    ax.set(xlabel="test accuracy, %", xlim=up_to_100(*ax.get_xlim()))
    legend_below(figure)
    return figure


def _gains(inputs: Inputs, pairs: Mapping[str, tuple[str, str]], preset: str) -> dict[str, Estimate]:
    """Returns the first experiment minus the second, where both were run, by row."""
    found: dict[str, Estimate] = {}
    for row, (experiment, reference) in pairs.items():
        with contextlib.suppress(MissingInput):
            found[row] = inputs.network(experiment, preset).minus(reference)
    return found


def ablation(inputs: Inputs) -> Figure:
    """What each change of the paper's method is worth, one panel per budget."""
    changes = [name for name in PAPER_EXPERIMENTS if name != BASELINE_EXPERIMENT]
    pairs = {display_name(name): (name, BASELINE_EXPERIMENT) for name in changes}
    label = "test accuracy minus that of the method as described, points"
    budgets = {preset: _gains(inputs, pairs, preset) for preset in PRESETS_BY_SIZE}
    return _stacked(inputs, "What each change of the paper's method is worth", label, budgets, reference=0.0)


def techniques(inputs: Inputs) -> Figure:
    """What each technique is worth on Wren's recipe, one panel per budget, the best first."""
    times = technique_times(inputs.evidence)
    pairs = {
        f"{title} ({times[name]})" if name in times else title: (name, TECHNIQUE_BASE) for name, title in TITLES.items()
    }
    budgets = {preset: _gains(inputs, pairs, preset) for preset in PRESETS_BY_SIZE}
    label = "test accuracy minus that of the recipe without it, points"
    heading = "What each technique is worth (and the time of an epoch, relative to the recipe's)"
    return _stacked(inputs, heading, label, budgets, reference=0.0)


def parts(inputs: Inputs) -> Figure:
    """What each part of the extension is worth, alone and in the full recipe, and the claimed gains."""
    alone = {part.title: (only(key), BASELINE) for key, part in PARTS.items()}
    within = {part.title: (WHOLE, leave_one_out(key)) for key, part in PARTS.items()}
    panels = {
        ("added to the baseline", "accuracy gained when added, points"): _gains(inputs, alone, ABLATION_PRESET),
        ("removed from the full recipe", "accuracy lost when removed, points"): _gains(inputs, within, ABLATION_PRESET),
    }
    panels = {texts: gains for texts, gains in panels.items() if gains}
    if not panels:
        raise MissingInput(f"no `{ABLATION_PRESET}` runs of `{BASELINE}` and a part. Received: {inputs.dataset!r}")
    rows = [row for row in alone if any(row in gains for gains in panels.values())]
    claims = {title: _claimed(claim) for title, claim in CLAIMED_GAINS.items()}
    width, height = max(4.2 * len(panels), 6.5), 1.5 + 0.28 * len(rows)
    figure, axes = new_panels(width, height, len(panels), sharey=True, sharex=True)
    for ax, ((title, label), gains) in zip(axes, panels.items()):
        plot_intervals({"": gains}, rows, bands=claims, reference=0.0, title=title, ax=ax)
        ax.set_xlabel(label)
    legend_below(figure)
    figure.suptitle(inputs.title("What each part is worth", budget(ABLATION_PRESET), inputs.images_counted))
    return figure


def _claimed(text: str) -> tuple[float, float]:
    """Returns the range of "+3 to +4"; half a point around the figure of "about +2"."""
    ends = [float(number) for number in re.findall(r"\d+", text)]
    return (ends[0], ends[1]) if len(ends) > 1 else (ends[0] - 0.5, ends[0] + 0.5)

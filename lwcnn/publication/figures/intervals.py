"""Dots with 95% intervals: accuracies, differences and what a part is worth."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from lwcnn.evaluation.statistics import Estimate
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, GRAY, ORANGE, styled
from lwcnn.system.errors import LwcnnError

GROUP_COLORS = (BASELINE, BEST)
DOTTED = (0, (1, 1.2))


@styled(6.5, lambda groups, rows=(), *_: 1.05 + 0.22 * (len(rows) or len(next(iter(groups.values())))))
def plot_intervals(
    groups: Mapping[str, Mapping[str, Estimate]],
    rows: Sequence[str] = (),
    highlight: Sequence[str] = (),
    reference: tuple[str, float] | None = None,
    bands: Mapping[str, tuple[float, float]] = {},
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws a row per name: mean, 95% bootstrap interval over seeds and images, and a small dot per seed.

    A single seed has a hollow mark and a dotted interval, because that interval covers the test images alone.

    Args:
        groups: Estimates by row, by group; several groups are drawn beside each other, in two colors.
        rows: Names of the rows, the topmost first; by default those of the first group.
        highlight: Rows in the color of the best network.
        reference: Label and value, between 0 and 1, of a vertical line.
        bands: Claimed range of a row, in points.

    Raises:
        LwcnnError: If there is nothing to draw.
    """
    rows = list(rows) or [row for group in list(groups.values())[:1] for row in group]
    if not rows or not any(groups.values()):
        raise LwcnnError(f"Give at least one estimate. Received: {groups!r}")
    for row, (low, high) in bands.items():
        if row in rows:
            ax.barh(rows.index(row), high - low, 0.8, left=low, color=ORANGE, alpha=0.35, linewidth=0, zorder=1)
    offsets = np.linspace(-0.17, 0.17, len(groups)) if len(groups) > 1 else [0]
    for (name, estimates), offset, color in zip(groups.items(), offsets, GROUP_COLORS, strict=False):
        for place, row in enumerate(rows):
            if row in estimates:
                _draw(ax, estimates[row], place + offset, BEST if row in highlight else color)
    if reference:
        ax.axvline(100 * reference[1], color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)), zorder=1)
    ax.set_yticks(range(len(rows)), rows)
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.margins(x=0.04)
    ax.set_title(title or "")


def interval_legend(
    figure: Figure,
    shown: Mapping[str, Mapping[str, Estimate]],
    reference: str = "",
    band: str = "",
    named: bool = False,
) -> None:
    """Draws the legend of `plot_intervals` below a figure.

    Args:
        figure: The figure.
        shown: All estimates in it, by group.
        reference: What the vertical line is.
        band: What the bands are.
        named: Whether to name the groups, whose names are then the keys of `shown`.
    """
    colors = dict(zip(shown, GROUP_COLORS, strict=False)) if named else {}
    handles = {
        name: Line2D([], [], linestyle="", marker="o", color=color, markersize=5) for name, color in colors.items()
    }
    single = {len(one.by_seed) == 1 for group in shown.values() for one in group.values()}
    look: dict[str, Any] = {"color": GRAY, "marker": "o", "markersize": 5, "linewidth": 1.4}
    if False in single:
        handles["mean and 95 % interval"] = Line2D([], [], **look)
        handles["each seed"] = Line2D([], [], linestyle="", marker="|", color=BLACK, markersize=6)
    if True in single:
        handles["one seed"] = Line2D([], [], mfc="white", linestyle=DOTTED, **look)
    if reference:
        handles[reference] = Line2D([], [], color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)))
    if band:
        handles[band] = Line2D([], [], color=ORANGE, alpha=0.35, linewidth=6)
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(4, len(handles)))


def error_scale(ax: Axes) -> None:
    """Draws accuracies in percent on a logarithmic scale of the error, so that 99.0 and 99.5 % are as far apart as 80
    and 90 %.
    """
    ax.set_xscale("function", functions=(lambda x: -np.log10(np.maximum(100 - x, 0.01)), lambda x: 100 - 10.0**-x))
    low, high = (100 - end for end in reversed(ax.get_xlim()))  # of the error
    if high / low > 3:
        digits = range(1, 10) if high / low < 15 else (1, 2, 5)
        ticks = [digit * 10.0**power for power in range(-2, 2) for digit in digits]
        ax.set_xticks([100 - tick for tick in ticks if low <= tick <= high])
    ax.xaxis.set_major_formatter("{x:g}")


@styled(6.0, lambda names, *_: 0.9 + 0.23 * len(names))
def plot_parameters_by_layer(names: Sequence[str], counts: Sequence[int], title: str | None = None, *, ax: Axes):
    """Draws a bar per layer with its parameters and their share of all; the first layer on top."""
    places = [str(i) for i in range(len(names))]  # layers of different depth can have the same text
    sns.barplot(x=list(counts), y=places, color=BASELINE, alpha=0.8, width=0.7, ax=ax)
    for place, count in enumerate(counts):
        share = f"{count:,} ({100 * count / sum(counts):.1f} %)"
        ax.text(count + 0.012 * max(counts), place, share, va="center", fontsize=6.5)
    ax.set_xlim(0, 1.25 * max(counts))
    ax.set_yticks(range(len(names)), names)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set(xlabel="parameters", ylabel="", title=title or "")


def _draw(ax: Axes, one: Estimate, place: float, color: str) -> None:
    single = len(one.by_seed) == 1
    ax.plot(
        [100 * one.low, 100 * one.high],
        [place] * 2,
        color=color,
        linewidth=1.4,
        linestyle=DOTTED if single else "solid",
    )
    if not single:
        ax.plot(
            [100 * seed for seed in one.by_seed], [place] * len(one.by_seed), "|", color=BLACK, markersize=6, mew=0.8
        )
    ax.plot(100 * one.mean, place, "o", color=color, mfc="white" if single else color, markersize=5, mew=1.2)

"""Bar charts: accuracies and differences with 95% intervals, accuracy by class, parameters by layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lwcnn.evaluation.statistics import Difference, Estimate
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, SKY, legend_below, styled
from lwcnn.system.errors import LwcnnError

BAR_COLORS = (BASELINE, BEST)


@styled(6.5, lambda names, *_: 1.0 + 0.24 * len(names))
def plot_accuracy_bars(
    names: Sequence[str],
    estimates: Sequence[Estimate],
    reference: tuple[str, float] | None = None,
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws a bar per name: mean test accuracy, its 95% bootstrap interval, and a dot per seed.

    Args:
        names: Names of the models, topmost first.
        estimates: Accuracy of each.
        reference: (label, accuracy) of a line drawn through all bars.

    Raises:
        LwcnnError: If names and accuracies do not fit, or there are none.
    """
    _check_pairs(names, estimates)
    places = np.arange(len(names))
    ax.barh(places, [100 * one.mean for one in estimates], color=SKY, height=0.68)
    for place, one in enumerate(estimates):
        _error_bar(ax, one, place)
        _seed_dots(ax, [100 * seed for seed in one.by_seed], place)
    lowest = 100 * min(min(one.low, *one.by_seed) for one in estimates)
    if reference:
        ax.axvline(100 * reference[1], color=BEST, linewidth=1, linestyle=(0, (4, 2)))
        lowest = min(lowest, 100 * reference[1])
    left, highest = max(0.0, np.floor((lowest - 1) / 5) * 5), 100 * max(one.mean for one in estimates)
    ax.set_xlim(left, 100 if highest > 97 else min(100.0, highest + 6))
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("test accuracy, %" + (f" (axis begins at {left:.0f})" if left else ""))
    ax.set_title(title or "")
    _legend(ax, reference[0] if reference else None)


@styled(6.5, lambda names, *_: 1.0 + 0.27 * len(names))
def plot_ablation(names: Sequence[str], differences: Sequence[Difference], title: str | None = None, *, ax: Axes):
    """Draws each name's difference to the baseline, in points, the worst on top; a dot per pair of seeds.

    Args:
        names: What was changed.
        differences: Difference of each to the baseline, with its 95% bootstrap interval.

    Raises:
        LwcnnError: If names and differences do not fit, or there are none.
    """
    _check_pairs(names, differences)
    order = np.argsort([one.mean for one in differences], kind="stable")
    for place, i in enumerate(order):
        one = differences[i]
        ax.barh(place, 100 * one.mean, color=BEST if one.mean < 0 else BASELINE, alpha=0.55, height=0.68)
        _error_bar(ax, one, place)
        _seed_dots(ax, [100 * seed for seed in one.by_seed], place)
    ends = [100 * value for one in differences for value in (one.low, one.high, *one.by_seed, 0.0)]
    room = max(0.06 * (max(ends) - min(ends)), 0.3)
    ax.axvline(0, color=BLACK, linewidth=0.8)
    ax.set_xlim(min(ends) - room, max(ends) + room)
    ax.set_yticks(range(len(names)), [names[i] for i in order])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("difference of test accuracy, points")
    ax.set_title(title or "")
    _legend(ax, None)


@styled(6.5, 3.0)
def plot_per_class_accuracy(
    accuracies: dict[str, np.ndarray],
    class_names: Sequence[str],
    title: str | None = None,
    *,
    ax: Axes,
):
    """Draws each class's accuracy, a bar a model: the mean over seeds, and a dot a seed.

    Args:
        accuracies: by model name, (seeds, classes), 0 to 1; one model or two.
        class_names: by label.

    Raises:
        LwcnnError: arrays that do not fit the names, or more models than there are colors.
    """
    if not 1 <= len(accuracies) <= len(BAR_COLORS):
        raise LwcnnError(f"Give one or two models. Received: {', '.join(accuracies) or 'none'}")
    width = 0.8 / len(accuracies)
    for i, (name, values) in enumerate(accuracies.items()):
        values = 100 * np.atleast_2d(np.asarray(values, dtype=float))
        if values.shape[1] != len(class_names):
            raise LwcnnError(f"Give an accuracy a class. Received: {values.shape} and {len(class_names)} names")
        places = np.arange(len(class_names)) + (i - (len(accuracies) - 1) / 2) * width
        ax.bar(places, values.mean(axis=0), width * 0.92, color=BAR_COLORS[i], alpha=0.75, label=name)
        for seed in values:
            ax.plot(places, seed, "o", color="white", markeredgecolor=BLACK, markeredgewidth=0.6, markersize=2.6)
    ax.set_xticks(range(len(class_names)), class_names, rotation=30, ha="right", rotation_mode="anchor")
    lowest = 100 * min(np.nanmin(np.asarray(values, dtype=float)) for values in accuracies.values())
    bottom = 0.0 if lowest < 60 else np.floor((lowest - 3) / 5) * 5
    ax.set_ylim(bottom, 100.5)
    ax.grid(axis="x", visible=False)
    ax.set_ylabel("accuracy, %" + (f" (from {bottom:.0f})" if bottom else ""))
    ax.set_title(title or "")
    handles, labels = ax.get_legend_handles_labels()
    legend_below(ax, [*handles, _dot()], [*labels, "one seed"], ncols=3, inches=0.55)


@styled(6.0, lambda names, *_: 0.9 + 0.23 * len(names))
def plot_parameters_by_layer(names: Sequence[str], counts: Sequence[int], title: str | None = None, *, ax: Axes):
    """Draws a bar a layer: its parameters, and their share of all; the first layer on top."""
    _check_pairs(names, counts)
    total, most = sum(counts), max(counts)
    ax.barh(range(len(names)), counts, color=BASELINE, alpha=0.8, height=0.7)
    for place, count in enumerate(counts):
        ax.text(count + 0.012 * most, place, f"{count:,} ({100 * count / total:.1f} %)", va="center", fontsize=6.5)
    ax.set_xlim(0, 1.22 * most)
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.set_xlabel("parameters")
    ax.set_title(title or "")


def _error_bar(ax: Axes, one: Estimate, place: float) -> None:
    mean, low, high = (100 * value for value in (one.mean, one.low, one.high))
    ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=BLACK, capsize=2.5, linewidth=1)


def _seed_dots(ax: Axes, values: Sequence[float], place: float) -> None:
    ax.plot(
        values,
        np.full(len(values), place),
        "o",
        color="white",
        markeredgecolor=BLACK,
        markeredgewidth=0.7,
        markersize=3.2,
        zorder=4,
    )


def _dot() -> Line2D:
    return Line2D([], [], linestyle="", marker="o", color="white", markeredgecolor=BLACK, markersize=3.5)


def _legend(ax: Axes, reference: str | None) -> None:
    handles = [_dot(), Line2D([], [], color=BLACK, linewidth=1)]
    labels = ["one seed", "95% interval"]
    if reference:
        handles.append(Line2D([], [], color=BEST, linewidth=1, linestyle=(0, (4, 2))))
        labels.append(reference)
    legend_below(ax, handles, labels, ncols=3)


def _check_pairs(names: Sequence[str], values: Sequence) -> None:
    if len(names) != len(values) or not len(names):
        raise LwcnnError(f"Give as many values as names, one or more. Received: {len(values)} and {len(names)}")

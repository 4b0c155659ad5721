"""Bar charts: accuracies and differences with 95% intervals, accuracy by class, parameters by layer."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from lwcnn.evaluation import mean_and_interval, wilson_interval
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, SKY, legend_below, styled
from lwcnn.system.errors import LwcnnError

BAR_COLORS = (BASELINE, BEST)


def interval(accuracies: Sequence[float], num_images: int) -> tuple[float, float]:
    """A 95% interval of an accuracy: of the mean over seeds by Student's t; of one seed over its images, Wilson's."""
    found = mean_and_interval(accuracies)
    if found.low is not None:
        return max(found.low, 0.0), min(found.high, 1.0)
    return wilson_interval(round(found.mean * num_images), num_images)


@styled(6.5, lambda names, *_: 1.0 + 0.24 * len(names))
def plot_accuracy_bars(
    names: Sequence[str],
    accuracies: Sequence[Sequence[float]],
    num_images: int,
    reference: tuple[str, float] | None = None,
    title: str | None = None,
    ax: Axes | None = None,
):
    """Draws a bar a name: mean test accuracy, its 95% interval (`interval`), and a dot a seed.

    Args:
        names: of the models, topmost first.
        accuracies: of each name's seeds, 0 to 1.
        num_images: test images, for the interval of a single seed.
        reference: (label, accuracy) of a line drawn through all bars.

    Raises:
        LwcnnError: if names and accuracies do not fit, or there are none.
    """
    _check_pairs(names, accuracies)
    means = [100 * float(np.mean(seeds)) for seeds in accuracies]
    places = np.arange(len(names))
    ax.barh(places, means, color=SKY, height=0.68)
    lowest = min(means)
    for place, mean, seeds in zip(places, means, accuracies):
        low, high = (100 * end for end in interval(seeds, num_images))
        ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=BLACK, capsize=2.5, linewidth=1)
        _seed_dots(ax, [100 * seed for seed in seeds], place)
        lowest = min(lowest, low, *(100 * seed for seed in seeds))
    if reference:
        ax.axvline(100 * reference[1], color=BEST, linewidth=1, linestyle=(0, (4, 2)))
        lowest = min(lowest, 100 * reference[1])
    left = max(0.0, np.floor((lowest - 1) / 5) * 5)
    ax.set_xlim(left, 100 if max(means) > 97 else min(100.0, max(means) + 6))
    ax.set_yticks(places, names)
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("test accuracy, %" + (f" (axis begins at {left:.0f})" if left else ""))
    ax.set_title(title)
    _legend(ax, reference[0] if reference else None)


@styled(6.5, lambda names, *_: 1.0 + 0.27 * len(names))
def plot_ablation(
    names: Sequence[str],
    differences: Sequence[Sequence[float]],
    title: str | None = None,
    intervals: Sequence[tuple[float, float]] | None = None,
    ax: Axes | None = None,
):
    """Draws each name's mean difference to the baseline, in points, the worst on top; a dot a pair of seeds.

    Args:
        names: of what was changed.
        differences: of each name's seeds to the baseline's same seeds, -1 to 1. Intervals that leave the range of the
            dots by far are cut at the axis, with "<".
        intervals: (low, high) of each name, 95%, -1 to 1; Student's t by default, which one pair alone has not.

    Raises:
        LwcnnError: if names and differences do not fit, or there are none.
    """
    _check_pairs(names, differences)
    order = np.argsort([np.mean(values) for values in differences], kind="stable")
    if intervals is None:
        found = [mean_and_interval(values) for values in differences]
        intervals = [(one.low, one.high) for one in found]
    _check_pairs(names, intervals)
    dots = np.concatenate([100 * np.asarray(values, dtype=float) for values in differences])
    left, right = _reach(dots)
    for place, i in enumerate(order):
        mean, ends = 100 * float(np.mean(differences[i])), intervals[i]
        ax.barh(place, mean, color=BEST if mean < 0 else BASELINE, alpha=0.55, height=0.68)
        if ends[0] is not None:
            low, high = 100 * ends[0], 100 * ends[1]
            ax.errorbar(mean, place, xerr=[[mean - low], [high - mean]], color=BLACK, capsize=2.5, linewidth=1)
            for end, beyond, edge, mark in ((low, low < left, left, "<"), (high, high > right, right, ">")):
                if beyond:
                    ax.plot(edge, place, marker=mark, color=BLACK, markersize=5, clip_on=False)
        _seed_dots(ax, 100 * np.asarray(differences[i], dtype=float), place)
    ax.axvline(0, color=BLACK, linewidth=0.8)
    ax.set_xlim(left, right)
    ax.set_yticks(range(len(names)), [names[i] for i in order])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.grid(axis="y", visible=False)
    ax.set_xlabel("difference of test accuracy, points")
    ax.set_title(title)
    _legend(ax, None)


@styled(6.5, 3.0)
def plot_per_class_accuracy(
    accuracies: dict[str, np.ndarray],
    class_names: Sequence[str],
    title: str | None = None,
    ax: Axes | None = None,
):
    """Draws each class's accuracy, a bar a model: the mean over seeds, and a dot a seed.

    Args:
        accuracies: by model name, (seeds, classes), 0 to 1; one model or two.
        class_names: by label.

    Raises:
        LwcnnError: arrays that do not fit the names, or more models than there are colours.
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
    ax.set_title(title)
    handles, labels = ax.get_legend_handles_labels()
    legend_below(ax, [*handles, _dot()], [*labels, "one seed"], ncols=3, inches=0.55)


@styled(6.0, lambda names, *_: 0.9 + 0.23 * len(names))
def plot_parameters_by_layer(
    names: Sequence[str], counts: Sequence[int], title: str | None = None, ax: Axes | None = None
):
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
    ax.set_title(title)


def _reach(dots: np.ndarray) -> tuple[float, float]:
    """Ends of an axis that holds zero and all dots with some room: an interval of two seeds can be a hundred wide."""
    low, high = min(dots.min(), 0.0), max(dots.max(), 0.0)
    room = max(0.35 * (high - low), 0.5)
    return low - room, high + room


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

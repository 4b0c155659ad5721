"""Accuracy against what it costs: parameters, multiply-accumulates, bytes, seconds, milliseconds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import cast

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox

from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, GREEN, SKY, legend_below, styled
from lwcnn.system.errors import LwcnnError

KINDS = {  # color, marker, size; in the order of the legend
    "ours, full": (BEST, "o", 6),
    "ours, quick": (SKY, "o", 4),
    "system to reproduce": (BASELINE, "s", 5),
    "public record": (GREEN, "^", 5.5),
}

GAP = 0.25  # of accuracies; the few further under all others are named at the lower edge


@dataclass(frozen=True)
class Point:
    """A model in such a figure.

    Attributes:
        name: its label; "" leaves it without one.
        cost: above 0, in the figure's unit.
        accuracy: 0 to 1.
        kind: one of `KINDS`.
        low, high: ends of its 95% interval, 0 to 1; None where it has none.
    """

    name: str
    cost: float
    accuracy: float
    kind: str = "ours, full"
    low: float | None = None
    high: float | None = None


@styled(6.5, 3.8)
def plot_tradeoff(points: Sequence[Point], cost_label: str, title: str | None = None, *, ax: Axes):
    """Draws accuracy against cost, the cost on a logarithmic axis, and the Pareto front as steps.

    What is far worse than all else stands at the lower edge, with its accuracy.

    Args:
        points: the models, one or more.
        cost_label: what the cost is, with its unit.

    Raises:
        LwcnnError: no points, a cost that is not above 0, or an unknown kind.
    """
    wrong = [point for point in points if point.cost <= 0 or point.kind not in KINDS]
    if not points or wrong:
        raise LwcnnError(f"Give points with a cost above 0 and a kind of {', '.join(KINDS)}. Received: {wrong}")
    accuracies = [point.accuracy for point in points]
    lowest = _lowest_shown(accuracies)
    room = max(12 * (max(accuracies) - lowest), 0.2)
    bottom = 100 * lowest - room
    fallen = [point for point in points if point.accuracy < lowest]
    points = [_at_the_edge(point, bottom) if point in fallen else point for point in points]
    for kind, (color, marker, size) in KINDS.items():
        of_kind = [point for point in points if point.kind == kind]
        for point in of_kind:
            if point.low is not None and point.high is not None:
                ax.plot([point.cost] * 2, [100 * point.low, 100 * point.high], color=color, linewidth=0.9, alpha=0.6)
        if of_kind:
            x, y = [point.cost for point in of_kind], [100 * point.accuracy for point in of_kind]
            ax.plot(
                x, y, marker, color=color, markersize=size, markeredgecolor="white", markeredgewidth=0.5, label=kind
            )
    front = pareto_front(points)
    x, y = [point.cost for point in front], [100 * point.accuracy for point in front]
    ax.plot(
        x, y, drawstyle="steps-post", color=BLACK, linewidth=0.9, linestyle=(0, (4, 2)), label="Pareto front", zorder=1
    )
    _logarithmic(ax, [point.cost for point in points])
    ax.set_ylim(bottom, min(100 * max(accuracies) + room, 100.3))
    if fallen:
        edge = [point.cost for point in fallen]
        ax.plot(edge, [bottom] * len(edge), "v", color=BLACK, markersize=4, clip_on=False, zorder=4)
    ax.set_xlabel(cost_label)
    ax.set_ylabel("test accuracy, %")
    ax.set_title(title or "")
    legend_below(ax, ncols=5)
    _label(ax, points)


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """The points that no other one beats: none costs as little and is as accurate, or better in either; by cost."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _lowest_shown(accuracies: list[float]) -> float:
    """The lowest accuracy on the axis: a few, `GAP` and more under all others, would squeeze those together."""
    ordered = sorted(accuracies, reverse=True)
    for i in range(len(ordered) - len(ordered) // 4, len(ordered)):
        if ordered[i - 1] - ordered[i] >= GAP:
            return ordered[i - 1]
    return ordered[-1]


def _at_the_edge(point: Point, bottom: float) -> Point:
    """The point at the lower edge, with its accuracy in its name."""
    name = f"{point.name or 'below'}: {100 * point.accuracy:.0f} %"
    return replace(point, name=name, accuracy=bottom / 100, low=None, high=None)


def _logarithmic(ax: Axes, costs: list[float]) -> None:
    ax.set_xscale("log")
    low, high = min(costs), max(costs)
    room = max((high / low) ** 0.12, 1.15)
    ax.set_xlim(low / room, high * room)
    wide = high / low > 300
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ticks = [tick for tick in ax.xaxis.get_major_locator()() if low / room <= tick <= high * room]
    if len(ticks) < 2:  # all in less than an octave: the ends say more than a locator
        ax.xaxis.set_major_locator(FixedLocator(sorted({low, high})))
        ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))


def _short(value: float) -> str:
    for factor, letter in ((1e6, "M"), (1e3, "k")):
        if value >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"


def _label(ax: Axes, points: Sequence[Point]) -> None:
    """Names beside their points where nothing else is: the nearest of many places that is free, with a thin line."""
    figure = cast(Figure, ax.get_figure())
    figure.draw_without_rendering()  # places are in pixels: the layout has to be known
    scale = figure.dpi / 72
    frame = ax.get_window_extent()
    spots = [ax.transData.transform((point.cost, 100 * point.accuracy)) for point in points]
    taken = [Bbox.from_bounds(x - 3 * scale, y - 3 * scale, 6 * scale, 6 * scale) for x, y in spots]
    taken += _lines(ax, points)
    offsets = [(6, 0), (-6, 0), (0, 9), (0, -9)]
    offsets += [(side, up * 7 * i) for i in range(1, 12) for side in (6, -6, 0, 24, -24) for up in (1, -1)]
    for point, (x, y) in zip(points, spots):
        if not point.name:
            continue
        text = ax.annotate(
            point.name,
            (point.cost, 100 * point.accuracy),
            (0, 0),
            textcoords="offset points",
            fontsize=6.5,
            va="center",
        )
        size = text.get_window_extent()
        for across, up in offsets:
            left = x + across * scale - size.width * (0.5 - 0.5 * ((across > 0) - (across < 0)))
            box = Bbox.from_bounds(left, y + up * scale - size.height / 2, size.width, size.height)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
        else:
            across, up = offsets[0]
            box = size
        taken.append(box)
        text.set_horizontalalignment("left" if across > 0 else "right" if across else "center")
        text.xyann = (across, up)
        if abs(up) > 9 or abs(across) > 9:
            ax.annotate(
                "",
                (point.cost, 100 * point.accuracy),
                xytext=(across, up),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 1, "shrinkB": 2},
            )


def _lines(ax: Axes, points: Sequence[Point]) -> list[Bbox]:
    """The boxes, in pixels, of the front's steps and of the intervals."""
    front = pareto_front(points)
    ends = [(p.cost, p.low, p.cost, p.high) for p in points if p.low is not None and p.high is not None]
    for a, b in zip(front, front[1:]):
        ends += [(a.cost, a.accuracy, b.cost, a.accuracy), (b.cost, a.accuracy, b.cost, b.accuracy)]
    corners = [ax.transData.transform([(x0, 100 * y0), (x1, 100 * y1)]) for x0, y0, x1, y1 in ends]
    return [Bbox(corner).padded(1.5) for corner in corners]

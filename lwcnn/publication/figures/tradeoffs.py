"""Accuracy against what it costs: parameters, multiply-accumulates, bytes, milliseconds, minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from lwcnn.publication.figures.style import (
    BASELINE,
    BEST,
    BLACK,
    COLORS,
    GREEN,
    MARKERS,
    STYLE,
    legend_below,
    new_panels,
    styled,
)
from lwcnn.system.errors import LwcnnError

HEADLINE, OURS, SYSTEM, RECORD = (
    "most accurate below 30,000 parameters",
    "ours",
    "system to reproduce",
    "public network",
)
KINDS = {HEADLINE: (BEST, "*"), OURS: (BASELINE, "o"), SYSTEM: (BLACK, "s"), RECORD: (GREEN, "^")}
"""Color and marker by kind, in the order of the legend."""


@dataclass(frozen=True)
class Point:
    """A network; costs are above 0 in the figure's unit, accuracies between 0 and 1.

    `interval` has the ends of its 95% interval, `spread` the lowest and highest cost that was measured.
    """

    name: str
    cost: float
    accuracy: float
    kind: str = OURS
    interval: tuple[float, float] | None = None
    spread: tuple[float, float] | None = None


@styled(6.5, 3.8)
def plot_tradeoff(
    points: Sequence[Point],
    cost_label: str,
    title: str = "",
    limits: tuple[float, float] | None = None,
    *,
    ax: Axes,
):
    """Draws accuracy against cost on a logarithmic axis, with labels and the Pareto front of the means as steps.

    With `limits`, the lowest and highest accuracy, the points between them are drawn.
    """
    wrong = [point for point in points if point.cost <= 0 or point.kind not in KINDS]
    low, high = limits or (0, 1)
    points = [point for point in points if low <= point.accuracy <= high]
    if not points or wrong:
        raise LwcnnError(f"Give points with a cost above 0 and a kind of {', '.join(KINDS)}. Received: {wrong}")
    for point in points:
        if point.interval:
            ends = [100 * end for end in point.interval]
            ax.plot([point.cost] * 2, ends, color=KINDS[point.kind][0], linewidth=0.9, alpha=0.7)
    for kind, (color, marker) in KINDS.items():
        if of_kind := [(point.cost, 100 * point.accuracy) for point in points if point.kind == kind]:
            size = 8 if kind == HEADLINE else 5
            ax.plot(*zip(*of_kind), marker, color=color, markersize=size, mec="white", mew=0.5, label=kind)
    front = [(point.cost, 100 * point.accuracy) for point in pareto_front(points)]
    ax.plot(
        *zip(*front), drawstyle="steps-post", color=BLACK, linewidth=0.8, linestyle=(0, (4, 2)), label="Pareto front",
        zorder=1,
    )  # fmt: skip
    _logarithmic(ax, [point.cost for point in points])
    if limits:
        ax.set_ylim(100 * low, 100 * high)
    else:
        ax.margins(y=0.08)
    ax.set(xlabel=cost_label, ylabel="test accuracy, %", title=title)
    legend_below(ax, ncols=3)
    _label(ax, points)


def plot_costs(points: Mapping[str, Sequence[Point]], title: str = "") -> Figure:
    """Draws a panel per cost, each network with a color and marker of its own, and bars for intervals and spreads.

    The points are given by label of the cost. No front is drawn: where spreads overlap, the data give no order.
    """
    kinds = {point.name: point.kind for group in points.values() for point in group}
    palette, shapes = [color for color in COLORS if color != BEST], MARKERS.replace("*", "")
    base: dict[str, Any] = {"mec": "white", "mew": 0.4, "linestyle": "", "zorder": 3}
    looks: dict[str, dict[str, Any]] = {}
    i = 0
    for name, kind in kinds.items():
        if kind == HEADLINE:
            looks[name] = base | {"color": BEST, "marker": "*", "markersize": 9}
            continue
        color, marker = palette[i % len(palette)], shapes[(i + i // len(palette)) % len(shapes)]
        looks[name] = base | {"color": color, "marker": marker, "markersize": 5.5}
        i += 1  # in each round of the palette the colors meet other marks
    columns = min(2, len(points))
    num_rows = -(-len(points) // columns)
    figure, axes = new_panels(6.8, 0.9 + 2.5 * num_rows, columns, num_rows, sharey=True)
    with matplotlib.rc_context(STYLE):
        for (label, group), ax in zip(points.items(), axes):
            for p in group:
                bar: dict[str, Any] = {"color": looks[p.name]["color"], "linewidth": 1.1, "alpha": 0.7}
                ax.plot(p.spread or (p.cost, p.cost), [100 * p.accuracy] * 2, **bar)
                ax.plot([p.cost] * 2, [100 * end for end in p.interval or (p.accuracy, p.accuracy)], **bar)
                ax.plot(p.cost, 100 * p.accuracy, **looks[p.name])
            _logarithmic(ax, [end for p in group for end in p.spread or (p.cost,)])
            ax.set_xlabel(label)
        for ax in axes[::columns]:
            ax.set_ylabel("test accuracy, %")
        for ax in axes[len(points) :]:
            ax.set_visible(False)
        handles = [Line2D([], [], label=name, **look) for name, look in looks.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=3)
        figure.suptitle(title)
    return figure


def pareto_front(points: Sequence[Point]) -> list[Point]:
    """Returns the points, by cost, that are more accurate than all that cost at most as much."""
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -point.accuracy)):
        if not front or point.accuracy > front[-1].accuracy:
            front.append(point)
    return front


def _logarithmic(ax: Axes, costs: list[float]) -> None:
    ax.set_xscale("log")
    low, high = min(costs), max(costs)
    room = max((high / low) ** 0.12, 1.15)
    ax.set_xlim(low / room, high * room)
    ax.xaxis.set_major_locator(LogLocator(10, subs=(1.0,) if high / low > 300 else (1.0, 2.0, 5.0)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(EngFormatter(sep="") if high >= 1000 else "{x:g}")


def _label(ax: Axes, points: Sequence[Point]) -> None:
    """Names beside their points: the nearest of many places that is free, with a thin line to a distant one."""
    figure = cast(Figure, ax.get_figure())
    figure.draw_without_rendering()  # places are in pixels: the layout has to be known
    scale, frame = figure.dpi / 72, ax.get_window_extent()
    spots = [ax.transData.transform((point.cost, 100 * point.accuracy)) for point in points]
    taken = [Bbox.from_bounds(x - 3 * scale, y - 3 * scale, 6 * scale, 6 * scale) for x, y in spots]
    taken += _lines(ax, points)
    offsets = [(6, 0), (-6, 0), (0, 9), (0, -9)]
    offsets += [(side, up * 7 * i) for i in range(1, 12) for side in (6, -6, 0, 24, -24) for up in (1, -1)]
    for point, (x, y) in zip(points, spots):
        if not point.name:
            continue
        text = ax.annotate(
            point.name, (point.cost, 100 * point.accuracy), (0, 0), textcoords="offset points", fontsize=6.5,
            va="center", fontweight="bold" if point.kind == HEADLINE else "normal",
        )  # fmt: skip
        size = text.get_window_extent()
        for across, up in [*offsets, offsets[0]]:
            left = x + across * scale - size.width * (0.5 - 0.5 * ((across > 0) - (across < 0)))
            box = Bbox.from_bounds(left, y + up * scale - size.height / 2, size.width, size.height)
            inside = frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
            if inside and not any(box.overlaps(other) for other in taken):
                break
        taken.append(box)
        text.set_horizontalalignment("left" if across > 0 else "right" if across else "center")
        text.xyann = (across, up)
        if abs(up) > 9 or abs(across) > 9:
            arrow = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 1, "shrinkB": 2}
            where = (point.cost, 100 * point.accuracy)
            ax.annotate("", where, xytext=(across, up), textcoords="offset points", arrowprops=arrow)


def _lines(ax: Axes, points: Sequence[Point]) -> list[Bbox]:
    """Returns the boxes, in pixels, of the front's steps and of the intervals."""
    front = pareto_front(points)
    ends = [(p.cost, p.interval[0], p.cost, p.interval[1]) for p in points if p.interval]
    for a, b in zip(front, front[1:]):
        ends += [(a.cost, a.accuracy, b.cost, a.accuracy), (b.cost, a.accuracy, b.cost, b.accuracy)]
    corners = [ax.transData.transform([(x0, 100 * y0), (x1, 100 * y1)]) for x0, y0, x1, y1 in ends]
    return [Bbox(corner).padded(1.5) for corner in corners]

"""Accuracy against cost: parameters, multiply-accumulates, bytes, milliseconds, minutes."""

from collections.abc import Mapping
from typing import cast

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path
from matplotlib.text import Annotation, Text
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims import PUBLISHED
from lwcnn.publication.evidence import where
from lwcnn.publication.figures import style
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, Look, legend_below, new_panels
from lwcnn.publication.names import display_name
from lwcnn.system.errors import wrong

MOST_ACCURATE, OURS = "measured here, most accurate below 30,000 parameters", "measured here"
SYSTEM, RECORD = "system to reproduce", "public network"
KINDS = {MOST_ACCURATE: (BEST, "*"), OURS: (BASELINE, "o"), SYSTEM: (BLACK, "s"), RECORD: (style.GREEN, "^")}
"""Color and marker by kind, in the order of the legend."""

SMALL, ZOOM = (9_000, 100_000), (85, 95)  # parameters and accuracies of the networks on the frontier
PLACES = [(6, 0), (-6, 0), (0, 9), (0, -9)]
PLACES += [(side, up * 7 * i) for i in range(1, 12) for side in (6, -6, 0, 24, -24, 48, -48) for up in (1, -1)]
"""Places of a name, in points to the right of its network and above it, the best first."""

THIN = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": 2}
INTERVALS = "95% bootstrap intervals over seeds and images; hollow: one seed, over images"


@matplotlib.rc_context(fname=style.STYLE)
def plot_costs(panels: Mapping[str, pd.DataFrame], title: str = "", with_front: bool = False) -> Figure:
    """Draws accuracy against each cost on a logarithmic axis, and on request the Pareto front of the means as steps.

    `panels` maps the label of a cost to its points. A row is a network: `name`, `kind` of `KINDS`, `cost` above 0,
    `accuracy` in percent, with the ends `low` and `high` of its 95% interval, nan if it is unknown, and `cost_low` and
    `cost_high`, the ends of the cost's spread. Networks with `seeds` 1, whose interval covers the images alone, are
    hollow. Draw no front where spreads overlap, because the data give no order there.
    """
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = new_panels(6.8, 0.8 + 3.0 * rows, columns, rows, sharey=True)
    for (label, points), ax in zip(panels.items(), axes):
        if not (points["cost"] > 0).all():
            raise wrong("Give points with a cost above 0", points["cost"].tolist())
        for kind, (color, marker) in KINDS.items():
            bar: Look = {"color": color, "linewidth": 0.9}
            for one in points[points["kind"] == kind].itertuples():
                ax.plot([one.cost, one.cost], [one.low, one.high], **bar)
                ax.plot([one.cost_low, one.cost_high], [one.accuracy, one.accuracy], **bar)
                ax.plot(one.cost, one.accuracy, marker, **_marker(kind, one.seeds == 1))
        front = pareto_front(points)
        if with_front and len(front) > 1:
            steps = np.repeat(front["cost"], 2)[1:], np.repeat(front["accuracy"], 2)[:-1]
            ax.plot(*steps, color=BLACK, linewidth=0.8, linestyle=(0, (4, 2)), label="Pareto front", zorder=1)
        _logarithmic(ax, points["cost"])
        ax.set(xlabel=label, ylabel="test accuracy, %" if ax in axes[::2] else "")
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.suptitle(title)
    legend_below(figure)
    figure.draw_without_rendering()  # names are placed in pixels, so the layout has to be known
    for points, ax in zip(panels.values(), axes):
        _label(ax, points.sort_values("cost"))
    return figure


def _marker(kind: str, is_hollow: bool) -> Look:
    """Returns the look of networks of a kind, and their label in the legend; those with one seed are hollow."""
    color, label = KINDS[kind][0], kind + ", one seed" * is_hollow
    edge: Look = {"mec": color, "mfc": "white", "mew": 1.2} if is_hollow else {"mec": "white", "mew": 0.5}
    return {"color": color, "label": label, "markersize": 8 if kind == MOST_ACCURATE else 5} | edge


def pareto_front(points: pd.DataFrame) -> pd.DataFrame:
    """Returns the points, sorted by cost, that are more accurate than all points of equal or lower cost."""
    ordered = points.sort_values(["cost", "accuracy"], ascending=[True, False])
    return ordered[ordered["accuracy"] > ordered["accuracy"].cummax().shift(fill_value=0)]


def _label(ax: Axes, points: pd.DataFrame) -> None:
    """Writes the names of points, in their order, each at the first of `PLACES` where it covers nothing.

    Distant names have a thin line, which crosses no name, no other point and no other such line.
    """
    radius = 3 * cast(Figure, ax.figure).dpi / 72
    spots = ax.transData.transform(points[["cost", "accuracy"]])
    drawn = [line for line in ax.lines if line.get_linestyle() != "None" and not np.isnan(line.get_xydata()).any()]
    lines = [line.get_transform().transform_path(line.get_path()) for line in drawn]
    names: list[Bbox] = []
    leaders: list[Path] = []
    for one, spot in zip(points.itertuples(), spots):
        text = ax.annotate(
            one.name, (one.cost, one.accuracy), PLACES[0], textcoords="offset points", arrowprops=THIN, va="center",
            fontsize=6.5, weight="bold" if one.kind == MOST_ACCURATE else "normal",
        )  # fmt: skip
        others = [other for other in spots if np.abs(other - spot).max() > radius]
        marks = [Bbox([other - radius, other + radius]) for other in others]
        far = [other for other in others if np.abs(other - spot).max() > 2 * radius]
        around = [Bbox([other - 2 * radius, other + 2 * radius]) for other in far]  # would seem to be theirs
        for place in PLACES:
            box, is_distant = _place(text, *place), abs(place[0]) > 6 or abs(place[1]) > 9
            covered = around if is_distant else around + marks
            leader = Path([spot, np.mean(box.get_points(), axis=0)])
            if (
                ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max)
                and not box.count_overlaps([*covered, *names, Bbox([spot - radius, spot + radius])])
                and not any(line.intersects_bbox(box, False) for line in (*lines, *leaders))
                and not (is_distant and any(leader.intersects_bbox(crossed, False) for crossed in (*names, *marks)))
                and not (is_distant and any(leader.intersects_path(other, False) for other in leaders))
            ):  # fmt: skip
                break
        names.append(box)
        leaders += [leader] * is_distant
        cast(FancyArrowPatch, text.arrow_patch).set_visible(is_distant)


def _place(text: Annotation, across: int, up: int) -> Bbox:
    """Moves a name to a place of its point; returns its box, without the line."""
    text.set(position=(across, up), ha="left" if across > 0 else "right" if across else "center")
    text.get_window_extent()  # moves it
    return Text.get_window_extent(text)


def _logarithmic(ax: Axes, costs: pd.Series) -> None:
    ax.set_xscale("log")
    ax.margins(x=0.1, y=0.08)
    low, high = ax.get_xlim()
    ratio = high / low
    between = (1.0,) if ratio > 300 else (1.0, 2.0, 5.0) if ratio > 4 else (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0)
    ax.xaxis.set_major_locator(LogLocator(10, subs=between))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(EngFormatter(sep="") if costs.max() >= 1000 else "{x:g}")


def frontier(inputs: Inputs) -> Figure:
    """Accuracy of small networks: ours with the largest budget, and public ones."""
    points = _by_parameters(inputs)
    small = points[_is_small(points)]
    if not small["kind"].isin([OURS, MOST_ACCURATE]).any():
        raise MissingInput(f"no network of ours has 9k to 100k parameters and 85 to 95%. Received: {inputs.dataset}")
    return plot_costs({"parameters": small}, inputs.title("Small networks", INTERVALS), with_front=True)


def costs(inputs: Inputs) -> Figure:
    """Accuracy against multiply-accumulates, size of the int8 file, latency and training time.

    Networks of which only one of these is known, such as large ones trained on a GPU, are left out if others have more.
    """
    ours, runs = our_networks(inputs), pd.concat([one.runs for one in inputs.largest])
    files = where(inputs.evidence.int8_files, dataset=inputs.dataset)
    on_cpu = runs[runs["device"].str.contains("CPU|core")]
    panels = {
        "multiply-accumulates per image": _by_experiment(runs, runs["macs"]),
        "size of the int8 file, bytes": _by_experiment(files, files.reindex(columns=["size_bytes"])["size_bytes"]),
        "int8 latency, ms (bar: lowest median to highest p90)": latencies(inputs, ours),
        "training on a CPU, minutes (bar: range over seeds)": _by_experiment(on_cpu, on_cpu["train_seconds"] / 60),
    }
    known = pd.concat(panels.values()).index.value_counts()
    ours = ours[ours.index.map(known) >= min(2, known.max())]
    joined = {label: ours.join(found, how="inner") for label, found in panels.items()}
    shown = {label: points for label, points in joined.items() if len(points)}
    return plot_costs(shown, inputs.title("Accuracy and cost", INTERVALS))


def latencies(inputs: Inputs, ours: pd.DataFrame) -> pd.DataFrame:
    """Returns the latency by experiment: median, lowest, and highest 90th percentile.

    Experiments that train the same network share their measurements: their order would be noise.
    """
    found = inputs.evidence.latencies.query("dataset == @inputs.dataset and runtime == 'litert-int8'")
    network = ours.groupby(["params", "macs"]).ngroup().rename("network")
    of_network = found.groupby(found["experiment"].map(network))
    columns = {"cost": ("p50_ms", "median"), "cost_low": ("p50_ms", "min"), "cost_high": ("p90_ms", "max")}
    times = of_network.agg(**columns)
    return network.to_frame().join(times, on="network", how="inner")[[*columns]]


def _by_experiment(frame: pd.DataFrame, values: pd.Series) -> pd.DataFrame:
    return values.groupby(frame["experiment"]).agg(cost="mean", cost_low="min", cost_high="max")


def our_networks(inputs: Inputs) -> pd.DataFrame:
    """Returns our networks of the largest budget, by experiment."""
    rows = {}
    for one in inputs.largest:
        accuracies = (100 * share for share in (one.accuracy.mean, one.accuracy.low, one.accuracy.high))
        size = one.runs[["params", "macs"]].iloc[0]
        rows[one.experiment] = (display_name(one.experiment), OURS, len(one.runs), *accuracies, *size)
    columns = ["name", "kind", "seeds", "accuracy", "low", "high", "params", "macs"]
    found = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    found.loc[found["accuracy"].where(found["params"] < 30_000).nlargest(1).index, "kind"] = MOST_ACCURATE
    return found


def _by_parameters(inputs: Inputs) -> pd.DataFrame:
    """Returns published networks, whose intervals are unknown, and ours."""
    published = PUBLISHED[PUBLISHED["dataset"] == inputs.dataset]
    kinds = published["is_system"].map({1: SYSTEM, 0: RECORD})
    published = published.assign(kind=kinds, accuracy=100 * published["accuracy"])
    points = pd.concat([published, our_networks(inputs)])
    return points.assign(**dict.fromkeys(("cost", "cost_low", "cost_high"), points["params"]))


def _is_small(points: pd.DataFrame) -> pd.Series:
    return points["params"].between(*SMALL) & points["accuracy"].between(*ZOOM)

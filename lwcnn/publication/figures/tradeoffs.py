"""Accuracy against cost: parameters, multiply-accumulates, bytes, milliseconds, minutes."""

from collections.abc import Callable, Mapping
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
from lwcnn.publication.figures.style import BASELINE, BEST, BLACK, Look, legend_below, new_panels, styled
from lwcnn.publication.names import display_name
from lwcnn.system.errors import wrong

MOST_ACCURATE, OURS = "measured here, most accurate below 30,000 parameters", "measured here"
SYSTEM, RECORD = "system to reproduce", "public network"
KINDS = {MOST_ACCURATE: (BEST, "*"), OURS: (BASELINE, "o"), SYSTEM: (BLACK, "s"), RECORD: (style.GREEN, "^")}
"""Color and marker by kind, in the order of the legend."""

SMALL, ZOOM = (9_000, 100_000), (85, 95)  # parameters and accuracies of the networks on the frontier
PLACES = [(6, 0), (-6, 0), (0, 9), (0, -9)]
PLACES += [(side, up * 7 * i) for i in range(1, 12) for side in (6, -6, 0, 24, -24, 48, -48) for up in (1, -1)]
"""Places of a label, in points to the right of its network and above it, the best first."""

THIN = {"arrowstyle": "-", "linewidth": 0.4, "color": "#777777", "shrinkA": 0, "shrinkB": 2}
INTERVALS = "95% bootstrap intervals over seeds and images; hollow: one seed, over images"


@styled(6.5, 3.8)
def plot_tradeoff(points: pd.DataFrame, cost_label: str, title: str = "", *, ax: Axes):
    """Draws accuracy against cost on a logarithmic axis, with labels and the Pareto front of the means as steps.

    A row is a network: `name`, `kind` of `KINDS`, `cost` above 0, `accuracy` in percent, with the ends `low` and `high`
    of its 95% interval. Networks with `seeds` 1, whose interval covers the images alone, are hollow.
    """
    if points.empty or not (points["cost"] > 0).all():
        raise wrong("Give points with a cost above 0", points["cost"].tolist())
    for kind, (color, marker) in KINDS.items():
        shown = points[points["kind"] == kind]
        for cost, *ends in shown[["cost", "low", "high"]].dropna().itertuples(index=False):
            ax.plot([cost, cost], ends, color=color, linewidth=0.9, alpha=0.7)
        single = shown["seeds"] == 1
        for some, is_hollow in ((shown[~single], False), (shown[single], True)):
            if len(some):
                ax.plot(some["cost"], some["accuracy"], marker, **_marker(kind, is_hollow))
    front = pareto_front(points)
    steps = np.repeat(front["cost"], 2)[1:], np.repeat(front["accuracy"], 2)[:-1]
    front_label = "Pareto front" if len(front) > 1 else None
    ax.plot(*steps, color=BLACK, linewidth=0.8, linestyle=(0, (4, 2)), label=front_label, zorder=1)
    _logarithmic(ax, points["cost"])
    ax.set(xlabel=cost_label, ylabel="test accuracy, %", title=title)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2)
    _label(ax, points)


@matplotlib.rc_context(fname=style.STYLE)
def plot_costs(panels: Mapping[str, pd.DataFrame], title: str = "") -> Figure:
    """Draws a panel per cost, each network with its name, and bars for intervals and spreads.

    `panels` maps the label of a cost to points as in `plot_tradeoff`, with `cost_low` and `cost_high`, the ends of its
    spread. No front is drawn: if spreads overlap, the data give no order.
    """
    rows = -(-len(panels) // 2)
    figure, axes = new_panels(6.8, 0.6 + 3.0 * rows, 2, rows, sharey=True)
    for (label, shown), ax in zip(panels.items(), axes):
        for one in shown.itertuples():
            across = [[one.cost - one.cost_low], [one.cost_high - one.cost]]
            up = [[one.accuracy - one.low], [one.high - one.accuracy]]
            look = _marker(one.kind, one.seeds == 1)
            ax.errorbar(one.cost, one.accuracy, up, across, fmt=KINDS[one.kind][1], elinewidth=1, **look)
        _logarithmic(ax, pd.concat([shown["cost_low"], shown["cost_high"]]))
        ax.set(xlabel=label, ylabel="test accuracy, %" if ax in axes[::2] else "")
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    figure.suptitle(title)
    legend_below(figure)
    for shown, ax in zip(panels.values(), axes):
        _label(ax, shown, bold="")  # a bold font adds 5 kB to the PDF
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


def _label(ax: Axes, points: pd.DataFrame, bold: str = MOST_ACCURATE) -> None:
    """Writes names beside their points, with thin lines to distant ones.

    Names are placed one after the other. Several orders are tried; the one with the fewest crossings is kept.
    """
    figure = cast(Figure, ax.figure)
    figure.draw_without_rendering()  # places are in pixels: the layout has to be known
    texts: dict[int, Annotation] = {}
    for i, one in enumerate(points.itertuples()):
        if one.name:
            look: Look = {"va": "center", "fontsize": 6.5, "weight": "bold" if one.kind == bold else "normal"}
            where: Look = {"xytext": PLACES[0], "textcoords": "offset points", "arrowprops": THIN}
            texts[i] = ax.annotate(one.name, (one.cost, one.accuracy), **where, **look)
    drawn = [line for line in ax.lines if line.get_linestyle() != "None"]
    lines = [line.get_transform().transform_path(line.get_path()) for line in drawn]
    lines += [ax.transData.transform_path(path) for bars in ax.collections for path in bars.get_paths()]
    spots = ax.transData.transform(points[["cost", "accuracy"]])
    keys: list[Callable[[int], float]] = [float, lambda i: -len(texts[i].get_text()), lambda i: -spots[i][0]]
    found = [_arrange(ax, {i: texts[i] for i in sorted(texts, key=key)}, spots, lines) for key in keys]
    _, places = min(found, key=lambda one: one[0])
    for i, place in places.items():
        _place(texts[i], *place)
        cast(FancyArrowPatch, texts[i].arrow_patch).set_visible(_is_distant(*place))


def _arrange(
    ax: Axes, texts: Mapping[int, Annotation], spots: np.ndarray, lines: list[Path]
) -> tuple[tuple[int, int], dict[int, tuple[int, int]]]:
    """Chooses for each name, in order, the nearest place that covers nothing and whose line crosses least.

    Returns how many names, points and lines are crossed, the number of lines, and the places, by number of the spot.
    """
    radius = 3 * cast(Figure, ax.figure).dpi / 72
    around = [Bbox([spot - 2 * radius, spot + 2 * radius]) for spot in spots]  # a name here would seem to be the spot's
    labels: list[Bbox] = []
    leaders: list[Path] = []
    places: dict[int, tuple[int, int]] = {}
    total = 0
    for i, text in texts.items():
        taken = [*around[:i], *around[i + 1 :], Bbox([spots[i] - radius, spots[i] + radius]), *labels]
        apart = [spot for spot in spots if np.abs(spot - spots[i]).max() > 2 * radius]
        others = [Bbox([spot - radius, spot + radius]) for spot in apart]
        usable: list[tuple[int, tuple[int, int]]] = []  # how many things the line crosses, and the place
        for place in PLACES:
            box = _place(text, *place)
            is_free = not box.count_overlaps(taken) and not any(line.intersects_bbox(box, False) for line in lines)
            if not (is_free and ax.bbox.contains(*box.min) and ax.bbox.contains(*box.max)):
                continue
            crossed = sum(line.intersects_bbox(box, False) for line in leaders)
            if _is_distant(*place):
                leader = Path([spots[i], np.mean(box.get_points(), axis=0)])
                crossed += sum(leader.intersects_bbox(each, False) for each in (*labels, *others))
                crossed += sum(leader.intersects_path(line, False) for line in leaders)
            usable.append((crossed, place))
            if not crossed:
                break
        crossed, places[i] = min(usable, key=lambda one: one[0], default=(10, PLACES[-1]))
        total += crossed
        labels.append(box := _place(text, *places[i]))
        if _is_distant(*places[i]):
            leaders.append(Path([spots[i], np.mean(box.get_points(), axis=0)]))
    return (total, len(leaders)), places


def _place(text: Annotation, across: int, up: int) -> Bbox:
    """Moves a name to a place of its point; returns its box, without the line."""
    text.set(position=(across, up), ha="left" if across > 0 else "right" if across else "center")
    text.get_window_extent()  # moves it
    return Text.get_window_extent(text)


def _is_distant(across: int, up: int) -> bool:
    return abs(across) > 6 or abs(up) > 9


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
    return plot_tradeoff(small, "parameters", inputs.title("Small networks", INTERVALS))


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
    return pd.concat([published, our_networks(inputs)]).assign(cost=lambda points: points["params"])


def _is_small(points: pd.DataFrame) -> pd.Series:
    return points["params"].between(*SMALL) & points["accuracy"].between(*ZOOM)

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
PUBLIC = "public network"
KINDS = {MOST_ACCURATE: (BEST, "*"), OURS: (BASELINE, "o"), PUBLIC: (style.GREEN, "^")}
"""Color and marker by kind, in the order of the legend."""

SMALL, ZOOM = (9_000, 100_000), (85, 95)  # parameters and accuracies of the networks on the frontier
PLACES = [(6, 0), (-6, 0), (0, 9), (0, -9)]
PLACES += [(side, up * 7 * i) for i in range(1, 12) for side in (6, -6, 0, 24, -24, 48, -48) for up in (1, -1)]
"""Places of a name, in points to the right of its network and above it, the best first."""

NUM_ROUNDS = 3
_ALIGNMENT = {1: "left", 0: "center", -1: "right"}  # by the side of the point
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
        _Names(ax, points.sort_values("cost"))
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


class _Names:
    """The names of points, written beside them, with thin lines to distant names.

    Each name in turn takes the first of `PLACES` where it covers and crosses least. After a few rounds, in which the
    other names are obstacles too, the places hardly change.
    """

    def __init__(self, ax: Axes, points: pd.DataFrame):
        self._ax, self._radius = ax, 3 * cast(Figure, ax.figure).dpi / 72
        self._spots = ax.transData.transform(points[["cost", "accuracy"]])
        drawn = [line for line in ax.lines if line.get_linestyle() != "None" and not np.isnan(line.get_xydata()).any()]
        self._lines = [line.get_transform().transform_path(line.get_path()) for line in drawn]
        texts = [
            ax.annotate(
                one.name, (one.cost, one.accuracy), PLACES[0], textcoords="offset points", arrowprops=THIN, va="center",
                fontsize=6.5, weight="bold" if one.kind == MOST_ACCURATE else "normal",
            )
            for one in points.itertuples()
        ]  # fmt: skip
        self._boxes = [self._at_places(text, spot) for text, spot in zip(texts, self._spots)]
        self._chosen = [0] * len(texts)
        for i in list(range(len(texts))) * NUM_ROUNDS:
            self._choose(i)
        for text, k in zip(texts, self._chosen):
            text.set(position=PLACES[k], ha=_ALIGNMENT[np.sign(PLACES[k][0])])
            cast(FancyArrowPatch, text.arrow_patch).set_visible(_is_distant(PLACES[k]))

    def _at_places(self, text: Annotation, spot: np.ndarray) -> list[Bbox]:
        """Returns the box of a name, without its line, at each of `PLACES`."""
        scale, size = cast(Figure, self._ax.figure).dpi / 72, np.array(Text.get_window_extent(text).size)
        centers = [spot + scale * np.array(place) + [np.sign(place[0]) * size[0] / 2, 0] for place in PLACES]
        return [Bbox([center - size / 2, center + size / 2]) for center in centers]

    def _choose(self, i: int) -> None:
        spot, radius, others = self._spots[i], self._radius, [j for j in range(len(self._boxes)) if j != i]
        distances = np.abs(self._spots - spot).max(axis=1)
        marks = [Bbox([other - radius, other + radius]) for other in self._spots[distances > radius]]
        far = self._spots[distances > 2 * radius]
        taken = [Bbox([other - 2 * radius, other + 2 * radius]) for other in far]  # would seem to be theirs
        names = [self._boxes[j][self._chosen[j]] for j in others]
        leaders = [self._leader(j, self._chosen[j]) for j in others if _is_distant(PLACES[self._chosen[j]])]
        taken += [*names, *marks, Bbox([spot - radius, spot + radius])]
        conflicts: list[int] = []
        for k, box in enumerate(self._boxes[i]):
            outside = not (self._ax.bbox.contains(*box.min) and self._ax.bbox.contains(*box.max))
            crossed = sum(line.intersects_bbox(box, False) for line in (*self._lines, *leaders))
            if _is_distant(PLACES[k]):
                own = self._leader(i, k)
                crossed += sum(own.intersects_bbox(other, False) for other in (*names, *marks))
                crossed += sum(own.intersects_path(other, False) for other in leaders)
            conflicts.append(10 * outside + crossed + box.count_overlaps(taken))
            if not conflicts[-1]:
                break
        self._chosen[i] = int(np.argmin(conflicts))

    def _leader(self, i: int, k: int) -> Path:
        return Path([self._spots[i], np.mean(self._boxes[i][k].get_points(), axis=0)])


def _is_distant(place: tuple[int, int]) -> bool:
    return abs(place[0]) > 6 or abs(place[1]) > 9


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
    title = inputs.title("Networks of 9,000 to 100,000 parameters", f"{INTERVALS}; public ones: no intervals")
    return plot_costs({"parameters": small}, title, with_front=True)


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
    published = published.assign(kind=PUBLIC, accuracy=100 * published["accuracy"])
    points = pd.concat([published, our_networks(inputs)])
    return points.assign(**dict.fromkeys(("cost", "cost_low", "cost_high"), points["params"]))


def _is_small(points: pd.DataFrame) -> pd.Series:
    return points["params"].between(*SMALL) & points["accuracy"].between(*ZOOM)

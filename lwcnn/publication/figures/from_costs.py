"""The figures of what accuracy costs: parameters, multiply-accumulates, bytes, milliseconds and minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims.literature import PUBLISHED
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.style import new_panels
from lwcnn.publication.figures.tradeoffs import HEADLINE, OURS, RECORD, SYSTEM, Point, plot_costs, plot_tradeoff
from lwcnn.publication.names import HEADLINE as HEADLINE_EXPERIMENT
from lwcnn.publication.names import display_name

SMALL = (10_000, 100_000)  # parameters of the networks on the frontier
ZOOM = (0.85, 0.95)  # their accuracies
INTERVALS = "95 % bootstrap intervals over seeds and images"
LATENCY_RUNTIMES = {"litert-int8": "LiteRT int8", "litert": "LiteRT"}  # the first that was measured


def frontier(inputs: Inputs) -> Figure:
    """Accuracy of small networks: ours with full budget, and public ones."""
    small = _small(_points(inputs))
    if not any(point.kind in (OURS, HEADLINE) for point in small):
        raise MissingInput(
            f"no network of ours has 10k to 100k parameters and 85 to 95 %. Received: {inputs.dataset!r}"
        )
    return plot_tradeoff(small, "parameters", inputs.title("Small networks", INTERVALS), ZOOM)


def parameters(inputs: Inputs) -> Figure:
    """Accuracy against parameters: ours with full budget, the systems to reproduce and public networks.

    Where the small ones are crowded, a second panel enlarges them, and they have no names in the first.
    """
    points = _points(inputs)
    small, title = _small(points), inputs.title("Parameters and accuracy", INTERVALS)
    if not small or len(small) == len(points):
        return plot_tradeoff(points, "parameters", title)
    figure, axes = new_panels(10, 4.2, 2)
    shown = [point if point not in small or point.kind == HEADLINE else replace(point, name="") for point in points]
    plot_tradeoff(shown, "parameters", "all networks", ax=axes[0])
    plot_tradeoff(small, "parameters", "10,000 to 100,000 parameters, 85 to 95 %", ZOOM, ax=axes[1])
    figure.suptitle(title)
    return figure


def _small(points: Sequence[Point]) -> list[Point]:
    return [p for p in points if SMALL[0] <= p.cost <= SMALL[1] and ZOOM[0] <= p.accuracy <= ZOOM[1]]


def costs(inputs: Inputs) -> Figure:
    """Accuracy against multiply-accumulates, size of the int8 file, latency and training time."""
    size, time, runtime = _int8_bytes(inputs), *latencies(inputs)
    on_cpu = {name: runs[runs["device"].str.contains("CPU|core")] for name, runs in inputs.networks.items()}
    minutes = {name: runs["train_seconds"] / 60 for name, runs in on_cpu.items() if len(runs)}
    panels: dict[str, Mapping[str, tuple[float, ...]]] = {
        "multiply-accumulates per image": {name: (runs["macs"].iloc[0],) for name, runs in inputs.networks.items()},
        "size of the int8 file, bytes": {name: (value,) for name, value in size.items()},
        f"latency, ms, {runtime} (bar: to 90th percentile)": time,
        "training on a CPU, minutes (bar: range over seeds)": {
            n: (m.mean(), m.min(), m.max()) for n, m in minutes.items()
        },
    }
    points = {
        label: [_ours(inputs, name, values[0], (min(values), max(values))) for name, values in found.items()]
        for label, found in panels.items()
        if found
    }
    return plot_costs(points, inputs.title("Accuracy and cost", INTERVALS))


def _points(inputs: Inputs) -> list[Point]:
    """Published networks and ours of the full budget, by parameters."""
    reported = PUBLISHED[PUBLISHED["dataset"] == inputs.dataset].itertuples()
    found = [Point(one.name, one.params, one.accuracy, SYSTEM if one.is_system else RECORD) for one in reported]
    return found + [_ours(inputs, name, runs["params"].iloc[0]) for name, runs in inputs.networks.items()]


def _ours(inputs: Inputs, experiment: str, cost: float, spread: tuple[float, float] | None = None) -> Point:
    found = inputs.estimate(inputs.networks[experiment])
    kind = HEADLINE if experiment == HEADLINE_EXPERIMENT else OURS
    return Point(display_name(experiment), cost, found.mean, kind, (found.low, found.high), spread)


def _int8_bytes(inputs: Inputs) -> pd.Series:
    """Bytes of the experiments' int8 files, by experiment."""
    found = inputs.evidence.exports
    if found.empty:
        return pd.Series(dtype=float)
    found = found[(found["dataset"] == inputs.dataset) & found["format"].str.contains("int8")]
    return found[found["experiment"].isin(list(inputs.networks))].set_index("experiment")["size_bytes"]


def latencies(inputs: Inputs) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Median, and median to 90th percentile, of the latency by experiment, and the runtime's name.

    Experiments that train the same network share their measurements: their order would be noise.
    """
    found = inputs.evidence.latencies
    found = found[(found["dataset"] == inputs.dataset) & found["experiment"].isin(list(inputs.networks))]
    for runtime, name in LATENCY_RUNTIMES.items():
        rows = found[found["runtime"] == runtime].set_index("experiment")
        if rows.empty:
            continue
        networks = {e: inputs.networks[e].iloc[0][["params", "macs"]].tolist() for e in rows.index}
        times = {}
        for experiment in rows.index:
            alike = rows.loc[[other for other in rows.index if networks[other] == networks[experiment]]]
            slow = alike["p90_ms"] if "p90_ms" in alike else alike["p50_ms"]
            times[experiment] = float(np.median(alike["p50_ms"])), float(alike["p50_ms"].min()), float(slow.max())
        return times, name
    return {}, ""

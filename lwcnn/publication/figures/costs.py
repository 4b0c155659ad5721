"""The figures of what accuracy costs: parameters, multiply-accumulates, bytes, milliseconds and minutes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    """Accuracy against parameters: ours with full budget, the systems to reproduce and public networks."""
    points = _points(inputs)
    small, title = _small(points), inputs.title("Parameters and accuracy", INTERVALS)
    if not small or len(small) == len(points):
        return plot_tradeoff(points, "parameters", title)
    figure, axes = new_panels(10, 4.2, 2)  # the second enlarges the small ones, which have no names in the first
    shown = [point if point not in small or point.kind == HEADLINE else replace(point, name="") for point in points]
    plot_tradeoff(shown, "parameters", "all networks", ax=axes[0])
    plot_tradeoff(small, "parameters", "10,000 to 100,000 parameters, 85 to 95 %", ZOOM, ax=axes[1])
    figure.suptitle(title)
    return figure


def _small(points: Sequence[Point]) -> list[Point]:
    return [p for p in points if SMALL[0] <= p.cost <= SMALL[1] and ZOOM[0] <= p.accuracy <= ZOOM[1]]


def costs(inputs: Inputs) -> Figure:
    """Accuracy against multiply-accumulates, size of the int8 file, latency and training time."""
    networks, (time, runtime) = inputs.networks, latencies(inputs)
    on_cpu = {name: runs[runs["device"].str.contains("CPU|core")] for name, runs in networks.items()}
    minutes = {name: runs["train_seconds"] / 60 for name, runs in on_cpu.items() if len(runs)}
    panels: dict[str, Mapping[str, tuple[float, ...]]] = {
        "multiply-accumulates per image": {name: (runs["macs"].iloc[0],) for name, runs in networks.items()},
        "size of the int8 file, bytes": {name: (size,) for name, size in _int8_bytes(inputs).items()},
        f"latency, ms, {runtime} (bar: to 90th percentile)": time,
        "training on a CPU, minutes (bar: range over seeds)": {
            name: (each.mean(), each.min(), each.max()) for name, each in minutes.items()
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


def _int8_bytes(inputs: Inputs) -> dict[str, float]:
    """Returns the bytes of the experiments' int8 files."""
    found = inputs.evidence.exports
    if found.empty:
        return {}
    found = found[(found["dataset"] == inputs.dataset) & found["format"].str.contains("int8")]
    return found[found["experiment"].isin(list(inputs.networks))].set_index("experiment")["size_bytes"].to_dict()


def latencies(inputs: Inputs) -> tuple[dict[str, tuple[float, float, float]], str]:
    """Returns median, lowest and highest latency (median to 90th percentile) by experiment, and the runtime's name.

    Experiments that train the same network share their measurements: their order would be noise.
    """
    found = inputs.evidence.latencies
    found = found[(found["dataset"] == inputs.dataset) & found["experiment"].isin(list(inputs.networks))]
    for runtime, name in LATENCY_RUNTIMES.items():
        if (rows := found[found["runtime"] == runtime]).empty:
            continue
        sizes = rows["experiment"].map(lambda one: tuple(inputs.networks[one].iloc[0][["params", "macs"]]))
        times = rows.groupby(sizes).agg(median=("p50_ms", "median"), low=("p50_ms", "min"), high=("p90_ms", "max"))
        return {one: tuple(times.loc[[size]].iloc[0]) for one, size in zip(rows["experiment"], sizes)}, name
    return {}, ""

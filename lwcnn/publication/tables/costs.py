"""Cost of running the networks, and its growth with the image size."""

from dataclasses import dataclass

import pandas as pd

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.results import DISPLAY_NAMES
from lwcnn.publication.claims.literature import PUBLISHED
from lwcnn.publication.claims.measurement import Measurement, mean_and_spread, or_missing
from lwcnn.publication.counts import counts
from lwcnn.publication.evidence import LARGEST, Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.table import Cell, Table

_OURS = {
    "mnist": ("paper", "residual_se"),
    "fashion_mnist": ("residual_se", "wren_15k"),
    "cifar10": (
        *("paper", "residual_se_small", "residual_se", "residual_se_distilled", "residual_se_muon"),
        *("wren_20k", "wren_30k", "wren_100k"),
    ),
}
HEADLINE = [(dataset, name) for dataset, names in _OURS.items() for name in names]
"""The networks of the README's table: the paper's and ours."""

SHIPPED = [*HEADLINE, ("cifar10", "repo_residual_se"), ("cifar10", "repo_baseline")]

RUNTIMES = ("litert", "litert-int8", "onnx")


@dataclass(frozen=True)
class Reference:
    """A reference or comparison network, and the experiment that trains it as claimed or at its best.

    `claimed` is the accuracy in its own text, in percent; `epochs` that of our training where it is shorter.
    """

    network: str
    experiment: str
    preset: str
    claimed: str
    epochs: int | None = None

    @property
    def run(self) -> str:
        """Name of the experiment in results."""
        return self.experiment if self.epochs is None else f"{self.experiment}-epochs{self.epochs}"

    @property
    def options(self) -> str:
        """Options of `lwcnn train` after the data set."""
        return f"--preset {self.preset}" + (f" --epochs {self.epochs}" if self.epochs else "")

    @property
    def length(self) -> str:
        """Length of the training, such as "100 of 250 epochs"."""
        full = get_experiment(self.experiment, self.preset).num_epochs
        return f"{self.epochs} of {full} epochs" if self.epochs else f"{full} epochs"


REFERENCES = (  # claims are those of the systems' own texts, see lwcnn/models/baselines/resnet.py
    Reference("se_resnet", "se_resnet", "full", "94 (validation)", 30),
    Reference("resnet_4443", "resnet_4443", "full", "94.65", 60),
    Reference("narrow_resnet18", "narrow_resnet18", "full", "95.53", 100),
    Reference("resnet18", "resnet18", "medium", ""),
    Reference("resnet8", "resnet8", "medium", ""),
    Reference("mobilenet_v2", "mobilenet_v2_momentum", "quick", ""),
    Reference("efficientnet_b0", "efficientnet_b0", "quick", ""),
)


def references(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Reference and comparison networks: size, cost, the claimed accuracy and that of our own runs."""
    rows = []
    for one in (one for one in REFERENCES if one.network in evidence.networks.index):
        costs = evidence.networks.loc[one.network]
        row: list[Cell] = [
            named(one.network),
            f"{costs['params']:,}",
            f"{costs['macs'] / 1e6:,.1f}",
            f"{costs['float32_bytes'] / 1e6:.1f}",
            f"{costs['memory_mb']['total']:.1f}",
            or_missing(_latency, evidence, "", one.network, "litert", 2),
            one.claimed,
            or_missing(_trained, evidence, dataset, one),
            f"`lwcnn train {one.experiment} --dataset {dataset} {one.options}`",
        ]
        rows.append(row)
    head = ["network", "parameters", "MACs, M", "float32 MB", "memory MB", "LiteRT ms", "claimed %, not ours"]
    return Table([*head, "test % here", "trained by"], [rows])


def published(evidence: Evidence) -> Table:
    """Published results shown in the figures, each with its source."""
    groups = [
        [
            [one.dataset, one.name, f"{one.params:,}", f"{100 * one.accuracy:.2f}", one.source]
            for one in rows.itertuples()
        ]
        for _, rows in PUBLISHED.groupby("dataset", sort=False)
    ]
    return Table(["data", "network", "parameters", "reported %", "source"], groups)


def _latency(evidence: Evidence, dataset: str, name: str, runtime: str, digits: int) -> str:
    """Returns the median and, in parentheses, the 90th percentile."""
    p50, p90 = (evidence.latency(dataset, name, runtime, one) for one in ("p50_ms", "p90_ms"))
    return f"{p50:.{digits}f} ({p90:.{digits}f})"


def _trained(evidence: Evidence, dataset: str, one: Reference) -> str:
    runs = evidence.select(dataset, one.run, LARGEST)
    return f"{mean_and_spread(runs['test_accuracy']).bare()} ({one.length})"


def efficiency(evidence: Evidence) -> Table:
    """Parameters, multiply-accumulates, int8 file and latency of the networks that one would deploy."""
    groups: dict[str, list[list[Cell]]] = {}
    for dataset, name in SHIPPED:
        counted = counts(dataset, name)
        exported = or_missing(evidence.export, dataset, name, "litert-int8")
        if isinstance(exported, Measurement):
            int8: list[Cell] = [exported, "", ""]
        else:
            change = Measurement(-exported["drop_points"], signed=True)
            int8 = [f"{exported['size_bytes']:,.0f}", f"{exported['gzip_bytes']:,.0f}", change]
        times = [or_missing(_latency, evidence, dataset, name, runtime, 3) for runtime in RUNTIMES]
        macs = f"{counted.macs / 1e6:.2f}"
        row = [DISPLAY_NAMES[dataset], named(name), f"{counted.params:,}", macs, *int8, *times]
        groups.setdefault(dataset, []).append(row)
    head = ["data", "network", "parameters", "MACs, M", "int8, bytes", "gzip", "points", "LiteRT", "int8", "ONNX"]
    return Table(head, list(groups.values()), "llrrrrrrrr")


def _accuracy(evidence: Evidence, dataset: str, name: str) -> Measurement:
    return mean_and_spread(evidence.select(dataset, name)["test_accuracy"]).bare()


def _minutes(runs: pd.DataFrame) -> str:
    """Returns the minutes of training with the device, unless it is a CPU, whose name tells its cores."""
    device = runs["device"].iloc[0]
    shown = "" if device.endswith("cores") else f" ({device.removeprefix('NVIDIA ')})"
    return f"{runs['train_seconds'].mean() / 60:.0f}{shown}"


def headline(evidence: Evidence) -> Table:
    """Accuracy, size, latency and training time of the paper's network and ours."""
    rows: list[list[Cell]] = []
    for dataset, name in HEADLINE:
        exported = or_missing(evidence.export, dataset, name, "litert-int8")
        size = exported if isinstance(exported, Measurement) else f"{exported['size_bytes']:,.0f}"
        accuracy: Cell = or_missing(_accuracy, evidence, dataset, name)
        minutes = (
            "" if isinstance(accuracy, Measurement) and accuracy.needs else _minutes(evidence.select(dataset, name))
        )
        latency = or_missing(_latency, evidence, dataset, name, "litert-int8", 3)
        params = f"{counts(dataset, name).params:,}"
        rows.append([named(name), DISPLAY_NAMES[dataset], params, accuracy, size, latency, minutes])
    return Table(["network", "data", "parameters", "test %", "int8 bytes", "int8 ms (p90)", "training minutes"], [rows])

"""Tables with a row per network: what it reaches, beside its goals and its costs."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import NamedTuple

import pandas as pd

from lwcnn.experiments.results import DISPLAY_NAMES
from lwcnn.publication.claims.literature import GOALS, PAPER_ACCURACY
from lwcnn.publication.claims.measurement import Measurement, mean_and_spread
from lwcnn.publication.counts import counts
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.table import Cell, Table, table_of

_OURS = {
    "mnist": ("paper", "residual_se", "wren_15k"),
    "fashion_mnist": ("residual_se", "wren_15k"),
    "cifar10": (
        *("paper", "residual_se_small", "residual_se", "residual_se_distilled", "residual_se_muon"),
        *("wren_10k", "wren_20k", "wren_30k", "wren_100k"),
    ),
}
HEADLINE = [("mnist", "paper"), ("mnist", "wren_15k"), ("fashion_mnist", "wren_15k"), ("cifar10", "paper")]
HEADLINE += [("cifar10", name) for name in ("wren_10k", "wren_20k", "wren_30k", "residual_se_muon", "wren_100k")]
"""The networks of the README's table: the paper's and the Wren family."""

SHIPPED = [(dataset, name) for dataset, names in _OURS.items() for name in names]
SHIPPED += [("cifar10", "repo_residual_se"), ("cifar10", "repo_baseline")]

_REPRODUCTION = ("paper", "paper_as_published", "paper_tuned")
_MORE = {"mnist": ("paper_batch64",), "cifar10": ("paper_tuned_one_go",)}
_WITHOUT_GOAL = (
    *("residual_se_distilled", "residual_se_muon", "residual_se_small_distilled", "residual_plain", "residual_cbam"),
    "repo_baseline_frozen",
)


class Network(NamedTuple):
    """An experiment on a data set, with the results of its largest preset."""

    evidence: Evidence
    dataset: str
    experiment: str

    @property
    def runs(self) -> pd.DataFrame:
        return self.evidence.select(self.dataset, self.experiment)

    @property
    def int8(self) -> pd.Series:
        return self.evidence.export(self.dataset, self.experiment, "litert-int8")

    @property
    def minutes(self) -> str:
        """Minutes of training with the device, unless it is a CPU, whose name tells its cores."""
        device = self.runs["device"].iloc[0]
        shown = "" if device.endswith("cores") else f" ({device.removeprefix('NVIDIA ')})"
        return f"{self.runs['train_seconds'].mean() / 60:.0f}{shown}"

    @property
    def interval(self) -> str:
        found = self.evidence.accuracy(self.dataset, self.experiment)
        return f"[{100 * found.low:.2f}, {100 * found.high:.2f}]"

    def goal(self, which: str) -> str:
        """The accuracy to `beat`, at `least` asked or to `aim` at."""
        goals = [goal for goal in GOALS if (goal.dataset, goal.experiment) == (self.dataset, self.experiment)]
        return "".join(f"{getattr(goal, which):g}" for goal in goals if pd.notna(getattr(goal, which)))

    def latency(self, runtime: str, digits: int = 3) -> str:
        """Returns the median of the milliseconds and, in parentheses, the 90th percentile."""
        p50, p90 = (self.evidence.latency(self.dataset, self.experiment, runtime, one) for one in ("p50_ms", "p90_ms"))
        return f"{p50:.{digits}f} ({p90:.{digits}f})"


Columns = dict[str, Callable[[Network], Cell]]

_DATA: Columns = {"data": lambda one: DISPLAY_NAMES[one.dataset]}
_NETWORK: Columns = {"network": lambda one: named(one.experiment)}
_EXPERIMENT: Columns = {"experiment": lambda one: named(one.experiment)}
_PARAMETERS: Columns = {"parameters": lambda one: f"{counts(one.dataset, one.experiment).params:,}"}
_BUDGET: Columns = {"preset": lambda one: one.runs["preset"].iloc[0], "seeds": lambda one: str(len(one.runs))}
_TEST: Columns = {
    "test": lambda one: mean_and_spread(one.runs["test_accuracy"]).bare(),
    "95 % interval": lambda one: one.interval,
}


def headline(evidence: Evidence) -> Table:
    """Accuracy, size, latency and training time of the paper's network and ours."""
    columns: Columns = {
        "test %": lambda one: mean_and_spread(one.runs["test_accuracy"]).bare(),
        "int8 bytes": lambda one: f"{one.int8['size_bytes']:,.0f}",
        "int8 ms (p90)": lambda one: one.latency("litert-int8"),
        "training minutes": lambda one: one.minutes,
    }
    columns = _NETWORK | _DATA | _PARAMETERS | columns
    return table_of(columns, [Network(evidence, *pair) for pair in HEADLINE])


def efficiency(evidence: Evidence) -> Table:
    """Parameters, multiply-accumulates, int8 file and latency of the networks that one would deploy."""
    columns: Columns = {
        "MACs, M": lambda one: f"{counts(one.dataset, one.experiment).macs / 1e6:.2f}",
        "int8, bytes": lambda one: f"{one.int8['size_bytes']:,.0f}",
        "gzip": lambda one: f"{one.int8['gzip_bytes']:,.0f}",
        "points": lambda one: Measurement(-one.int8["drop_points"], signed=True),
        "LiteRT": lambda one: one.latency("litert"),
        "int8": lambda one: one.latency("litert-int8"),
        "ONNX": lambda one: one.latency("onnx"),
    }
    return _by_dataset(evidence, _DATA | _NETWORK | _PARAMETERS | columns, SHIPPED, "llrrrrrrrr")


def reproduction(evidence: Evidence) -> Table:
    """The paper's architecture on its three data sets: the paper's accuracy and ours."""
    pairs = [(dataset, name) for dataset in PAPER_ACCURACY for name in (*_REPRODUCTION, *_MORE.get(dataset, ()))]
    validation: Columns = {"validation": lambda one: mean_and_spread(one.runs["val_accuracy"]).bare()}
    paper: Columns = {"paper": lambda one: f"{100 * PAPER_ACCURACY[one.dataset]:.0f}"}
    return _by_dataset(evidence, _DATA | _EXPERIMENT | _BUDGET | validation | _TEST | paper, pairs)


def improved(evidence: Evidence) -> Table:
    """Other systems' networks and ours: parameters, accuracy and goals."""
    without_goal = {"cifar10": _WITHOUT_GOAL, "fashion_mnist": (), "mnist": ()}
    pairs = [
        (dataset, name)
        for dataset, more in without_goal.items()
        for name in (*(goal.experiment for goal in GOALS if goal.dataset == dataset), *more)
    ]
    goals: Columns = {
        "to beat": lambda one: one.goal("beat"),
        "goal": lambda one: one.goal("least"),
        "aim": lambda one: one.goal("aim"),
    }
    return _by_dataset(evidence, _DATA | _EXPERIMENT | _PARAMETERS | _BUDGET | _TEST | goals, pairs, "llrlllllll")


def _by_dataset(evidence: Evidence, columns: Columns, pairs: Iterable[tuple[str, str]], kinds: str = "") -> Table:
    """Makes a table with a group of networks per data set."""
    groups = [[Network(evidence, *pair) for pair in found] for _, found in groupby(pairs, lambda pair: pair[0])]
    return table_of(columns, *groups, kinds=kinds)

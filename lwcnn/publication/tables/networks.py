"""Tables with one row per network: accuracies, goals and costs, and the published results of others."""

from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import pandas as pd

from lwcnn.experiments.recipes import NETWORKS, get_experiment
from lwcnn.experiments.results import DATASET_ORDER, load_networks
from lwcnn.models.cost import count_macs
from lwcnn.publication.claims import GOALS, PAPER_ACCURACY, PUBLISHED, REFERENCES
from lwcnn.publication.evidence import Evidence, Network
from lwcnn.publication.measurement import Measurement, mean_and_spread
from lwcnn.publication.names import command_name, dataset_name, display_name, named
from lwcnn.publication.tables.table import Cell, Columns, Table, table_of

README_NETWORKS = (
    "wren-10k", "wren-20k", "wren-30k", "wren-30k-distilled", "wren-100k", "wren-100k-mixing", "wren-fast", "wren",
    "paper",
)  # fmt: skip
"""The networks of the README's table on CIFAR-10: the Wren family and the paper's. One on Fashion-MNIST follows."""

_DEPLOYED = {
    "mnist": ("paper", "residual_se", "wren_15k"),
    "fashion_mnist": ("residual_se", "wren_15k"),
    "cifar10": (
        "paper", "residual_se_small", "residual_se", "residual_se_distilled", "residual_se_muon", "wren_fast",
        "wren_5k", "wren_10k", "wren_20k", "wren_30k", "wren_30k_distilled", "wren_100k", "wren_100k_mixing",
        "repo_residual_se", "repo_baseline",
    ),
}  # fmt: skip
DEPLOYED = [(dataset, name) for dataset, names in _DEPLOYED.items() for name in names]

_TUNED = [("fashion_mnist", "paper"), ("fashion_mnist", "paper_tuned"), ("cifar10", "paper_tuned")]
CALIBRATED = sorted(
    [*_TUNED, *(pair for pair in DEPLOYED if pair != ("mnist", "paper"))],  # whose runs have no temperature
    key=lambda pair: DATASET_ORDER.index(pair[0]),
)

_REPRODUCTION = ("paper", "paper_as_published", "paper_tuned")
_MORE = {"mnist": ("paper_batch64",), "cifar10": ("paper_tuned_one_go",)}
_WITHOUT_GOAL = (
    "wren_5k",
    "wren_10k",
    "wren_30k_distilled",
    "residual_se_distilled",
    "residual_se_muon",
    "repo_baseline_frozen",
)


def mean_accuracy(one: Network) -> Measurement:
    return mean_and_spread(one.runs["test_accuracy"])


_DATA: Columns = {"data": lambda one: dataset_name(one.dataset)}
_NETWORK: Columns = {"network": lambda one: named(one.experiment)}
_EXPERIMENT: Columns = {"experiment": lambda one: named(one.experiment)}
_PARAMETERS: Columns = {"parameters": lambda one: f"{one.untrained.count_params():,}"}
_BUDGET: Columns = {"preset": lambda one: one.runs["preset"].iloc[0], "seeds": lambda one: str(len(one.runs))}
_TEST: Columns = {
    "test": mean_accuracy,
    "95% interval": lambda one: f"[{100 * one.accuracy.low:.2f}, {100 * one.accuracy.high:.2f}]",
}


def headline(evidence: Evidence) -> Table:
    """Accuracy, size, latency and training time of the paper's network and ours."""
    columns: Columns = {
        "test %": mean_accuracy,
        "int8 bytes": lambda one: f"{one.int8['size_bytes']:,.0f}",
        "int8 ms (p90)": _latency("litert-int8"),
        "training minutes": _minutes,
    }
    pairs = [*(("cifar10", name) for name in README_NETWORKS), ("fashion_mnist", "wren-15k")]
    names: Columns = {"network": lambda one: f"`{command_name(one.experiment)}`"}
    networks = [evidence.network(dataset, NETWORKS[name]) for dataset, name in pairs]
    return table_of(names | _DATA | _PARAMETERS | columns, networks)


def efficiency(evidence: Evidence) -> Table:
    """Parameters, multiply-accumulates, int8 file and latency of the networks for deployment."""
    columns: Columns = {
        "MACs, M": lambda one: f"{count_macs(one.untrained) / 1e6:.2f}",
        "int8, bytes": lambda one: f"{one.int8['size_bytes']:,.0f}",
        "gzip": lambda one: f"{one.int8['gzip_bytes']:,.0f}",
        "points": lambda one: Measurement(0 - one.int8["drop_points"], signed=True),
        "LiteRT": _latency("litert"),
        "int8": _latency("litert-int8"),
        "ONNX": _latency("onnx"),
    }
    timed = [pair for pair in DEPLOYED if pair[1] != "wren_30k_distilled"]  # it has the layers of Wren-30k
    return _by_dataset(evidence, _DATA | _NETWORK | _PARAMETERS | columns, timed, "llrrrrrrrr")


def reproduction(evidence: Evidence) -> Table:
    """The paper's architecture on its three datasets: the paper's accuracy and ours."""
    pairs = [(dataset, name) for dataset in PAPER_ACCURACY for name in (*_REPRODUCTION, *_MORE.get(dataset, ()))]
    validation: Columns = {"validation": lambda one: mean_and_spread(one.runs["val_accuracy"])}
    paper: Columns = {"paper": lambda one: f"{100 * PAPER_ACCURACY[one.dataset]:.0f}"}
    return _by_dataset(evidence, _DATA | _EXPERIMENT | _BUDGET | validation | _TEST | paper, pairs)


def improved(evidence: Evidence) -> Table:
    """Other systems' networks and ours: parameters, accuracy and goals."""
    goals = {(goal.dataset, goal.experiment): goal for goal in GOALS}
    pairs = sorted([*goals, *(("cifar10", name) for name in _WITHOUT_GOAL)], key=lambda pair: pair[0])

    def goal(which: str) -> Callable[[Network], Cell]:
        values = {pair: f"{value:g}" for pair, one in goals.items() if pd.notna(value := getattr(one, which))}
        return lambda one: values.get((one.dataset, one.experiment), "")

    columns: Columns = {"to beat": goal("beat"), "goal": goal("least"), "aim": goal("aim")}
    columns = _DATA | _EXPERIMENT | _PARAMETERS | _BUDGET | _TEST | columns
    return _by_dataset(evidence, columns, pairs, "llrlllllll")


def calibration(evidence: Evidence) -> Table:
    """ECE and loss, before and after temperature scaling, on the same seeds."""

    def mean(column: str, form: str) -> Callable[[Network], str]:
        return lambda one: f"{one.scaled_runs[column].mean():{form}}".removesuffix("%")

    columns: Columns = {
        "seeds": lambda one: str(len(one.scaled_runs)),
        "temperature": lambda one: temperatures(one.scaled_runs),
        "ECE %": mean("ece", ".2%"),
        "ECE scaled %": mean("ece_scaled", ".2%"),
        "loss": mean("test_loss", ".3f"),
        "loss scaled": mean("test_loss_scaled", ".3f"),
    }
    return _by_dataset(evidence, _DATA | _NETWORK | columns, CALIBRATED, "llrlrrrr")


def temperatures(runs: pd.DataFrame) -> str:
    """Returns the lowest and the highest temperature; one of them if they look the same."""
    found = runs["temperature"]
    return " to ".join(dict.fromkeys(f"{one:.2f}" for one in (found.min(), found.max())))


def references(evidence: Evidence) -> Table:
    """Reference and comparison networks: size, cost, claimed accuracy and our accuracy."""
    costs = load_networks(evidence.folder).set_index("model")
    claimed = PUBLISHED.set_index("name")["accuracy"]

    def runs(one: Any) -> Network:
        return evidence.network("cifar10", f"{one.experiment}-epochs{one.epochs}" if one.epochs else one.experiment)

    def trained(one: Any) -> str:
        length = f"{get_experiment(one.experiment, runs(one).runs['preset'].iloc[0]).num_epochs}"
        return f"{mean_accuracy(runs(one)).bare()} ({f'{one.epochs} instead of ' if one.epochs else ''}{length} epochs)"

    columns: Columns = {
        "network": lambda one: named(one.experiment),
        "parameters": lambda one: f"{costs['params'][one.network]:,}",
        "MACs, M": lambda one: f"{costs['macs'][one.network] / 1e6:,.1f}",
        "float32 MB": lambda one: f"{costs['float32_bytes'][one.network] / 1e6:.1f}",
        "memory MB": lambda one: f"{costs['memory_mb'][one.network]['total']:.1f}",
        "LiteRT ms": lambda one: _latency("litert", 2)(evidence.network("", one.network)),
        "claimed %, not ours": lambda one: (
            f"{100 * claimed[name]:g}" if (name := display_name(one.experiment)) in claimed else ""
        ),
        "test % here": trained,
    }
    return table_of(columns, [one for one in REFERENCES if one.network in costs.index])


def published(evidence: Evidence) -> Table:
    """Published results of other authors, each with its source."""
    columns: Columns = {
        "data": lambda row: dataset_name(row["dataset"]),
        "network": "{name}",
        "parameters": "{params:,}",
        "reported %": "{accuracy:.2%}",
        "source": "{source}",
    }
    groups = [rows.to_dict("records") for _, rows in PUBLISHED.groupby("dataset", sort=False)]
    return table_of(columns, *groups)


def _latency(runtime: str, digits: int = 3) -> Callable[[Network], str]:
    """Returns a column of median latency in ms, with the 90th percentile in parentheses."""
    shown = f"{{p50_ms:.{digits}f}} ({{p90_ms:.{digits}f}})"
    return lambda one: shown.format(**one.latency(runtime))


def _minutes(one: Network) -> str:
    """Returns the training minutes, and the device unless it is a CPU, whose name ends in "cores"."""
    device = one.runs["device"].iloc[0]
    shown = "" if device.endswith("cores") else f" ({device.removeprefix('NVIDIA ')})"
    return f"{one.runs['train_seconds'].mean() / 60:.0f}{shown}"


def _by_dataset(evidence: Evidence, columns: Columns, pairs: Iterable[tuple[str, str]], kinds: str = "") -> Table:
    """Makes a table with a group of networks per dataset."""
    groups = [[evidence.network(*pair) for pair in found] for _, found in groupby(pairs, lambda pair: pair[0])]
    return table_of(columns, *groups, kinds=kinds)

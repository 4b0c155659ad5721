r"""Values by name, which the report prints by `\val{name}` and the audit compares with claims.

A name is one of the patterns of `VALUES`, where <group> is <dataset>/<experiment> with the largest preset that was
run, or <dataset>/<experiment>/<preset>.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import keras

from lwcnn.data.known import INPUT_SHAPES
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.results import DATASET_ORDER, DISPLAY_NAMES, PRESETS_BY_SIZE, MissingInput
from lwcnn.models.configs import BRANCHES
from lwcnn.models.cost import count_macs, memory, trainable_params
from lwcnn.models.dual import build_submodel
from lwcnn.publication.evidence import Evidence, Network, summed_confusion, where
from lwcnn.publication.measurement import Measurement, gain, mean_and_spread, or_missing, percent, points
from lwcnn.publication.names import budget, display_name, split_epochs
from lwcnn.system.errors import require_known, wrong

Value = str | Measurement


def resolve(name: str, evidence: Evidence) -> Value | MissingInput:
    """Returns the value of a name: a text in inline Markdown or a measurement; the error if it is missing."""
    for pattern, find in VALUES.items():
        if found := re.fullmatch(pattern, name):
            parts = [_network(evidence, part) if "/" in part else part for part in found.groups()]
            return or_missing(find, evidence, *parts)
    raise wrong("A value is named as in lwcnn/publication/values.py", repr(name))


def _network(evidence: Evidence, group: str) -> Network:
    """Returns the network of a group, whose dataset, experiment and preset are known."""
    dataset, experiment, *presets = group.split("/")
    parts = [("dataset", dataset, DISPLAY_NAMES), ("experiment", split_epochs(experiment)[0], EXPERIMENT_NAMES)]
    parts += [("preset", preset, PRESETS_BY_SIZE) for preset in presets]
    for kind, name, known in parts:
        require_known(kind, name, known)
    return evidence.network(dataset, experiment, *presets)


def _origin(one: Network) -> str:
    epochs, seeds = split_epochs(one.experiment)[1], len(one.runs)
    return f"{epochs + ' epochs' if epochs else one.runs['preset'].iloc[0]}, {seeds} seed{'s' if seeds > 1 else ''}"


_QUANTITIES: dict[str, Callable[[Network], Value]] = {
    "spread": lambda one: mean_and_spread(one.runs["test_accuracy"]),
    "val": lambda one: percent(one.runs["val_accuracy"].mean()),
    "train": lambda one: percent(one.runs["train_accuracy"].mean()),
    "train minus test": lambda one: points((one.runs["train_accuracy"] - one.runs["test_accuracy"]).mean()),
    "ece": lambda one: percent(one.runs["ece"].mean(), 1, origin=f"ECE, {_origin(one)}"),
    "missed by all": lambda one: percent((~one.correct).all(axis=0).mean(), 1),
    "missed by some": lambda one: percent((one.correct.any(axis=0) & ~one.correct.all(axis=0)).mean(), 1),
    "seeds": lambda one: str(len(one.runs)),
    "budget": lambda one: budget(one.runs["preset"].iloc[0]),
    "minutes": lambda one: f"{one.runs['train_seconds'].mean() / 60:,.0f}",
    "seconds": lambda one: Measurement(
        one.runs["train_seconds"].mean(), "s", 0, origin=f"{_origin(one)}, {' and '.join(one.runs['device'].unique())}"
    ),
    "params": lambda one: _parameters(one.untrained.count_params()),
    "params of submodels": lambda one: _parameters(
        sum(build_submodel(INPUT_SHAPES[one.dataset], 10, branch).count_params() for branch in BRANCHES)
    ),
    "trainable": lambda one: _parameters(trainable_params(one.untrained)),
    "million MACs": lambda one: f"{count_macs(one.untrained) / 1e6:.1f}",
    "MiB": lambda one: _mebibytes(one.untrained.count_params()),
    "MiB with two slots": lambda one: _mebibytes(3 * one.untrained.count_params()),
    "memory": lambda one: Measurement(memory(one.untrained)["total"], "MB", 1, origin="counted"),
    "int8 accuracy": lambda one: percent(one.int8["accuracy_exported"], origin="int8"),
    "int8 bytes": lambda one: f"{one.int8['size_bytes']:,.0f}",
    "share of convolutions": lambda one: _share_of_convolutions(one.untrained),
}
"""Quantities of a network; a measurement without an origin is of its runs."""


def _quantity(evidence: Evidence, network: Network, quantity: str) -> Value:
    require_known("quantity", quantity, _QUANTITIES)
    value = _QUANTITIES[quantity](network)
    return value if isinstance(value, str) or value.origin else replace(value, origin=_origin(network))


def _parameters(count: int) -> Measurement:
    return Measurement(count, "parameters", 0, origin="counted")


def _mebibytes(floats: int) -> Measurement:
    return Measurement(4 * floats / 2**20, "MiB", 3, origin="float32")


def _share_of_convolutions(model: keras.Model) -> Measurement:
    count = sum(layer.count_params() for layer in model.layers if "Conv" in type(layer).__name__)
    return percent(count / model.count_params(), 1, origin=f"{count:,} of {model.count_params():,}")


def _require_alike(ours: Network, other: Network) -> None:
    if other.dataset != ours.dataset or other.preset not in (None, ours.preset):
        found = " and ".join(f"{one.dataset}/{one.experiment}/{one.preset}" for one in (ours, other))
        raise wrong("Compare experiments on one dataset, with one preset", found)


def _gain(evidence: Evidence, ours: Network, other: Network) -> Measurement:
    """Returns the difference to another experiment, for the largest preset that both were run with."""
    _require_alike(ours, other)
    for preset in (ours.preset,) if ours.preset else PRESETS_BY_SIZE:
        with suppress(MissingInput):
            found = replace(ours, preset=preset).minus(other.experiment)
            seeds = len(found.p_values)
            return gain(found, origin=f"{preset}, {seeds} seed{'s' if seeds > 1 else ''}")
    commands = [one.train_command(ours.preset or "quick", (0, 1, 2)) for one in (ours, other)]
    raise MissingInput(" and ".join(f"`lwcnn {command} --results {evidence.folder}`" for command in commands))


def _ece_change(evidence: Evidence, ours: Network, other: Network) -> Measurement:
    _require_alike(ours, other)
    other = replace(other, preset=ours.runs["preset"].iloc[0])
    runs = ours.runs.merge(other.runs, on="seed", suffixes=("", "_before"))
    if runs.empty:
        raise MissingInput(f"`{ours.experiment}` and `{other.experiment}` have no seed in common")
    eces = f"{100 * runs['ece_before'].mean():.1f} → {runs['ece'].mean():.1%}"
    origin = f"ECE {eces}, {runs['preset'].iloc[0]}, {len(runs)} seeds"
    return points((runs["ece"] - runs["ece_before"]).mean(), 1, origin=origin)


def _pair(evidence: Evidence, network: Network, first: str, second: str) -> Measurement:
    """Returns the share of all errors that confuse two classes, either way."""
    names = list(network.runs["per_class_accuracy"].iloc[0])
    matrix, a, b = summed_confusion(network.runs), names.index(first), names.index(second)
    return percent((matrix[a, b] + matrix[b, a]) / (matrix.sum() - matrix.trace()), 1)


def _folds(evidence: Evidence, network: Network, kind: str, quantity: str) -> Value:
    is_leaky = kind == "not reset"
    found = where(evidence.folds, dataset=network.dataset, experiment=network.experiment, leaky=is_leaky)
    if found.empty:
        command = f"kfold {network.experiment} --dataset {network.dataset}{' --leaky' * is_leaky}"
        raise MissingInput(f"`lwcnn {command} --results {evidence.folder}`")
    preset = found["preset"].iloc[0]  # the largest: they are in order
    folds = found[found["preset"] == preset]
    if quantity == "each":
        return ", ".join(f"{100 * share:.1f}" for share in folds["accuracy"])
    if quantity == "test_accuracy":
        return percent(folds["test_accuracy"].iloc[0], 1)
    test = f", test {folds['test_accuracy'].iloc[0]:.2%}" if is_leaky else ""
    return replace(mean_and_spread(folds["accuracy"]), origin=f"folds{test}, {preset}")


def _trial(evidence: Evidence, *names: str) -> Measurement:
    """Returns the accuracy of a trial, or the first minus the second."""
    accuracies = evidence.trials.set_index("trial")["val_accuracy"]
    if missing := [name for name in names if name not in accuracies.index]:
        raise MissingInput(f"the trial `{missing[0]}` is not in results/search")
    if len(names) == 1:
        return percent(accuracies[names[0]], 1)
    return points(accuracies[names[0]] - accuracies[names[1]], 1)


def _unfreezing(evidence: Evidence, which: str) -> Measurement:
    """Returns the change of accuracy as the paper's last phase begins, over the full runs on all datasets."""
    moves = []
    for dataset in DATASET_ORDER:
        for history in evidence.network(dataset, "paper", "full").runs["history"]:
            before, after = history[-2:]
            moves.append(after["history"][0]["val_accuracy"] - before["best_val_accuracy"])
    return points(min(moves) if which == "lowest" else max(moves), 1)


def _branch(evidence: Evidence, network: Network, branch: str) -> Measurement:
    """Returns training minus validation accuracy at the best epoch of a branch that was trained alone."""
    gaps = []
    for history in network.runs["history"]:
        phase = next(phase for phase in history if phase["name"] == branch)
        best = phase["history"][phase["best_epoch"] - 1]
        gaps.append(best["accuracy"] - best["val_accuracy"])
    return points(sum(gaps) / len(gaps), 1, origin=_origin(network))


def _amount(evidence: Evidence, what: str) -> str:
    frames = {"runs": evidence.runs, "trials": evidence.trials, "kfolds": evidence.folds.drop_duplicates("path")}
    if what == "hours":
        return f"{sum(frame['train_seconds'].sum() for frame in frames.values()) / 3600:.0f}"
    return str(len(frames[what]))


def _versions(evidence: Evidence, package: str) -> str:
    found = {versions[package] for versions in evidence.runs["versions"] if package in versions}
    return " and ".join(sorted(found))


def _int8(evidence: Evidence, what: str) -> Value:
    files = evidence.int8_files
    if files.empty:
        raise MissingInput("no model was exported as int8")
    return str(len(files)) if what == "count" else Measurement(files["drop_points"].max(), "points")


def _latency(evidence: Evidence, network: Network, runtime: str) -> Measurement:
    found = network.latency(runtime)
    origin = f"{display_name(network.experiment)}, {runtime}, one thread of {found['device']}"
    return Measurement(found["p50_ms"], "ms", 3 if found["p50_ms"] < 10 else 0, origin=origin)


def _benchmark(evidence: Evidence, name: str, row: str, column: str) -> str:
    """Returns a column of the row with these values of the benchmark's keys, as a mean if there are several seeds."""
    found = [
        one[column]
        for one in evidence.benchmark(name)["rows"]
        if [str(one[key]).removesuffix(".0") for key in _KEYS[name]] == row.split() and column in one
    ]
    if not found:
        raise MissingInput(f"`python benchmarks/{name}.py` has not measured {column} of {row}")
    return f"{sum(found) / len(found):{_COLUMNS[column]}}".removesuffix("%")


_KEYS = {
    "canvas": ("model",),
    "microcontroller": ("model",),
    "mlperf_tiny": ("network", "precision"),
    "prune": ("method", "experiment", "epochs"),
    "shrink": ("experiment", "sparsity"),
    "train_step": ("workload", "contender", "threads"),
}
"""What names a row of a benchmark."""

_COLUMNS = dict.fromkeys(("accuracy", "test_accuracy", "int8_accuracy"), ".2%")
_COLUMNS |= dict.fromkeys(("ece", "mean_iou", "average_precision"), ".1%")
_COLUMNS |= {
    "params": ",.0f",
    "size_bytes": ",.0f",
    "int8_gzip_bytes": ",.0f",
    "arena_bytes_head": ",.0f",
    "p50_ms": ".3f",
    "median": ".1f",
}
"""Columns of benchmarks and their formats."""

_GROUP = r"(\w+/\w+(?:-epochs\d+)?(?:/\w+)?)"
VALUES: dict[str, Callable[..., Value]] = {
    rf"{_GROUP}:([\w ]+)": _quantity,
    rf"{_GROUP} gain over {_GROUP}": _gain,
    rf"{_GROUP} ece minus {_GROUP}": _ece_change,
    rf"{_GROUP} pair (\w+) (\w+)": _pair,
    rf"{_GROUP} folds (from scratch|not reset):(each|spread|test_accuracy)": _folds,
    rf"{_GROUP} branch (original|augmented)": _branch,
    r"trial (\S+)": _trial,
    r"trial (\S+) gain over (\S+)": _trial,
    r"unfreezing (lowest|highest)": _unfreezing,
    r"number of (runs|trials|kfolds|hours)": _amount,
    r"version of ([\w-]+)": _versions,
    r"devices": lambda evidence: "; ".join(sorted(evidence.runs["device"].unique())),
    r"int8 (count|largest drop)": _int8,
    rf"latency {_GROUP} ([\w -]+)": _latency,
    rf"({'|'.join(_KEYS)}) ([\w. -]+):({'|'.join(_COLUMNS)})": _benchmark,
}

r"""Values by name, which the report prints by `\val{name}` and the audit compares with claims.

A name is one of the patterns of `VALUES`, where <group> is <data set>/<experiment> with the largest preset that was
run, or <data set>/<experiment>/<preset>.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from lwcnn.data.known import INPUT_SHAPES
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.results import DATASET_ORDER, PRESETS_BY_SIZE, MissingInput
from lwcnn.publication.claims.measurement import Measurement, gain, mean_and_spread, or_missing, percent
from lwcnn.publication.counts import Counts, counts
from lwcnn.publication.evidence import LARGEST, Evidence, pair_share, rows, summed_confusion
from lwcnn.publication.names import budget, display_name
from lwcnn.system.errors import LwcnnError, unknown_name

Value = str | Measurement
MEBIBYTE = 2**20

_OF_RUNS: dict[str, Callable[[pd.DataFrame], Value]] = {
    "test": lambda runs: percent(runs["test_accuracy"].mean()),
    "spread": lambda runs: mean_and_spread(runs["test_accuracy"]),
    "val": lambda runs: percent(runs["val_accuracy"].mean()),
    "train": lambda runs: percent(runs["train_accuracy"].mean()),
    "ece": lambda runs: percent(runs["ece"].mean(), 1),
    "seeds": lambda runs: str(len(runs)),
    "budget": lambda runs: budget(runs["preset"].iloc[0]),
    "minutes": lambda runs: f"{runs['train_seconds'].mean() / 60:,.0f}",
    "seconds": lambda runs: Measurement(runs["train_seconds"].mean(), "s", 0),
}
_OF_CORRECT: dict[str, Callable[[np.ndarray], Value]] = {
    "missed by all": lambda correct: percent(float((~correct).all(axis=0).mean()), 1),
    "missed by some": lambda correct: percent(float((correct.any(axis=0) & ~correct.all(axis=0)).mean()), 1),
}
_COUNTED: dict[str, Callable[[Counts], Measurement]] = {
    "params": lambda found: Measurement(found.params, "parameters", 0, origin="counted"),
    "trainable": lambda found: Measurement(found.trainable, "parameters", 0, origin="counted"),
    "MiB": lambda found: Measurement(4 * found.params / MEBIBYTE, "MiB", 3, origin="float32"),
    "MiB with two slots": lambda found: Measurement(12 * found.params / MEBIBYTE, "MiB", 3, origin="float32"),
    "share of convolutions": lambda found: percent(
        found.convolutional / found.params, 1, origin=f"{found.convolutional:,} of {found.params:,}"
    ),
}


def resolve(name: str, evidence: Evidence) -> Value:
    """Returns the value of a name: a text in inline Markdown, or a measurement, a missing one without its result."""
    for pattern, find in VALUES.items():
        if found := re.fullmatch(pattern, name):
            return or_missing(find, evidence, *found.groups())
    raise LwcnnError(f"A value is named as in lwcnn/publication/values.py. Received: {name!r}")


def _group(text: str) -> tuple[str, str, str]:
    """Returns data set, experiment and preset, each of them known."""
    dataset, experiment, preset = f"{text}/{LARGEST}".split("/")[:3]
    known = {"data set": DATASET_ORDER, "experiment": EXPERIMENT_NAMES, "preset": (*PRESETS_BY_SIZE, LARGEST)}
    base = experiment.partition("-epochs")[0]  # of `with_settings`
    for (kind, names), part in zip(known.items(), (dataset, base, preset)):
        if part not in names:
            raise unknown_name(kind, part, names)
    return dataset, experiment, preset


def _quantity(evidence: Evidence, group: str, quantity: str) -> Value:
    dataset, experiment, preset = _group(group)
    if quantity in _COUNTED:
        return _COUNTED[quantity](counts(dataset, experiment))
    if quantity in _OF_CORRECT:
        return _OF_CORRECT[quantity](evidence.correct(dataset, experiment, preset))
    if quantity not in _OF_RUNS:
        raise unknown_name("quantity", quantity, [*_OF_RUNS, *_COUNTED, *_OF_CORRECT])
    runs = evidence.select(dataset, experiment, preset)
    value = _OF_RUNS[quantity](runs)
    if isinstance(value, str):
        return value
    epochs = experiment.partition("-epochs")[2]
    length = f"{epochs} epochs" if epochs else runs["preset"].iloc[0]
    origin = f"{length}, {len(runs)} seed{'s' if len(runs) > 1 else ''}"
    if quantity == "seconds":
        origin += f", {' and '.join(runs['device'].unique())}"
    return replace(value, origin=f"ECE, {origin}" if quantity == "ece" else origin)


def _gain(evidence: Evidence, group: str, reference: str) -> Measurement:
    """Returns the difference to another experiment, for the largest preset that both were run with."""
    (dataset, experiment, preset), (_, other, _) = _group(group), _group(reference)
    for size in PRESETS_BY_SIZE if preset == LARGEST else (preset,):
        if all(evidence.has(dataset, name, size) for name in (experiment, other)):
            return gain(evidence.difference(dataset, experiment, other, size), origin=size)
    raise MissingInput(f"`lwcnn train {experiment} {other} --dataset {dataset} --preset quick --seeds 0 1 2`")


def _ece_change(evidence: Evidence, group: str, reference: str) -> Measurement:
    found, before = (evidence.select(*_group(one)).set_index("seed")["ece"] for one in (group, reference))
    change = 100 * (found - before).dropna()
    origin = f"ECE {100 * before.mean():.1f} → {100 * found.mean():.1f} %, {_group(group)[2]}, {len(change)} seeds"
    return Measurement(change.mean(), "points", 1, signed=True, origin=origin)


def _submodels(evidence: Evidence, dataset: str) -> Measurement:
    from lwcnn.models.dual import BRANCHES, build_submodel

    submodels = (build_submodel(INPUT_SHAPES[dataset], 10, name) for name in BRANCHES)
    return Measurement(sum(model.count_params() for model in submodels), "parameters", 0, origin="counted")


def _pair(evidence: Evidence, group: str, first: str, second: str) -> Measurement:
    runs = evidence.select(*_group(group))
    names = list(runs["per_class_accuracy"].iloc[0])
    return percent(pair_share(summed_confusion(runs), names.index(first), names.index(second)), 1)


def _folds(evidence: Evidence, group: str, kind: str, quantity: str) -> Value:
    dataset, experiment, _ = _group(group)
    is_leaky = kind == "not reset"
    found = rows(evidence.folds, dataset=dataset, experiment=experiment, leaky=is_leaky)
    if found.empty:
        raise MissingInput(f"`lwcnn kfold {experiment} --dataset {dataset}{' --leaky' * is_leaky}`")
    preset = found["preset"].iloc[0]  # the largest: they are in order
    folds = found[found["preset"] == preset]
    if quantity == "each":
        return " ".join(f"{100 * share:.1f}" for share in folds["accuracy"])
    if quantity == "test_accuracy":
        return percent(folds["test_accuracy"].iloc[0], 1)
    test = f", test {100 * folds['test_accuracy'].iloc[0]:.2f} %" if is_leaky else ""
    return replace(mean_and_spread(folds["accuracy"]), origin=f"folds{test}, {preset}")


def _trial(evidence: Evidence, *names: str) -> Measurement:
    """Returns the accuracy of a trial, or the first minus the second."""
    accuracies = evidence.trials.set_index("trial")["val_accuracy"]
    if missing := [name for name in names if name not in accuracies.index]:
        raise MissingInput(f"the trial `{missing[0]}` is not in results/search")
    if len(names) == 1:
        return percent(accuracies[names[0]], 1)
    return Measurement(100 * (accuracies[names[0]] - accuracies[names[1]]), "points", 1, signed=True)


def _unfreezing(evidence: Evidence, which: str) -> Measurement:
    """Returns the change of accuracy as the paper's last phase begins, over the full runs on all data sets."""
    moves = []
    for dataset in DATASET_ORDER:
        for history in evidence.select(dataset, "paper", "full")["history"]:
            before, after = history[-2:]
            moves.append(100 * (after["history"][0]["val_accuracy"] - before["best_val_accuracy"]))
    return Measurement((min if which == "lowest" else max)(moves), "points", 1, signed=True)


def _amount(evidence: Evidence, what: str) -> str:
    frames = {"runs": evidence.runs, "trials": evidence.trials, "kfolds": evidence.folds.drop_duplicates("path")}
    if what == "hours":
        return f"{sum(frame['train_seconds'].sum() for frame in frames.values()) / 3600:.0f}"
    return str(len(frames[what]))


def _versions(evidence: Evidence, package: str) -> str:
    found = {versions[package] for versions in evidence.runs["versions"] if package in versions}
    return " and ".join(sorted(found))


def _int8(evidence: Evidence, what: str) -> Value:
    records = evidence.exports[evidence.exports["format"] == "litert-int8"]
    if records.empty:
        raise MissingInput("no model was exported as int8")
    return str(len(records)) if what == "count" else Measurement(records["drop_points"].max(), "points")


def _exported(evidence: Evidence, dataset: str, experiment: str, what: str) -> Value:
    record = evidence.export(dataset, experiment, "litert-int8")
    return percent(record["accuracy_exported"]) if what == "accuracy" else f"{record['size_bytes']:,.0f}"


def _latency(evidence: Evidence, dataset: str, experiment: str, runtime: str) -> Measurement:
    found, device = evidence.latency(dataset, experiment, runtime), evidence.benchmark("bench")["machine"]["device"]
    origin = f"{display_name(experiment)}, {runtime}, one thread of {device}"
    return Measurement(found, "ms", 3 if found < 10 else 0, origin=origin)


def _load(evidence: Evidence, when: str) -> str:
    return f"{evidence.benchmark('bench')['machine'][f'load_average_{when}']:.1f}"


def _row(evidence: Evidence, benchmark: str, **values: object) -> dict:
    """Returns the row of a benchmark that has these values."""
    for row in evidence.benchmark(benchmark)["rows"]:
        if all(row[key] == value for key, value in values.items()):
            return row
    raise MissingInput(f"`python benchmarks/{benchmark}.py` has not measured {values}")


def _shrunk(evidence: Evidence, experiment: str, sparsity: str) -> Measurement:
    return percent(_row(evidence, "shrink", experiment=experiment, sparsity=float(sparsity))["int8_accuracy"])


def _step(evidence: Evidence, workload: str, contender: str, threads: str) -> str:
    row = _row(evidence, "train_step", workload=workload, contender=contender, threads=int(threads))
    return f"{row['median']:.1f}"


def _mlperf(evidence: Evidence, network: str, precision: str, what: str) -> Value:
    row = _row(evidence, "mlperf_tiny", network=network, precision=precision)
    shown: dict[str, Value] = {
        "accuracy": percent(row["accuracy"]),
        "ECE": percent(row["ece"], 1),
        "bytes": f"{row['size_bytes']:,}",
        "ms": Measurement(row["p50_ms"], "ms", 3),
    }
    return shown[what]


_GROUP = r"(\w+/\w+(?:-epochs\d+)?(?:/\w+)?)"
VALUES: dict[str, Callable[..., Value]] = {
    rf"{_GROUP}:([\w ]+)": _quantity,
    rf"{_GROUP} gain over {_GROUP}": _gain,
    rf"{_GROUP} ece minus {_GROUP}": _ece_change,
    rf"{_GROUP} pair (\w+) (\w+)": _pair,
    rf"{_GROUP} folds (from scratch|not reset):(each|spread|test_accuracy)": _folds,
    r"submodels (\w+)": _submodels,
    r"trial (\S+)": _trial,
    r"trial (\S+) gain over (\S+)": _trial,
    r"unfreezing (lowest|highest)": _unfreezing,
    r"number of (runs|trials|kfolds|hours)": _amount,
    r"version of ([\w-]+)": _versions,
    r"devices": lambda evidence: " and ".join(sorted(evidence.runs["device"].unique())),
    r"int8 (count|largest drop)": _int8,
    r"int8 (\w+)/(\w+):(accuracy|bytes)": _exported,
    r"latency (\w+)/(\w+) ([\w -]+)": _latency,
    r"load (before|after)": _load,
    r"pruned (\w+) ([\d.]+)": _shrunk,
    r"step (\w+) (\w+) (\d)": _step,
    r"MLPerf Tiny (ResNet-8|Wren) (float32|int8):(accuracy|bytes|ECE|ms)": _mlperf,
}

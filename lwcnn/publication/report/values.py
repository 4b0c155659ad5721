r"""Values that `research_report.tex` names by `\val{name}`.

A name is one of the patterns of `VALUES`, where <group> is <data set>/<experiment>/<preset>, such as
cifar10/paper/full; the preset may be "largest", the largest that was run.
"""

import re
from collections.abc import Callable

import numpy as np

from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.results import DATASET_ORDER, PRESETS_BY_SIZE, MissingInput, load_correct
from lwcnn.publication.claims.literature import PUBLISHED
from lwcnn.publication.claims.measurement import Measurement, accuracy, gain, missing, percent
from lwcnn.publication.counts import counts
from lwcnn.publication.evidence import LARGEST, Evidence
from lwcnn.publication.tables.accuracies import mean_and_spread
from lwcnn.publication.tables.errors import class_means, pair_share, summed_confusion
from lwcnn.system.errors import LwcnnError, unknown_name

Value = str | Measurement
Group = tuple[str, str, str]

_OF_RUNS: dict[str, Callable] = {
    "test": lambda runs: percent(runs["test_accuracy"].mean()),
    "spread": lambda runs: mean_and_spread(runs["test_accuracy"]),
    "val": lambda runs: percent(runs["val_accuracy"].mean()),
    "train": lambda runs: percent(runs["train_accuracy"].mean()),
    "ece": lambda runs: percent(runs["ece"].mean(), 1),
    "seeds": lambda runs: str(len(runs)),
    "minutes": lambda runs: f"{runs['train_seconds'].mean() / 60:,.0f}",
    "device": lambda runs: " and ".join(runs["device"].unique()),
}
_COUNTED = ("params", "trainable", "macs")


def resolve(name: str, evidence: Evidence) -> Value:
    """Looks a name up.

    Returns:
        A text in inline Markdown, or a measurement, which is a missing one if its result is not there.

    Raises:
        LwcnnError: If the name stands for nothing.
    """
    for pattern, find in VALUES.items():
        if found := re.fullmatch(pattern, name):
            try:
                value = find(evidence, *found.groups())
            except MissingInput as error:
                return missing(str(error).split(" Received: ")[0])
            return value.bare() if isinstance(value, Measurement) else value
    raise LwcnnError(f"A value is named as in lwcnn/publication/report/values.py. Received: {name!r}")


def _group(text: str) -> Group:
    parts = text.split("/")
    known = (DATASET_ORDER, EXPERIMENT_NAMES, (*PRESETS_BY_SIZE, LARGEST))
    for kind, part, names in zip(("data set", "experiment", "preset"), parts, known, strict=True):
        if part not in names:
            raise unknown_name(kind, part, names)
    return parts[0], parts[1], parts[2]


def _quantity(evidence: Evidence, group: str, quantity: str) -> Value:
    dataset, experiment, preset = _group(group)
    if quantity in _COUNTED:
        return f"{getattr(counts(dataset, experiment), quantity):,}"
    if quantity == "interval":
        return accuracy(evidence.accuracy(dataset, experiment, preset), interval=True)
    if quantity in ("missed by all", "missed by some"):
        wrong = 1 - load_correct(evidence.folder, evidence.select(dataset, experiment, preset)).mean(axis=0)
        return percent(float(np.mean(wrong == 1 if quantity == "missed by all" else (wrong > 0) & (wrong < 1))), 1)
    if quantity not in _OF_RUNS:
        raise unknown_name("quantity", quantity, [*_OF_RUNS, *_COUNTED, "interval", "missed by all", "missed by some"])
    return _OF_RUNS[quantity](evidence.select(dataset, experiment, preset))


def _difference(evidence: Evidence, group: str, reference: str) -> Measurement:
    means = [evidence.select(*_group(one))["test_accuracy"].mean() for one in (group, reference)]
    return Measurement(100 * (means[0] - means[1]), "points", signed=True)


def _gain(evidence: Evidence, group: str, reference: str) -> Measurement:
    (dataset, experiment, preset), (_, other, _) = _group(group), _group(reference)
    return gain(evidence.difference(dataset, experiment, other, preset))


def _class(evidence: Evidence, group: str, name: str) -> Measurement:
    return percent(class_means(evidence.select(*_group(group)))[name], 1)


def _pair(evidence: Evidence, group: str, first: str, second: str) -> Measurement:
    runs = evidence.select(*_group(group))
    names = list(runs["per_class_accuracy"].iloc[0])
    return percent(pair_share(summed_confusion(runs), names.index(first), names.index(second)), 1)


def _folds(evidence: Evidence, group: str, kind: str, quantity: str) -> Value:
    dataset, experiment, preset = _group(group)
    folds = evidence.folds
    folds = folds[(folds["dataset"] == dataset) & (folds["experiment"] == experiment) & (folds["preset"] == preset)]
    folds = folds[folds["leaky"] == (kind == "not reset")]
    if folds.empty:
        raise MissingInput(f"no folds of `{experiment}` on {dataset}, {kind}; `lwcnn kfold {experiment}` runs them")
    if quantity == "each":
        return " ".join(f"{100 * share:.1f}" for share in folds["accuracy"])
    return mean_and_spread(folds["accuracy"]) if quantity == "spread" else percent(folds[quantity].iloc[0], 1)


def _trial(evidence: Evidence, name: str) -> Measurement:
    found = evidence.trials[evidence.trials["trial"] == name]
    if found.empty:
        raise MissingInput(f"the trial `{name}` is not in results/search")
    return percent(found["val_accuracy"].iloc[0], 1)


def _trial_gain(evidence: Evidence, name: str, other: str) -> Measurement:
    first, second = (_trial(evidence, one).value or 0.0 for one in (name, other))
    return Measurement(first - second, "points", 1, signed=True)


def _unfreezing(evidence: Evidence, which: str) -> Measurement:
    """How far accuracy moves as the paper's last phase begins, over the full runs on all data sets."""
    moves = []
    for dataset in DATASET_ORDER:
        for history in evidence.select(dataset, "paper", "full")["history"]:
            before, after = history[-2:]
            moves.append(100 * (after["history"][0]["val_accuracy"] - before["best_val_accuracy"]))
    return Measurement((min if which == "lowest" else max)(moves), "points", 1, signed=True)


def _amount(evidence: Evidence, what: str) -> str:
    frames = evidence.runs, evidence.trials, evidence.folds.drop_duplicates("path")
    if what == "hours":
        return f"{sum(frame['train_seconds'].sum() for frame in frames) / 3600:.0f}"
    return str(len(frames[("runs", "trials", "kfolds").index(what)]))


def _versions(evidence: Evidence, package: str) -> str:
    found = {versions[package] for versions in evidence.runs["versions"] if package in versions}
    return " and ".join(sorted(found))


def _int8(evidence: Evidence, what: str) -> Value:
    records = evidence.exports[evidence.exports["format"] == "litert-int8"]
    if records.empty:
        raise MissingInput("no model was exported as int8")
    return str(len(records)) if what == "count" else Measurement(records["drop_points"].max(), "points")


def _latency(evidence: Evidence, dataset: str, experiment: str, runtime: str) -> Measurement:
    found = evidence.latency(dataset, experiment, runtime)
    return Measurement(found, "ms", 3 if found < 10 else 0)


def _load(evidence: Evidence, when: str) -> str:
    return f"{evidence.benchmark('bench')['machine'][f'load_average_{when}']:.1f}"


def _shrunk(evidence: Evidence, experiment: str, sparsity: str) -> Measurement:
    for row in evidence.benchmark("shrink")["rows"]:
        if row["experiment"] == experiment and row["sparsity"] == float(sparsity):
            return percent(row["int8_accuracy"])
    raise MissingInput(f"`{experiment}` was not pruned to {sparsity}")


def _step(evidence: Evidence, workload: str, contender: str, threads: str) -> str:
    for row in evidence.benchmark("train_step")["rows"]:
        if (row["workload"], row["contender"], row["threads"]) == (workload, contender, int(threads)):
            return f"{row['median']:.1f}"
    raise MissingInput(f"the step of `{workload}` by {contender} was not timed; `python benchmarks/train_step.py` does")


def _published(evidence: Evidence, name: str, quantity: str) -> Value:
    for one in PUBLISHED:
        if one.name == name and one.dataset == "cifar10" and (quantity != "int8 bytes" or one.int8_bytes):
            return percent(one.accuracy, 1) if quantity == "accuracy" else f"{one.int8_bytes:,}"
    raise unknown_name("published system", name, [one.name for one in PUBLISHED])


_GROUP = r"(\w+/\w+/\w+)"
VALUES: dict[str, Callable[..., Value]] = {
    rf"{_GROUP}:([\w ]+)": _quantity,
    rf"{_GROUP} minus {_GROUP}": _difference,
    rf"{_GROUP} gain over {_GROUP}": _gain,
    rf"{_GROUP} class (\w+)": _class,
    rf"{_GROUP} pair (\w+) (\w+)": _pair,
    rf"{_GROUP} folds (from scratch|not reset):(each|spread|test_accuracy)": _folds,
    r"trial (\S+)": _trial,
    r"trial (\S+) gain over (\S+)": _trial_gain,
    r"unfreezing (lowest|highest)": _unfreezing,
    r"number of (runs|trials|kfolds|hours)": _amount,
    r"version of ([\w-]+)": _versions,
    r"devices": lambda evidence: " and ".join(sorted(evidence.runs["device"].unique())),
    r"int8 (count|largest drop)": _int8,
    r"latency (\w+)/(\w+) ([\w -]+)": _latency,
    r"load (before|after)": _load,
    r"pruned (\w+) ([\d.]+)": _shrunk,
    r"step (\w+) (\w+) (\d)": _step,
    r"published (.+):(accuracy|int8 bytes)": _published,
}

"""Loads the results folder as DataFrames for tables and figures.

results/<dataset>/<experiment>/<preset>/seed<k>.json          a run
results/<dataset>/<experiment>/<preset>/seed<k>_classes.npz   its predicted classes of the test images
results/<dataset>/<experiment>/<preset>/kfold*.json           a K-fold cross-validation
results/<dataset>/<experiment>/<preset>/released.npz          test logits of the released run, and features for t-SNE
results/<dataset>/test_labels.npz                             labels of the test images
results/search/<dataset>-<n>epochs.json                       the trials of an earlier search
results/export/*.json                                         an exported model
results/networks/*.json                                       costs of a network, counted without training
results/bench*.json, train_step.json, ...                     a benchmark
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import GenericAlias
from typing import Any

import numpy as np
import pandas as pd

from lwcnn.experiments.folders import load_classes
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import StrPath, read_json

PRESETS_BY_SIZE = ("full", "medium", "quick")  # of published runs
DISPLAY_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
DATASET_ORDER = ("mnist", "fashion_mnist", "cifar10")

# Keys that a file must have, and the types of their values.
_NAMES: dict[str, Any] = {"dataset": str, "experiment": str, "preset": str, "seed": int, "train_seconds": int | float}
_PROVENANCE = dict.fromkeys(("data_checksum", "backend", "device", "commit", "num_threads", "versions"), object)
_ACCURACIES = dict.fromkeys(("train_accuracy", "val_accuracy", "test_accuracy", "ece"), int | float)
_BY_CLASS = {"per_class_accuracy": dict, "confusion_matrix": list | None}
_COSTS = dict.fromkeys(("params", "macs", "num_train_images", "num_val_images"), int)
_CONTENTS = {"history": list[dict], "weights": object, "config": dict}
_RUN = _NAMES | _COSTS | _ACCURACIES | _BY_CLASS | _CONTENTS | _PROVENANCE
_FOLDS = _NAMES | {"leaky": bool, "accuracies": list, "fold_histories": list} | _PROVENANCE
_EXPORT = {"model": str, "format": str, "dataset": str, "experiment": str}
_NETWORK = {"model": str, "params": int, "macs": int, "float32_bytes": int, "memory_mb": dict}
_TRIAL_KEYS = ("trial", "dataset", "data_checksum", "seed", "epochs", "val_accuracy", "params", "macs", "train_seconds")


class MissingInput(LwcnnError):
    """A requested result does not exist. Tables and figures that need it are skipped."""


def load_results(folder: StrPath = "runs/results") -> pd.DataFrame:
    """Loads every finished run.

    Args:
        folder: Folder of results: that of your own runs or, in a clone, "results" for the published ones.

    Returns:
        A DataFrame with one row per run, and the keys of its JSON file and `path` as columns, sorted by dataset,
        preset, experiment and seed. Empty if there are no results.

    Raises:
        LwcnnError: A file is not a result; the message contains its path.

    Examples:
        >>> runs = load_results("results")
        >>> means = runs.groupby(["dataset", "experiment", "preset"])["test_accuracy"].mean()
    """
    frame = _frame(_paths(folder, "*/*/*/seed*.json", r"seed\d+\.json"), _RUN)
    frame["step"] = [_step(history) for history in frame["history"]]
    return _sorted(frame, ["dataset", "preset", "experiment", "seed"])


def _step(history: list[dict]) -> str:
    """Returns the steps that trained the phases, "engine", "keras" or both; older results record the engine's only."""
    found = dict.fromkeys(way["step"] for phase in history for way in phase.get("computing", ()))
    return " and ".join(found) or "keras"


def load_folds(folder: StrPath) -> pd.DataFrame:
    """Loads every K-fold cross-validation: a row per fold, with `fold` from 0, its `accuracy` and its phases.

    The phases, `history` as in a run's result, are None if they were not kept.
    """
    paths = _paths(folder, "*/*/*/kfold*.json", r"kfold\d+(_leaky)?_seed\d+\.json")
    frame = _sorted(_frame(paths, _FOLDS), ["dataset", "preset", "experiment", "leaky", "seed"])
    frame = frame.rename(columns={"accuracies": "accuracy", "fold_histories": "history"})
    frame["fold"] = [range(len(accuracies)) for accuracies in frame["accuracy"]]
    frame = frame.explode(["fold", "accuracy", "history"], ignore_index=True)
    return frame.astype({"fold": int, "accuracy": float})


def load_trials(folder: StrPath) -> pd.DataFrame:
    """Loads every trial of the earlier searches, the best first."""
    searches = _records(Path(folder).glob("search/*.json"), {"trials": list[dict]})
    frame = pd.DataFrame([one | trial for one in searches for trial in one["trials"]], columns=[*_TRIAL_KEYS, "config"])
    return frame.sort_values(["val_accuracy", "trial"], ascending=[False, True], ignore_index=True)


def load_exports(folder: StrPath) -> pd.DataFrame:
    """Loads the record of every exported model: a row per file; `experiment` names the network."""
    return _frame(Path(folder).glob("export/*.json"), _EXPORT)


def load_latencies(folder: StrPath) -> pd.DataFrame:
    """Loads the latencies that `lwcnn bench` measured, of released models and reference networks.

    Each row is a model and runtime: `dataset` (empty for random weights), `experiment`, `runtime` and milliseconds per
    image (`mean_ms`, ...).
    """
    columns = ["dataset", "experiment", "model_sha256", "parameters", "macs", "device", "runtime"]
    columns += ["mean_ms", "p50_ms", "p90_ms", "p99_ms"]
    paths = (Path(folder) / name for name in ("bench.json", "bench_networks.json"))  # the second with random weights
    files = _records([path for path in paths if path.exists()], {"models": list[dict], "machine": dict})
    rows = [
        {**model, "device": found["machine"]["device"], "runtime": row["name"], **row["batch1"]}
        for found in files
        for model in found["models"]
        for row in model["rows"]
    ]
    return pd.DataFrame(rows, columns=columns)


def run_paths(folder: StrPath) -> list[Path]:
    """Returns the result files in results/<dataset>/<experiment>/<preset>."""
    return _paths(folder, "seed*.json", r"seed\d+\.json")


def load_networks(folder: StrPath) -> pd.DataFrame:
    """Loads the summaries of networks that `lwcnn summary NETWORK --json` wrote, a row per network."""
    return _frame(Path(folder).glob("networks/*.json"), _NETWORK)


def load_benchmark(folder: StrPath, name: str) -> dict:
    path = Path(folder) / f"{name}.json"
    if not path.exists():
        raise MissingInput(f"{path.name} was not measured. Received: {path}")
    return read_json(path)


def load_correct(folder: StrPath, runs: pd.DataFrame) -> np.ndarray:
    """Loads which test images the runs, rows of `load_results`, classify correctly: bool of shape (seeds, images)."""
    labels = load_test_labels(folder, str(runs["dataset"].iloc[0]))
    paths = [Path(path).with_name(f"{Path(path).stem}_classes.npz") for path in runs["path"]]
    return np.array([_array(path) == labels for path in paths])


def load_test_labels(folder: StrPath, dataset: str) -> np.ndarray:
    """Loads the labels of a dataset's test images, in the order of predicted classes and logits."""
    return _array(Path(folder) / dataset / "test_labels.npz")


def _paths(folder: StrPath, pattern: str, name: str) -> list[Path]:
    """Returns the paths whose whole name matches a regular expression; "seed0 (copy).json" is not a run."""
    return [path for path in Path(folder).glob(pattern) if re.fullmatch(name, path.name)]


def _frame(paths: Iterable[Path], types: Mapping[str, Any]) -> pd.DataFrame:
    """Returns a row per file, with `path`; the keys of `types` are columns even without files."""
    rows = _records(paths, types)
    return pd.DataFrame(rows, columns=None if rows else [*types, "path"])


def _records(paths: Iterable[Path], types: Mapping[str, Any]) -> list[dict]:
    """Returns the content of each file, with `path`; a missing key or a value of another type is an error."""
    records = []
    for path in sorted(paths):
        record = read_json(path)
        for key, kind in types.items():
            if not _is(record[key], kind):
                raise wrong(f"{path} is damaged or was edited: move it away", f"{key}={record[key]!r:.200}")
        records.append(record | {"path": str(path)})
    return records


def _is(value: Any, kind: Any) -> bool:
    """Returns whether a value is of a type; `list[dict]` checks each item, too."""
    if isinstance(kind, GenericAlias):
        return isinstance(value, list) and all(isinstance(item, kind.__args__) for item in value)
    return isinstance(value, kind)


def _sorted(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sorts by the columns: known names in their own order, then other names alphabetically."""
    orders = {"dataset": DATASET_ORDER, "preset": PRESETS_BY_SIZE, "experiment": EXPERIMENT_NAMES}

    def place(column: pd.Series) -> pd.Series:
        known = orders.get(str(column.name), ())
        return column.map({value: i for i, value in enumerate([*known, *sorted({*column} - {*known})])})

    return frame.sort_values(columns, key=place, kind="stable", ignore_index=True)


def _array(path: Path) -> np.ndarray:
    if not path.exists():
        raise MissingInput(f"{path.name} does not exist. Received: {path}")
    return load_classes(path)

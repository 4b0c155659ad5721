"""Loads the results folder as DataFrames for tables and figures.

results/<dataset>/<experiment>/<preset>/seed<k>.json          a run
results/<dataset>/<experiment>/<preset>/seed<k>_classes.npz   its predicted classes of the test images
results/<dataset>/<experiment>/<preset>/kfold*.json           a K-fold cross-validation
results/<dataset>/<experiment>/<preset>/released.npz          test logits of the released run, and features for t-SNE
results/<dataset>/test_labels.npz                             labels of the test images
results/search/<dataset>/<n>epochs/*.json                     a trial of the search
results/export/*.json                                         an exported model
results/networks/*.json                                       costs of a network, counted without training
results/bench*.json, train_step.json, ...                     a benchmark
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lwcnn.experiments.folders import load_classes
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import StrPath, read_json

# Files of latencies in results/.
BENCHMARKS = ("bench", "bench_fast", "bench_family", "bench_gray", "bench_networks", "bench_efficientnet")
PRESETS_BY_SIZE = ("full", "medium", "quick")  # of published runs
DISPLAY_NAMES = {"mnist": "MNIST", "fashion_mnist": "Fashion-MNIST", "cifar10": "CIFAR-10", "cifar100": "CIFAR-100"}
DATASET_ORDER = ("mnist", "fashion_mnist", "cifar10")

_PROVENANCE = ("data_checksum", "backend", "device", "num_threads", "versions", "commit")
_ENGINE_COMMITS = ("eb2444c4bc81", "123a10cabc08", "d46802813766", "a0349283f1be")
"""Commits of engine runs whose results do not record the training step; other such runs used Keras's step."""

_IDENTITY = ("dataset", "experiment", "preset", "seed")
_RUN_KEYS = (
    *_IDENTITY,
    *("params", "macs", "num_train_images", "num_val_images", "train_accuracy", "val_accuracy", "test_accuracy", "ece"),
    *("per_class_accuracy", "confusion_matrix", "history", "train_seconds", "weights", "config"),
    *_PROVENANCE,
)
_FOLDS_KEYS = (*_IDENTITY, "leaky", "accuracies", "train_seconds", *_PROVENANCE)
_TRIAL_KEYS = ("trial", "dataset", "seed", "epochs", "val_accuracy", "params", "train_seconds", *_PROVENANCE)
_NUMBERS = {"seed", "epochs", "params", "macs", "train_seconds", "ece"}
_NUMBERS |= {f"{part}_accuracy" for part in ("train", "val", "test")}
_KINDS: dict[str, tuple[type, ...]] = dict.fromkeys(_NUMBERS, (int, float))
_KINDS |= dict.fromkeys(("dataset", "experiment", "preset"), (str,)) | {"history": (list,), "accuracies": (list,)}
_KINDS |= dict.fromkeys(("config", "versions", "per_class_accuracy"), (dict,))


class MissingInput(LwcnnError):
    """A requested result does not exist. Tables and figures that need it are skipped."""


def load_results(folder: StrPath = "results") -> pd.DataFrame:
    """Loads every finished run.

    Args:
        folder: The results folder.

    Returns:
        A DataFrame with one row per run, and the keys of its JSON file and `path` as columns, sorted by dataset,
        preset, experiment and seed. Empty if there are no results.

    Raises:
        LwcnnError: A file is not a result or lacks keys; the message contains its path.

    Examples:
        >>> runs = load_results("results")
        >>> means = runs.groupby(["dataset", "experiment", "preset"])["test_accuracy"].mean()
    """
    frame = _frame(_paths(folder, "*/*/*/seed*.json", r"seed\d+\.json"), _RUN_KEYS)
    recorded = pd.Series([_step(history) for history in frame["history"]], frame.index, dtype=object)
    frame["step"] = recorded.fillna(
        frame["commit"].map(lambda commit: "engine" if commit in _ENGINE_COMMITS else "keras")
    )
    return _sorted(frame, ["dataset", "preset", "experiment", "seed"])


def _step(history: list[dict]) -> str | None:
    """Returns the steps that trained the phases, "engine", "keras" or both; None if the result does not record them."""
    found = dict.fromkeys(way["step"] for phase in history for way in phase.get("computing", ()))
    return " and ".join(found) or None


def load_folds(folder: StrPath) -> pd.DataFrame:
    """Loads every K-fold cross-validation: a row per fold, with `fold` from 0, its `accuracy` and its phases.

    The phases, `history` as in a run's result, are None in results of versions that did not keep them.
    """
    paths = _paths(folder, "*/*/*/kfold*.json", r"kfold\d+(_leaky)?_seed\d+\.json")
    frame = _sorted(_frame(paths, _FOLDS_KEYS), ["dataset", "preset", "experiment", "leaky", "seed"])
    folds = [range(len(accuracies)) for accuracies in frame["accuracies"]]
    kept = frame["fold_histories"] if "fold_histories" in frame else folds
    frame["fold"], frame["accuracy"] = folds, frame["accuracies"]
    frame["history"] = [one if isinstance(one, list) else [None] * len(fold) for one, fold in zip(kept, folds)]
    frame = frame.explode(["fold", "accuracy", "history"], ignore_index=True)
    return frame.astype({"fold": int, "accuracy": float})


def load_trials(folder: StrPath) -> pd.DataFrame:
    """Loads every trial of the search, the best first."""
    frame = _frame(_paths(folder, "search/*/*epochs/*.json", r".+-seed\d+\.json"), _TRIAL_KEYS)
    return frame.sort_values(["val_accuracy", "trial"], ascending=[False, True], kind="stable", ignore_index=True)


def load_exports(folder: StrPath) -> pd.DataFrame:
    """Loads the record of every exported model: a row per file; `experiment` names the network."""
    frame = _frame(Path(folder).glob("export/*.json"), ("model", "format", "dataset"))
    frame["experiment"] = [_dataset_and_experiment(model)[1] for model in frame["model"]]
    return frame


def load_latencies(folder: StrPath) -> pd.DataFrame:
    """Loads the latencies that `lwcnn bench` measured, of released models and reference networks.

    Each row is a model and runtime: `dataset`, `experiment`, `runtime` and milliseconds per image (`mean_ms`, ...).
    """
    columns = ["dataset", "experiment", "model_sha256", "device", "runtime", "mean_ms", "p50_ms", "p90_ms", "p99_ms"]
    rows = []
    paths = (Path(folder) / f"{name}.json" for name in BENCHMARKS)
    for content in (read_json(path) for path in paths if path.exists()):
        for model in content.get("models", []):
            about = dict(zip(("dataset", "experiment"), _dataset_and_experiment(model["model"])))
            about["model_sha256"] = model.get("model_sha256")
            about["device"] = content.get("machine", {}).get("device")
            rows += [about | {"runtime": row["name"]} | row["batch1"] for row in model["rows"] if "batch1" in row]
    return pd.DataFrame(rows, columns=columns)


def run_paths(folder: StrPath) -> list[Path]:
    """Returns the result files in results/<dataset>/<experiment>/<preset>, ordered by seed."""
    return sorted(_paths(folder, "seed*.json", r"seed\d+\.json"), key=lambda path: int(path.stem.removeprefix("seed")))


def load_networks(folder: StrPath) -> pd.DataFrame:
    """Loads the summaries of networks that `lwcnn summary NETWORK --json` wrote, a row per network."""
    return _frame(Path(folder).glob("networks/*.json"), ("model", "params", "macs", "float32_bytes", "memory_mb"))


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


def _frame(paths: Iterable[Path], keys: tuple[str, ...]) -> pd.DataFrame:
    """Returns a row per file, with `path`; the keys are columns even without files."""
    rows = [{**_checked(path, keys), "path": str(path)} for path in sorted(paths)]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=[*keys, "path"])


def _sorted(frame: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """Sorts by the columns: known names in their own order, then other names alphabetically."""
    orders = {"dataset": DATASET_ORDER, "preset": PRESETS_BY_SIZE, "experiment": EXPERIMENT_NAMES}

    def place(column: pd.Series) -> pd.Series:
        known = {name: f"{i:06d}" for i, name in enumerate(orders.get(str(column.name), ()))}
        return column.map(lambda value: known.get(value, f"~{value}")) if known else column

    return frame.sort_values(columns, key=place, kind="stable", ignore_index=True)


def _checked(path: Path, keys: tuple[str, ...]) -> dict[str, Any]:
    content = read_json(path)
    lacking = [key for key in keys if key not in content]
    mistyped = [key for key in _KINDS.keys() & set(keys) - set(lacking) if not _is_kind(content[key], _KINDS[key])]
    if lacking or mistyped:
        problem = f"lacks {', '.join(lacking)}" if lacking else f"has the wrong type for {', '.join(sorted(mistyped))}"
        raise wrong(f"Move {path} out of the results folder, or create it again", f"a file that {problem}")
    return content


def _is_kind(value: Any, kinds: tuple[type, ...]) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _array(path: Path) -> np.ndarray:
    if not path.exists():
        raise MissingInput(f"{path.name} does not exist. Received: {path}")
    return load_classes(path)


def _dataset_and_experiment(model: str) -> tuple[str, str]:
    """Returns `cifar10` and `paper` for "models/cifar10-paper.keras"; names of own images end in a checksum's start."""
    found = re.fullmatch(r"(?:(.+?(?:-[0-9a-f]{8})+(?:-(?:no_)?mirror)?|[^-]+)-)?(.+)", Path(model).stem)
    return ("", model) if found is None else (found[1] or "", found[2])

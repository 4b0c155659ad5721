"""The paths of a run's files, and files of class numbers."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lwcnn.system.errors import wrong
from lwcnn.system.npz import load_npz, save_npz


@dataclass(frozen=True)
class Folders:
    """Folders that runs read and write. The committed results and models are in `results` and `models`.

    Attributes:
        results: Results, one JSON file per run.
        cache: Checkpoints and trained models.
        data: Datasets: `<name>.npz` or extracted official archives. If None, $LWCNN_DATA_DIR.
        models: The best model of each experiment.

    Examples:
        >>> folders = Folders(results=Path("my_results"), cache=Path("my_cache"))
    """

    results: Path = Path("runs/results")
    cache: Path = Path("runs/cache")
    data: Path | None = None
    models: Path = Path("runs/models")

    def __post_init__(self):
        for name, folder in list(vars(self).items()):
            if folder is not None:
                object.__setattr__(self, name, Path(folder))

    def result(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """Returns the path of a run's result."""
        return self.results / dataset / experiment / preset / f"seed{seed}.json"

    def classes(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """Returns the path of a run's predicted classes."""
        return self.result(dataset, experiment, preset, seed).with_name(f"seed{seed}_classes.npz")

    def model(self, run: Mapping) -> Path:
        """Returns the path of a run's model in the cache. Its name depends on everything that sets its weights."""
        parts = [run["config"], run["data_checksum"], run["backend"], run.get("step")]
        key = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:12]
        folder = self.cache / run["dataset"] / run["experiment"] / run["preset"]
        return folder / f"seed{run['seed']}-{key}.keras"

    def best_model(self, dataset: str, experiment: str) -> Path:
        """Returns the path of the best model of an experiment."""
        return self.models / f"{dataset}-{experiment}.keras"


def save_classes(path: Path, classes: np.ndarray) -> None:
    """Writes class numbers as a compressed .npz with one array of uint8 (uint16 beyond 256 classes)."""
    save_npz(path, compressed=True, classes=classes.astype(np.uint8 if classes.max() < 256 else np.uint16))


def load_classes(path: Path) -> np.ndarray:
    """Returns the class numbers that `save_classes` wrote."""
    classes = load_npz(path).get("classes")
    if classes is None or classes.ndim != 1 or classes.dtype.kind not in "ui":
        raise wrong("The file does not hold class numbers: move it away", path)
    return classes

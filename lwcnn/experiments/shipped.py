"""Finds model files: trained networks that come with the library, by name, and the user's own."""

import json
import os
from pathlib import Path

from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.models.description import Description, read_description
from lwcnn.system.errors import require_known, wrong
from lwcnn.system.files import StrPath

_DATASETS = ("cifar10", "fashion_mnist", "mnist")  # the first one whose weights are there is the default
_PACKAGE = Path(__file__).resolve().parents[1]
SHIPPED_MODELS = _PACKAGE / "pretrained" if (_PACKAGE / "pretrained").is_dir() else _PACKAGE.parent / "models"
"""Folder of the trained networks: inside an installed package, or that of a checkout."""


def trained_networks() -> dict[tuple[str, str], Description]:
    """Returns the description of every trained network by its name and dataset."""
    files = {(name, dataset): shipped_file(name, dataset) for name in NETWORKS for dataset in _DATASETS}
    return {key: told for key, path in files.items() if path.exists() and (told := read_description(path))}


def shipped_file(name: str, dataset: str) -> Path:
    """Returns the path of the shipped weights of a network or experiment for a dataset; it may not exist."""
    return SHIPPED_MODELS / f"{dataset}-{NETWORKS.get(name, name)}.keras"


def model_file(model: StrPath, dataset: str | None = None) -> Path:
    """Returns the .keras file of a model, given as a path or as a network's (or its experiment's) name with a dataset.

    Without weights for that dataset, and by default, they are those of the network's first row in `list_models`.
    """
    if not isinstance(model, (str, os.PathLike)):
        raise wrong("Give a model as the name of a trained network or the path of a .keras file", repr(model))
    path = Path(os.path.expanduser(model))
    if path.is_file():
        return path
    if path.suffix == ".keras":
        raise wrong("There is no such model: check the path", model)
    name = next((name for name, experiment in NETWORKS.items() if experiment == str(model)), str(model))
    require_known("model, neither a .keras file nor a trained network", name, NETWORKS)
    files = [shipped_file(name, one) for one in sorted(_DATASETS, key=lambda one: one != dataset)]
    found = next((path for path in files if path.exists()), None)
    if found is None:
        raise wrong("This installation has no trained networks: install the wheel of lwcnn", repr(model))
    return found


def is_untrained(model: StrPath) -> bool:
    """Returns whether this is the name of an experiment without a trained network."""
    return str(model) in EXPERIMENT_NAMES and str(model) not in {*NETWORKS, *NETWORKS.values()}


def was_mirrored(model: StrPath, default: bool = False) -> bool:
    """Returns whether a model was trained on mirrored images, as its file says; `default` if it says nothing."""
    told = read_description(Path(model))
    return '"horizontal_flip": true' in json.dumps(told.config) if told else default

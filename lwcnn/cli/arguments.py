"""Arguments shared by several commands, as data, and functions that parse their values, or raise LwcnnError."""

import argparse
import contextlib
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.known import DATASET_NAMES, is_dataset_name
from lwcnn.data.streams import require_input
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import PRESETS, get_experiment
from lwcnn.experiments.shipped import model_file
from lwcnn.system import environment
from lwcnn.system.errors import wrong

Arguments = dict[str, dict[str, Any]]
"""Settings of `ArgumentParser.add_argument` by the argument's name."""


def option(words: str, default: Any = None, **settings: Any) -> dict[str, Any]:
    """Returns the settings of an option. Its help states the default; its placeholder depends on its type."""
    if placeholder := _PLACEHOLDERS.get(settings.get("type")):
        settings = {"metavar": placeholder} | settings
    if default is None:
        return settings | {"help": words}
    shown = " ".join(map(str, default)) if isinstance(default, list) else default
    return settings | {"default": default, "help": f"{words} (default: {shown})"}


def path(text: str) -> Path:
    """A path from the command line, `~` expanded."""
    expanded = os.path.expanduser(text)
    if not text.strip() or "\0" in text:
        raise wrong("give a path", repr(text))
    if expanded.startswith("~"):
        raise wrong("there is no such user", repr(text))
    return Path(expanded)


def output_file(text: str) -> Path:
    """The path of a file to write, checked before any work."""
    file = path(text)
    target = os.path.realpath(file)
    is_special = os.path.exists(target) and not os.path.isfile(target)  # such as /dev/null: it is written to directly
    is_writable = os.access(target, os.W_OK) if is_special else _can_write_below(os.path.dirname(target))
    if os.path.isdir(target) or not is_writable:
        raise wrong("give a file in a folder that you can write to", repr(text))
    if os.path.isfile(target) and _is_binary(target):  # such as an image or a model that was meant as input
        raise wrong("give another file: this one exists and is not a text file", repr(text))
    return file


def output_path(text: str) -> Path:
    """The path of a file or a folder to write, checked before any work."""
    target = path(text)
    if target.name in ("", "..") or not _can_write_below(os.path.dirname(os.path.realpath(target))):
        raise wrong("give a new file or folder, or an earlier one, in a folder that you can write to", repr(text))
    return target


def output_folder(text: str) -> Path:
    """The path of a folder to write to, checked before any work."""
    folder = path(text)
    if not _can_write_below(os.path.realpath(folder)):
        raise wrong("give a folder that you can write to", repr(text))
    return folder


def _can_write_below(folder: str) -> bool:
    """Returns whether files can be written in a folder, which need not exist yet."""
    while not os.path.exists(folder):
        folder = os.path.dirname(folder)
    return os.path.isdir(folder) and os.access(folder, os.W_OK | os.X_OK)


def _is_binary(file: str) -> bool:
    with contextlib.suppress(OSError), open(file, "rb") as stream:
        return b"\0" in stream.read(4096)
    return False


def experiment_name(text: str) -> str:
    """The name of an experiment, given this name or the name of its network."""
    return get_experiment(text).name


def trained_model(text: str) -> str:
    """The name of a trained network, or the path of a .keras file."""
    model_file(text)
    return text


def model_name(text: str) -> str:
    """The name of a network or an experiment, or the path of a .keras file."""
    if text.endswith(".keras") or os.path.isfile(text):
        return trained_model(text)
    get_experiment(text)
    return text


def dataset_source(text: str) -> str:
    """The name of a dataset, or a path that exists."""
    if not is_dataset_name(text) and not path(text).exists():
        raise wrong("there is no such folder or file", repr(text))
    return text


def image_source(text: str) -> str:
    """The name of a dataset, "-" for standard input, or a path or pattern of files that exist."""
    if text not in DATASET_NAMES:
        require_input(text)
    return text


def whole_number(least: int, most: int) -> Callable[[str], int]:
    """Returns a function that reads a whole number between two limits."""

    def read(text: str) -> int:
        # Length first: Python refuses to read a number of thousands of digits.
        if not (text.isascii() and text.isdigit() and len(text) <= 20 and least <= int(text) <= most):
            raise wrong(f"give a whole number from {least} to {most}", repr(text[:30]))
        return int(text)

    return read


at_least_one, seed_number = whole_number(1, 10**9), whole_number(0, environment.MAX_SEED)


def image_size(text: str) -> tuple[int, ...]:
    """Height and width from the command line: "64" or "64x96"."""
    if not re.fullmatch(r"[1-9]\d{0,4}(x[1-9]\d{0,4})?", text.lower(), re.ASCII):
        raise wrong("give a size such as 64, or 64x96 as height x width", repr(text[:30]))
    sides = [int(side) for side in text.lower().split("x")]
    return sides[0], sides[-1]


_PLACEHOLDERS: dict[Any, str] = {
    path: "PATH",
    output_file: "FILE",
    output_folder: "PATH",
    output_path: "PATH",
    experiment_name: "NAME",
    trained_model: "MODEL",
    model_name: "MODEL",
    dataset_source: "DATA",
    at_least_one: "N",
    seed_number: "SEED",
    image_size: "PIXELS",
}


def number(text: str, most: float = 1e9) -> float:
    """A number from 0 to `most` from the command line."""
    with contextlib.suppress(ValueError):
        if 0 <= float(text) <= most:  # NaN is not
            return float(text)
    raise wrong(f"give a number from 0 to {most:g}", repr(text[:30]))


def learning_rate(text: str) -> float:
    """A positive number from the command line."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e9:
            return float(text)
    raise wrong("give a positive number", repr(text[:30]))


def folder(default: str, words: str, kind: Callable[[str], Path] = path) -> dict[str, Any]:
    """Returns the settings of an option that takes a folder; with `output_folder`, one to write to."""
    return option(f"folder of {words}", Path(default), type=kind)


MODEL_HELP = "a .keras file, or the name of a trained network (see `lwcnn list`)"
MODEL: Arguments = {"model": option(MODEL_HELP, type=trained_model)}
DATASET_HELP = "folder of images, .npz file, or name of a dataset (see `lwcnn datasets`)"
DATASET: Arguments = {"--dataset": option(DATASET_HELP, "cifar10", type=dataset_source)}
DATA_DIR: Arguments = {
    "--data-dir": option("folder of <name>.npz files or extracted archives (default: $LWCNN_DATA_DIR)", type=path)
}
SEED: Arguments = {"--seed": option("random seed", 0, type=seed_number)}
PRESET: Arguments = {
    "--preset": option(f"training length: {', '.join(PRESETS)}", "quick", choices=PRESETS, metavar="PRESET")
}
MODELS: Arguments = {"--models": folder("runs/models", "the best model of each experiment", output_folder)}
TRAINING: Arguments = {
    "--results": folder("runs/results", "results", output_folder),
    "--cache": folder("runs/cache", "interrupted runs and all trained models", output_folder),
    **DATA_DIR,
    "--progress": {
        "choices": ("bar", "line", "none"),
        "default": "bar" if sys.stdout and sys.stdout.isatty() else "line",
        "help": "how progress is shown (default: bar on a terminal, else line)",
    },
    "--size": option(
        "image size: 64, or 64x96 as height x width (default: median of image files, at most 96; arrays keep theirs)",
        type=image_size,
    ),
    "--mirror": option(
        "whether a mirrored image still belongs to its class (default: as the dataset says, else yes for color images "
        "and no for gray ones)",
        action=argparse.BooleanOptionalAction,
    ),
}
"""Files that training reads and writes, and settings for reading images."""

RECIPE: Arguments = {
    "--epochs": option("total number of epochs, over all phases (default: the preset's)", type=at_least_one),
    "--batch-size": option(
        "batch size, reduced automatically for a small dataset (default: the experiment's)", type=at_least_one
    ),
    "--learning-rate": option(
        "peak learning rate, reduced with the batch size (default: the experiment's)",
        type=learning_rate,
        metavar="RATE",
    ),
    "--class-weight": option("weight the loss so that every class counts equally", choices=("balanced",)),
}
"""Settings that change an experiment."""

JOBS: Arguments = {
    "--jobs": option(
        "number of runs at a time on this machine, or of tasks in a search with --cluster", 1, type=at_least_one
    ),
    "--cluster": option("Ray cluster (auto or host:port) whose nodes share --results and --cache", metavar="ADDRESS"),
    "--cpus-per-run": option("CPUs and threads per job, with --cluster or more than one job", 1, type=at_least_one),
    "--gpus-per-run": option("GPUs per job on a cluster", 0, type=number, metavar="X"),
}
"""How many jobs run at a time, and where."""


def recipe_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Returns what the options change, as arguments of `with_settings`."""
    return {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate", "class_weight")}


def get_folders(options: argparse.Namespace) -> Folders:
    return Folders(options.results, options.cache, options.data_dir, getattr(options, "models", Folders.models))


def load_images(options: argparse.Namespace) -> Dataset:
    return load_dataset(options.dataset, options.data_dir, mirror=options.mirror, size=options.size)

"""Arguments that several commands have."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lwcnn.data.known import DATASET_NAMES
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS, PRESETS, get_experiment
from lwcnn.experiments.zoo import model_file
from lwcnn.models.description import open_archive
from lwcnn.system.errors import LwcnnError
from lwcnn.training.devices import PRECISIONS

if TYPE_CHECKING:
    from lwcnn.data.datasets import Dataset
    from lwcnn.experiments.folders import Folders

MAX_SEED = 2**32 - 1
MODEL_HELP = "a .keras file, or the name of a trained network; `lwcnn list` shows them"

DATASET_HELP = "folder of images, .npz, or a name; `lwcnn datasets` lists these"


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the folder of data sets."""
    parser.add_argument(
        "--data-dir", type=path, metavar="DIR", help="folder of <name>.npz files (default: $LWCNN_DATA_DIR)"
    )


def add_folder_arguments(parser: argparse.ArgumentParser, dataset: str | None = "cifar10") -> None:
    """Adds the data set (required without a default), and the folders of results and interrupted runs."""
    parser.add_argument(
        "--dataset",
        default=dataset,
        required=dataset is None,
        metavar="DATA",
        help=f"{DATASET_HELP} (default: {dataset})" if dataset else DATASET_HELP,
    )
    for name, words in (("results", "results"), ("cache", "interrupted runs and all trained models")):
        add_folder(parser, name, f"runs/{name}", words)
    style = "bar" if sys.stdout and sys.stdout.isatty() else "line"
    parser.add_argument(
        "--progress",
        choices=("bar", "line", "none"),
        default=style,
        help="what is shown of the training (default: bar on a terminal, else line)",
    )
    add_data_arguments(parser)


def add_image_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how the images of the data set are read."""
    parser.add_argument(
        "--size",
        type=image_size,
        metavar="PIXELS",
        help="size of the images: 64, or 64x96 as height x width (default: as they are; of different sizes, the "
        "median, at most 96)",
    )
    parser.add_argument(
        "--mirror",
        action=argparse.BooleanOptionalAction,
        help="whether a mirrored image still belongs to its class (default: yes in color, no in gray)",
    )


def add_recipe_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the settings that change an experiment; its results then have a name of their own."""
    parser.add_argument("--epochs", type=at_least_one, metavar="N", help="epochs of all phases (default: the preset's)")
    parser.add_argument(
        "--batch-size", type=at_least_one, metavar="N", help="images per step (default: the experiment's)"
    )
    parser.add_argument(
        "--learning-rate", type=float, metavar="RATE", help="peak learning rate (default: the experiment's)"
    )


def recipe_settings(options) -> dict:
    """Returns what the options change, as arguments of `with_settings`."""
    return {name: getattr(options, name) for name in ("epochs", "batch_size", "learning_rate", "class_weight")}


def add_folder(parser: argparse.ArgumentParser, name: str, default: str, words: str) -> None:
    """Adds a folder."""
    parser.add_argument(
        f"--{name}", type=path, default=Path(default), metavar="DIR", help=f"folder of {words} (default: {default})"
    )


def add_training_arguments(parser: argparse.ArgumentParser, many: bool = True) -> None:
    """Adds what to train: `many` experiments and seeds, or one of each."""
    if many:
        parser.add_argument(
            "experiments",
            nargs="+",
            type=experiment_name,
            metavar="NAME",
            help="networks or experiments; `lwcnn list` describes them",
        )
        parser.add_argument(
            "--seeds", type=seed_number, nargs="+", default=[0], metavar="SEED", help="one run for each (default: 0)"
        )
        add_job_arguments(parser)
        parser.add_argument("--no-model", action="store_true", help="do not copy the best model into --models")
        parser.add_argument(
            "--precision",
            choices=PRECISIONS,
            default="float32",
            help="mixed_float16 and mixed_bfloat16 compute in 16 bits, except weights and logits; results of another "
            "precision need another --results (default: float32)",
        )
        parser.add_argument("--force-precision", action="store_true", help="allow mixed precision where it is slower")
        parser.add_argument(
            "--devices", type=at_least_one, default=1, metavar="N", help="devices that share each batch (default: 1)"
        )
        parser.add_argument(
            "--class-weight",
            choices=("balanced",),
            help="balanced: weigh the loss so that every class counts alike; such results need another --results",
        )
        parser.add_argument(
            "--tensorboard",
            type=path,
            metavar="DIR",
            help="also write curves, the confusion matrix and sample images for `tensorboard --logdir DIR`",
        )
    else:
        parser.add_argument(
            "experiment",
            type=experiment_name,
            metavar="NAME",
            help="network or experiment; `lwcnn list` describes them",
        )
        parser.add_argument("--seed", type=seed_number, default=0, help="seed of the run (default: 0)")
    parser.add_argument(
        "--preset",
        default="quick",
        metavar="PRESET",
        help=f"size of the training: {', '.join(PRESETS)} (default: quick)",
    )
    add_folder(parser, "models", "runs/models", "the best model of each experiment")
    add_folder_arguments(parser)
    add_image_arguments(parser)
    if many:
        add_recipe_arguments(parser)


def add_job_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds how many jobs run at a time, and where."""
    parser.add_argument(
        "--jobs", type=at_least_one, default=1, metavar="N", help="runs at a time on this machine (default: 1)"
    )
    parser.add_argument(
        "--cluster",
        metavar="ADDRESS",
        help="run on a Ray cluster: auto, or host:port; all nodes must share the folders of results and cache",
    )
    parser.add_argument(
        "--cpus-per-run", type=at_least_one, default=1, metavar="N", help="CPUs, and threads, of each job (default: 1)"
    )
    parser.add_argument(
        "--gpus-per-run", type=fraction, default=0, metavar="X", help="GPUs of each job on a cluster (default: 0)"
    )


def get_folders(options) -> Folders:
    """The folders that the options name."""
    from lwcnn.experiments.folders import Folders

    return Folders(options.results, options.cache, options.data_dir, options.models)


def load_dataset_of(model: str | Path, options) -> Dataset:
    """Loads the data set given by --dataset, else the one that the model file names.

    Raises:
        LwcnnError: The file names no data set, or one that is not at hand.
    """
    from lwcnn.data.datasets import load_dataset
    from lwcnn.experiments.zoo import load_dataset_for
    from lwcnn.models.description import read_description

    description = read_description(model)
    if options.dataset:
        data = load_dataset_for(model, options.dataset, options.data_dir)
        if description and description.data_checksum != data.checksum:
            print(f"{model} was trained on {description.dataset}, on other images than these", file=sys.stderr)
        return data
    if description is None:
        raise LwcnnError(f"The file does not name its data set: give it by --dataset. Received: {model}")
    advice = f"give the data set by --dataset. Received: {model}, trained on {description.dataset!r}"
    if description.dataset not in DATASET_NAMES:
        raise LwcnnError(f"The model was trained on images of your own; {advice}")
    data = load_dataset(description.dataset, options.data_dir)
    if description.data_checksum != data.checksum:
        raise LwcnnError(f"The model was trained on other images than those at hand; {advice}")
    return data


def path(text: str) -> Path:
    """A path from the command line, `~` expanded."""
    expanded = os.path.expanduser(text)
    if not text.strip() or "\0" in text:
        raise argparse.ArgumentTypeError(f"give a path. Received: {text!r}")
    if expanded.startswith("~"):
        raise argparse.ArgumentTypeError(f"there is no such user. Received: {text!r}")
    return Path(expanded)


def check_names(options: argparse.Namespace) -> None:
    """Checks the models and experiments on a command line, before the backend is imported, which takes seconds.

    Raises:
        LwcnnError: A name is unknown, or a file is not there or damaged.
    """
    for name in getattr(options, "experiments", None) or filter(None, [getattr(options, "experiment", None)]):
        get_experiment(name)
    given = getattr(options, "model", None) or getattr(options, "models", None)  # `models` can be a folder too
    names = given if isinstance(given, list) else [given] if isinstance(given, str) else []
    for name in names:
        if name not in EXPERIMENT_NAMES:
            open_archive(model_file(name)).close()


def experiment_name(text: str) -> str:
    """The name of an experiment from that of a network or of an experiment."""
    return NETWORKS.get(text, text)


def image_size(text: str) -> tuple[int, ...]:
    """Height and width from the command line: "64" or "64x96"."""
    sides = text.lower().split("x")
    if len(sides) > 2:
        raise argparse.ArgumentTypeError(f"give a size such as 64, or 64x96 as height x width. Received: {text!r}")
    return tuple(_whole_number(side, 1, 10**5) for side in (sides * 2)[:2])


def seed_number(text: str) -> int:
    """A seed from the command line."""
    return _whole_number(text, 0, MAX_SEED)


def at_least_one(text: str) -> int:
    """A whole number of at least 1 from the command line."""
    return _whole_number(text, 1, 10**9)


def fraction(text: str) -> float:
    """A number of at least 0 from the command line."""
    try:
        if 0 <= float(text) < float("inf"):
            return float(text)
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"give a number of at least 0. Received: {text[:30]!r}")


def _whole_number(text: str, least: int, most: int) -> int:
    # Length first: Python refuses to read a number of thousands of digits.
    is_number = text.isascii() and text.isdigit()
    is_large = is_number and (len(text) > 20 or int(text) > most)
    if not is_number or is_large or int(text) < least:
        shown = text if len(text) <= 30 else f"{text[:30]}..."
        bound = f"at most {most}" if is_large else f"at least {least}"
        raise argparse.ArgumentTypeError(f"give a whole number of {bound}. Received: {shown!r}")
    return int(text)

"""Arguments that several commands have."""

import argparse
import sys
from pathlib import Path

from lwcnn.data import DATASET_NAMES
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, PRESETS
from lwcnn.experiments.run import Folders
from lwcnn.training.devices import PRECISIONS


def add_data_arguments(parser: argparse.ArgumentParser) -> None:
    """Where data sets are."""
    parser.add_argument("--data-dir", help="folder of <name>.npz files (else $LWCNN_DATA_DIR)")


def add_folder_arguments(parser: argparse.ArgumentParser) -> None:
    """The data set, and where results and interrupted runs are."""
    parser.add_argument("--dataset", default="cifar10", help=f"{', '.join(DATASET_NAMES)} or the path of an .npz")
    parser.add_argument("--results", default="results", help="folder of the results")
    parser.add_argument("--cache", default=".lwcnn", help="folder of interrupted runs and trained models")
    style = "bar" if sys.stdout.isatty() else "line"
    parser.add_argument("--progress", choices=("bar", "line", "none"), default=style)
    add_data_arguments(parser)


def add_training_arguments(parser: argparse.ArgumentParser, many: bool = True) -> None:
    """What to train: `many` experiments and seeds, or one of each."""
    if many:
        parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help=", ".join(EXPERIMENT_NAMES))
        parser.add_argument("--seeds", type=seed_number, nargs="+", default=[0])
        parser.add_argument("--jobs", type=at_least_one, default=1, help="processes of one thread each")
        parser.add_argument("--no-release", action="store_true", help="leave models/ as it is")
        parser.add_argument(
            "--precision",
            choices=PRECISIONS,
            default="float32",
            help="mixed: 16 bits but for weights and logits, on an accelerator; a configuration of its own, so give it "
            "a --results of its own where the same run is there in float32",
        )
        parser.add_argument("--force-precision", action="store_true", help="mixed precision on a CPU as well: slower")
        parser.add_argument(
            "--devices", type=at_least_one, default=1, help="spread each batch over so many, as on JAX or TensorFlow"
        )
    else:
        parser.add_argument("experiment", metavar="EXPERIMENT", help=", ".join(EXPERIMENT_NAMES))
        parser.add_argument("--seed", type=seed_number, default=0)
    parser.add_argument("--preset", default="quick", help=", ".join(PRESETS))
    parser.add_argument("--models", default="models", help="folder of the released models")
    add_folder_arguments(parser)


def get_folders(options) -> Folders:
    """The folders that the options name."""
    return Folders(Path(options.results), Path(options.cache), options.data_dir, Path(options.models))


def dataset_in_name(model: str | Path) -> str | None:
    """The data set that a released model's file is named after, as models/<dataset>-<experiment>.keras; else None."""
    name = Path(model).name.split("-")[0]
    return name if name in DATASET_NAMES else None


def seed_number(text: str) -> int:
    """A seed from the command line."""
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0. Received: {text!r}")
    return int(text)


def at_least_one(text: str) -> int:
    """A whole number from 1 from the command line."""
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed. Received: {text!r}")
    return int(text)

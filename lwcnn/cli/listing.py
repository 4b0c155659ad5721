"""The commands that show what there is, data sets, experiments, results, or add to it without training."""

import argparse
from pathlib import Path

from lwcnn.cli.arguments import add_folder_arguments, get_folders
from lwcnn.data import DATASET_NAMES, find_dataset, load_dataset
from lwcnn.experiments.calibration import add_calibration
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, PRESETS, get_experiment
from lwcnn.publication.tables.tables import all_tables, write_tables
from lwcnn.system.files import read_json


def list_datasets(options) -> int:
    """List the data sets and where each would be read from."""
    for name in DATASET_NAMES:
        print(f"{name:<14} {find_dataset(name, options.data_dir) or 'not at hand; would be downloaded'}")
    return 0


def list_experiments(options) -> int:
    """List the experiments and the presets."""
    for name in EXPERIMENT_NAMES:
        print(f"{name:<20} {get_experiment(name).question}")
    print()
    for name, preset in PRESETS.items():
        print(f"{name:<20} at most {preset.dual} + {preset.head} + {preset.all} epochs")
    return 0


def show_tables(options) -> int:
    """Show the tables of all results, or write them into a file between its marks."""
    if options.write:
        write_tables(options.write, options.results)
    else:
        print(all_tables(options.results))
    return 0


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of a file")


def calibrate(options) -> int:
    """Add calibration by temperature scaling to finished runs that lack it and whose models are at hand."""
    for path in add_calibration(load_dataset(options.dataset, options.data_dir), get_folders(options)):
        result = read_json(path)
        print(f"{path}  ECE {100 * result['ece']:.2f} %, {100 * result['ece_scaled']:.2f} % scaled")
    return 0


def add_calibration_arguments(parser: argparse.ArgumentParser) -> None:
    """Where data, results and models are."""
    parser.add_argument("--models", default="models", help="folder of the released models")
    add_folder_arguments(parser)

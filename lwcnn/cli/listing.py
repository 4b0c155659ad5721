"""The commands that list data sets, experiments and results."""

import argparse

from lwcnn.cli.arguments import add_folder, path
from lwcnn.data import DATASET_NAMES, find_dataset
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, PRESETS, get_experiment


def list_datasets(options) -> int:
    """List the data sets and where each is read from."""
    for name in DATASET_NAMES:
        print(f"{name:<14} {find_dataset(name, options.data_dir) or 'not on this machine; downloaded when first used'}")
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
    """Show the tables of all results, or write them into Markdown files."""
    from lwcnn.publication.tables.pages import all_tables, write_tables

    if options.write:
        write_tables(options.write, options.results)
    else:
        print(all_tables(options.results))
    return 0


def add_table_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lwcnn table` to its parser."""
    add_folder(parser, "results", "results", "the results")
    parser.add_argument(
        "--write", type=path, nargs="+", default=[], metavar="FILE", help="make the tables in Markdown files anew"
    )

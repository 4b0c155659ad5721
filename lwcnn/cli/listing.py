"""The commands that list data sets, experiments and results."""

import argparse
import os
from collections.abc import Iterable

from lwcnn.cli.arguments import add_folder, path
from lwcnn.data.known import DATASET_NAMES
from lwcnn.experiments.recipes import EXPERIMENT_GROUPS, EXPERIMENT_NAMES, PRESETS, get_experiment
from lwcnn.experiments.zoo import read_descriptions, trained_networks
from lwcnn.system.errors import unknown_name

MOST_LISTED = 15
"""Experiments of a group whose names begin alike; larger ones are one line."""


def list_datasets(options) -> int:
    """List the data sets and where each is read from."""
    from lwcnn.data.datasets import find_dataset

    width = max(map(len, DATASET_NAMES))
    for name in DATASET_NAMES:
        source = find_dataset(name, options.data_dir) or "not on this machine; downloaded when first used"
        print(f"{name:<{width}}  {source}")
    return 0


def list_names(options) -> int:
    """List the trained networks with their accuracy, the experiments and the presets."""
    if options.word:
        found = [name for name in EXPERIMENT_NAMES if options.word in name]
        if not found:
            raise unknown_name("word in the name of an experiment", options.word, EXPERIMENT_NAMES)
        _print_experiments(found)
        return 0
    print("trained networks, for predict, evaluate, export, bench and train\n")
    row = "  {:<13} {:<14} {:>10} {:>7} {:>11} {:>9}"
    print(row.format("name", "data", "parameters", "test %", "int8 bytes", "latency"))
    for (name, dataset), told in trained_networks().items():
        size = f"{told.int8_bytes:,}" if told.int8_bytes else ""
        latency = f"{told.int8_ms:.3f} ms" if told.int8_ms else ""
        print(row.format(name, dataset, f"{told.params:,}", f"{100 * told.test_accuracy:.2f}", size, latency).rstrip())
    print("\nexperiments, for train, with their test accuracy on CIFAR-10 where it is known")
    for group, names in EXPERIMENT_GROUPS.items():
        print(f"\n  {group}")
        prefix = os.path.commonprefix([*names])
        if prefix and len(names) > MOST_LISTED:
            print(f"  {prefix + '*':<28} {'':>5}  {len(names)} experiments; `lwcnn list {prefix}` shows them")
        else:
            _print_experiments(names)
    print("\npresets\n")
    for name, preset in PRESETS.items():
        print(f"  {name:<28} at most {preset.dual} + {preset.head} + {preset.all} epochs")
    return 0


def _print_experiments(names: Iterable[str]) -> None:
    accuracies = {told.experiment: told.test_accuracy for told in read_descriptions("cifar10")}
    for name in names:
        accuracy = f"{100 * accuracies[name]:.2f}" if name in accuracies else ""
        print(f"  {name:<28} {accuracy:>5}  {get_experiment(name).question}")


def add_list_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lwcnn list` to its parser."""
    parser.add_argument("word", nargs="?", metavar="WORD", help="list the experiments whose names contain this")


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

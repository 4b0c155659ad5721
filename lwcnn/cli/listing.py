"""The commands that list datasets and experiments, and show what a network costs."""

import argparse
import os
from collections.abc import Iterable

from lwcnn.cli.arguments import Arguments, at_least_one, model_name, option, output_file
from lwcnn.data.known import DATASET_NAMES
from lwcnn.data.sources import find_dataset
from lwcnn.experiments.recipes import EXPERIMENT_GROUPS, EXPERIMENT_NAMES, NETWORKS, PRESETS, get_experiment
from lwcnn.experiments.shipped import SHIPPED_MODELS, model_file, trained_networks
from lwcnn.experiments.zoo import create_model
from lwcnn.models.description import Description, read_description
from lwcnn.system.errors import unknown_name
from lwcnn.system.files import write_json

MOST_LISTED = 15  # experiments of a group whose names begin alike; larger ones are one line


def _part_of_name(text: str) -> str:
    """A part of the names of some experiments."""
    if not any(text in name for name in EXPERIMENT_NAMES):
        raise unknown_name("experiment", text, EXPERIMENT_NAMES)
    return text


ARGUMENTS: Arguments = {
    "word": option("list the experiments whose names contain WORD", nargs="?", type=_part_of_name, metavar="WORD")
}
SUMMARY: Arguments = {
    "model": option(
        "a .keras file, or the name of a network or an experiment, which is built with random weights", type=model_name
    ),
    "--input-shape": option(
        "height, width and channels of an experiment's images", [32, 32, 3], type=at_least_one, nargs=3
    ),
    "--classes": option("number of classes of an experiment's model", 10, type=at_least_one),
    "--json": option("write the costs to this file", type=output_file),
}


def list_datasets(options: argparse.Namespace) -> None:
    """List the datasets and where each is read from."""
    width = max(map(len, DATASET_NAMES))
    for name in DATASET_NAMES:
        source = find_dataset(name, options.data_dir) or "not on this machine; downloaded when first used"
        print(f"{name:<{width}}  {source}")


def list_names(options: argparse.Namespace) -> None:
    """List the trained networks with their accuracy, the experiments and the presets."""
    descriptions = (read_description(path) for path in SHIPPED_MODELS.glob("cifar10-*.keras"))
    trained = {told.experiment: told for told in descriptions if told}
    if options.word:
        _print_experiments((name for name in EXPERIMENT_NAMES if options.word in name), trained)
        return
    print("trained networks (for predict, evaluate, finetune, export, bench, demo and train)\n")
    row = f"  {{:<{max(map(len, NETWORKS))}}} {{:<13}} {{:>10}} {{:>7}} {{:>11}} {{:>9}}"
    print(row.format("name", "data", "parameters", "test %", "int8 bytes", "latency"))
    for (name, dataset), told in trained_networks().items():
        size = f"{told.int8_bytes:,}" if told.int8_bytes else ""
        latency = f"{told.int8_ms:.3f} ms" if told.int8_ms else ""
        print(row.format(name, dataset, f"{told.params:,}", f"{100 * told.test_accuracy:.2f}", size, latency).rstrip())
    print("\nexperiments (for train); for the trained ones, their accuracy on CIFAR-10 and preset")
    print("(for an ablation: what is removed, then what replaces it)")
    for group, names in EXPERIMENT_GROUPS.items():
        print(f"\n  {group}")
        prefix = os.path.commonprefix([*names])
        if prefix and len(names) > MOST_LISTED:
            print(f"  {prefix + '*':<28} {'':<12} {len(names)} experiments; `lwcnn list {prefix}` shows them")
        else:
            _print_experiments(names, trained)
    print("\npresets, with the epochs of the three phases of `paper` and of `wren`\n")
    for name, preset in PRESETS.items():
        of_the_paper = f"{preset.dual_epochs} + {preset.head_epochs} + {preset.all_epochs}"
        print(f"  {name:<28} at most {of_the_paper}; {preset.network_epochs}")


def _print_experiments(names: Iterable[str], trained: dict[str, Description]) -> None:
    for name in names:
        measured = f"{100 * trained[name].test_accuracy:.2f} {trained[name].preset}" if name in trained else ""
        print(f"  {name:<28} {measured:<12} {get_experiment(name).question}")


def show_summary(options: argparse.Namespace) -> None:
    """Show a model's layers, parameters, multiply-accumulates and memory."""
    from lwcnn.models.cost import costs, summary_text
    from lwcnn.models.io import load_model

    if options.model in (*NETWORKS, *EXPERIMENT_NAMES):
        model = create_model(options.model, None, tuple(options.input_shape), options.classes)
    else:
        model = load_model(model_file(options.model))
    print(summary_text(model))
    if options.json:
        write_json(options.json, {"model": options.model, **costs(model)})

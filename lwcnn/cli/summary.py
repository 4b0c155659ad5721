"""The command `lwcnn summary`: what a model consists of and what it costs."""

import argparse

from lwcnn.cli.arguments import at_least_one, path


def show_summary(options: argparse.Namespace) -> int:
    """Show a model's layers, parameters, multiply-accumulates and memory."""
    from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
    from lwcnn.experiments.zoo import create_model, model_file
    from lwcnn.models.cost import costs, summary_text
    from lwcnn.models.io import load_model
    from lwcnn.system.files import write_json

    if options.model in (*NETWORKS, *EXPERIMENT_NAMES):
        model = create_model(options.model, None, tuple(options.input_shape), options.classes)
    else:
        model = load_model(model_file(options.model))
    print(summary_text(model))
    if options.json:
        write_json(options.json, {"model": options.model, **costs(model)})
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        help="a .keras file, or the name of a network or an experiment, whose model is built with new weights",
    )
    parser.add_argument(
        "--input-shape",
        type=at_least_one,
        nargs=3,
        default=[32, 32, 3],
        metavar=("HEIGHT", "WIDTH", "CHANNELS"),
        help="shape of an image, for an experiment's model (default: 32 32 3)",
    )
    parser.add_argument(
        "--classes", type=at_least_one, default=10, metavar="N", help="classes of an experiment's model (default: 10)"
    )
    parser.add_argument("--json", type=path, metavar="FILE", help="write the costs to this file")

"""The command `lwcnn release`."""

import argparse

from lwcnn.cli.arguments import add_folder


def release(options) -> int:
    """Write license, size and latency into the model files of a folder, and a model card beside each."""
    from lwcnn.experiments.folders import Folders
    from lwcnn.experiments.release import describe_models
    from lwcnn.models.description import NOT_SPECIFIED, read_description
    from lwcnn.publication.cards import write_cards

    folders = Folders(options.results, models=options.models)
    described = describe_models(folders, options.license)
    silent = sum(told.license == NOT_SPECIFIED for told in map(read_description, described) if told)
    if silent:
        print(f"{silent} of them state no license, so nobody else may use them: --license TEXT states one")
    print(f"released {len(described)} model(s), with {len(write_cards(folders))} pages, in {options.models}")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    add_folder(parser, "models", "runs/models", "the models")
    add_folder(parser, "results", "runs/results", "their results")
    parser.add_argument("--license", metavar="TEXT", help="license of the weights (default: what each file states)")

"""The command `lwcnn figures`."""

import argparse
import sys

from lwcnn.cli.arguments import add_data_arguments, add_folder

EXIT_SKIPPED = 3
"""Exit code if some figures lacked their input; the others are drawn."""


def draw(options) -> int:
    """Draw the figures of all results, without training; figures that lack their input are skipped (exit code 3)."""
    from lwcnn.experiments.folders import Folders
    from lwcnn.publication.figures.catalogue import draw_figures

    folders = Folders(options.results, data=options.data_dir, models=options.models)
    num_drawn = num_skipped = 0
    for name, paths, reason in draw_figures(folders, options.output, options.dataset, options.only):
        num_drawn, num_skipped = num_drawn + bool(paths), num_skipped + (not paths)
        if paths:
            print(f"drawn    {name:<44} {sum(path.stat().st_size for path in paths) // 1000:>5} kB", flush=True)
        else:
            print(f"skipped  {name:<44} {reason}", file=sys.stderr, flush=True)
    print(f"{num_drawn} figures are in {options.output}, {num_skipped} were skipped")
    return EXIT_SKIPPED if num_skipped else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="figures to draw (default: all)")
    parser.add_argument(
        "--dataset", nargs="+", default=[], metavar="NAME", help="data sets to draw (default: all that have results)"
    )
    add_folder(parser, "results", "results", "the results")
    add_folder(parser, "models", "models", "the models")
    add_folder(parser, "output", "visualizations", "the figures")
    add_data_arguments(parser)

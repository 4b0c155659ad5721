"""The command `lwcnn figures`."""

import argparse
import sys

from lwcnn.cli.arguments import add_data_arguments, add_folder

EXIT_SKIPPED = 3
"""Exit code if some figures lacked their input; the others are drawn."""


def draw(options) -> int:
    """Draw the figures of all results, without training; figures that lack their input are skipped (exit code 3)."""
    from lwcnn.experiments.folders import Folders
    from lwcnn.publication.figures.catalogue import Drawn, draw_figures
    from lwcnn.publication.figures.from_models import HeatMapChoice

    def report(drawn: Drawn) -> None:
        name = f"{drawn.dataset}/{drawn.name}"
        if drawn.reason is None:
            print(f"drawn    {name:<44} {sum(file.stat().st_size for file in drawn.paths) // 1000:>5} kB", flush=True)
        else:
            print(f"skipped  {name:<44} {drawn.reason}", file=sys.stderr, flush=True)

    folders = Folders(options.results, data=options.data_dir, models=options.models)
    choice = HeatMapChoice(options.classes, options.layer)
    done = draw_figures(folders, options.output, options.dataset, options.only, choice, report)
    skipped = sum(drawn.reason is not None for drawn in done)
    print(f"{len(done) - skipped} figures are in {options.output}, {skipped} were skipped")
    return EXIT_SKIPPED if skipped else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="figures to draw (default: all)")
    parser.add_argument(
        "--dataset", nargs="+", default=[], metavar="NAME", help="data sets to draw (default: all that have results)"
    )
    add_folder(parser, "results", "results", "the results")
    add_folder(parser, "models", "models", "the models")
    add_folder(parser, "output", "visualizations", "the figures")
    parser.add_argument(
        "--classes", nargs="+", default=[], metavar="CLASS", help="classes of the heat maps (default: two of each)"
    )
    parser.add_argument("--layer", metavar="NAME", help="layer of the heat maps (default: the last convolution)")
    add_data_arguments(parser)

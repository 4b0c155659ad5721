"""The command `lwcnn figures`: its arguments, and what it says. Matplotlib is imported only when it runs."""

import argparse
import sys
from pathlib import Path

EXIT_SKIPPED = 3
"""Exit code where some figures lacked their input; the rest is drawn."""


def draw(options) -> int:
    """Draw the figures of all results, without training; what lacks its input is named and skipped (exit code 3)."""
    from lwcnn.experiments.run import Folders
    from lwcnn.publication.figures.catalogue import Drawn, draw_figures
    from lwcnn.publication.figures.from_models import HeatMapChoice

    def report(drawn: Drawn) -> None:
        name = f"{drawn.dataset}/{drawn.name}"
        if drawn.reason is None:
            print(f"drawn    {name:<44} {sum(path.stat().st_size for path in drawn.paths) // 1000:>5} kB", flush=True)
        else:
            print(f"skipped  {name:<44} {drawn.reason}", file=sys.stderr, flush=True)

    folders = Folders(options.results, data=options.data_dir, models=options.models)
    choice = HeatMapChoice(options.classes, options.layer)
    done = draw_figures(folders, options.output, options.dataset, options.only, choice, report)
    skipped = sum(drawn.reason is not None for drawn in done)
    print(f"{len(done) - skipped} figures are in {options.output}, {skipped} were skipped")
    return EXIT_SKIPPED if skipped else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Puts the command's arguments into its parser."""
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="figures to draw; all by default")
    parser.add_argument("--dataset", nargs="+", default=[], metavar="NAME", help="all with results by default")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the released models")
    parser.add_argument("--output", type=Path, default=Path("visualizations"), help="folder to draw into")
    parser.add_argument("--classes", nargs="+", default=[], metavar="CLASS", help="classes of the heat maps")
    parser.add_argument("--layer", help="layer of the heat maps; the last with a map by default")
    parser.add_argument("--data-dir", help="folder of <name>.npz files (else $LWCNN_DATA_DIR)")

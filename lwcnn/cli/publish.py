"""The commands that make tables, figures, the report and model cards from results."""

import argparse
import sys
from pathlib import Path

from lwcnn.cli.arguments import DATA_DIR, Arguments, folder, option, output_folder, path
from lwcnn.experiments.folders import Folders
from lwcnn.models.description import NOT_SPECIFIED, read_description
from lwcnn.system.errors import wrong
from lwcnn.system.files import write_atomically

EXIT_SKIPPED = 3
"""Exit code if some figures lacked their input; the others are drawn."""

TABLE: Arguments = {
    "--results": folder("results", "the results"),
    "--write": option("Markdown files whose tables to replace", type=path, nargs="+"),
}
FIGURES: Arguments = {
    "--only": option("figures to draw (default: all)", nargs="+", metavar="NAME"),
    "--dataset": option(
        "datasets to draw, each a name, or its folder of images or .npz file (default: all with a released model)",
        nargs="+",
        metavar="DATA",
    ),
    "--results": folder("results", "the results"),
    "--models": folder("models", "the models"),
    "--output": folder("visualizations", "the figures", output_folder),
    **DATA_DIR,
}
REPORT: Arguments = {
    "--source": option("LaTeX source, part of a clone of the repository", Path("research_report.tex"), type=path),
    "--results": folder("results", "the results"),
    "--work": folder("build/report", "intermediate files", output_folder),
    "--no-pdf": option("write numbers and tables only", action="store_true"),
}
RELEASE: Arguments = {
    "--models": folder("runs/models", "the models"),
    "--results": folder("runs/results", "their results"),
    "--license": option("license of the weights (default: what each file states)", metavar="TEXT"),
}


def show_tables(options: argparse.Namespace) -> None:
    """Show the tables of all results, or replace those in Markdown files."""
    from lwcnn.publication.tables.catalogue import all_tables, write_tables

    if options.write:
        write_tables(options.write, options.results)
    else:
        print(all_tables(options.results))


def draw(options: argparse.Namespace) -> int:
    """Draw the figures of all results, without training; figures that lack their input are skipped (exit code 3)."""
    from lwcnn.publication.figures.catalogue import draw_figures

    folders = Folders(options.results, data=options.data_dir, models=options.models)
    num_drawn = num_skipped = 0
    for name, paths, reason in draw_figures(folders, options.output, options.dataset or [], options.only or []):
        if paths:
            num_drawn += 1
            print(f"drawn    {name:<44} {sum(path.stat().st_size for path in paths) // 1000:>5} kB", flush=True)
        else:
            num_skipped += 1
            print(f"skipped  {name:<44} {reason}", file=sys.stderr, flush=True)
    print(f"{num_drawn} figures are in {options.output}, {num_skipped} were skipped")
    return EXIT_SKIPPED if num_skipped else 0


def make_report(options: argparse.Namespace) -> None:
    """Make the report: numbers and tables from the results, then the PDF with latexmk."""
    from lwcnn.publication.evidence import Evidence
    from lwcnn.publication.report import build_pdf, generate

    if not options.source.exists():
        raise wrong("Run this in a clone of the repository, or give a LaTeX source with --source", options.source)
    made = generate(options.source, options.work, Evidence(options.results))
    print(f"{len(made.values)} values and {len(made.tables)} tables are in {options.work}/generated")
    for reason in made.missing:
        print(f"not run  {reason}")
    print(f'{len(made.missing)} results are missing and show as "not run"')
    if not options.no_pdf:
        content = build_pdf(options.source, options.work).read_bytes()
        target = options.source.with_suffix(".pdf")
        write_atomically(target, content)
        print(f"{target}, {len(content) // 1000} kB")


def release(options: argparse.Namespace) -> None:
    """Write license, size and latency into the model files of a folder, and a model card beside each."""
    from lwcnn.experiments.release import describe_models
    from lwcnn.publication.cards import require_place, write_cards

    folders = Folders(options.results, models=options.models)
    require_place(folders)  # before any file is changed
    described = describe_models(folders, options.license)
    silent = sum(told.license == NOT_SPECIFIED for told in map(read_description, described) if told)
    if silent:
        print(f"{silent} model(s) state no license, so others may not use them: add one with --license TEXT")
    print(f"released {len(described)} model(s), with {len(write_cards(folders))} pages, in {options.models}")

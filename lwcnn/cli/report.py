"""The command `lwcnn report`."""

import argparse
from pathlib import Path

from lwcnn.cli.arguments import path


def make(options) -> int:
    """Make the report: numbers and tables from the results, then the PDF with latexmk."""
    from lwcnn.publication.evidence import Evidence
    from lwcnn.publication.report import build_pdf, generate
    from lwcnn.system.files import write_atomically

    made = generate(options.source, options.work, Evidence(options.results))
    print(f"{len(made.values)} values and {len(made.tables)} tables are in {options.work}/generated")
    for reason in made.missing:
        print(f"not run  {reason}")
    print(f'{len(made.missing)} results are missing and show as "not run"')
    if options.pdf:
        content = build_pdf(options.source, options.work).read_bytes()
        target = options.source.with_suffix(".pdf")
        if not target.exists() or target.read_bytes() != content:
            write_atomically(target, content)
        print(f"{target}, {len(content) // 1000} kB")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    for name, default, kind, words in (
        ("--source", "research_report.tex", "FILE", "LaTeX source"),
        ("--results", "results", "DIR", "folder of the results"),
        ("--work", "build/report", "DIR", "folder of intermediate files"),
    ):
        parser.add_argument(name, type=path, default=Path(default), metavar=kind, help=f"{words} (default: {default})")
    parser.add_argument("--no-pdf", dest="pdf", action="store_false", help="write numbers and tables only")

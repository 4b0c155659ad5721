"""The command `lwcnn report`: its arguments, and what it says."""

import argparse
from pathlib import Path


def make(options) -> int:
    """Make the report: its numbers and tables from the results, then the PDF by latexmk."""
    from lwcnn.experiments.run import Folders
    from lwcnn.publication.report import build_pdf, generate
    from lwcnn.publication.report.evidence import Evidence
    from lwcnn.system.files import write_atomically

    made = generate(options.source, options.work, Evidence(Folders(options.results, models=options.models)))
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
    """Puts the command's arguments into its parser."""
    parser.add_argument("--source", type=Path, default=Path("research_report.tex"), help="the document")
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the results")
    parser.add_argument("--models", type=Path, default=Path("models"), help="folder of the released models")
    parser.add_argument("--work", type=Path, default=Path("build/report"), help="folder for what is made on the way")
    parser.add_argument("--no-pdf", dest="pdf", action="store_false", help="only write numbers and tables")

r"""The report: `research_report.tex` holds the sentences, and every number and table in it comes from the results.

The text names what it needs by `\val{...}` and `\generated{...}`; `generate` writes both as LaTeX, and `build_pdf`
runs latexmk. An unknown name is an error; a result that is missing shows as "not run".
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import what_is_missing
from lwcnn.publication.tables import make_table
from lwcnn.publication.tables.table import cell_latex
from lwcnn.publication.values import resolve
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_text, write_atomically

PACKAGES = "latexmk texlive-latex-recommended lmodern"  # of Debian and Ubuntu
GENERATED = "generated"  # folder inside the work folder
MAX_OVERFULL = 2.0  # points that a line may stick out
_VALUE = re.compile(r"\\val\{([^{}]*)\}")
_TABLE = re.compile(r"\\generated\{([^{}]*)\}")
_COMMENT = re.compile(r"(?<!\\)%.*")
_COMPLAINT = re.compile(r"^!.*(?:\n.*){0,3}|^.*Warning.*undefined.*$", re.MULTILINE)
_OVERFULL = re.compile(r"^Overfull \\hbox \(([0-9.]+)pt too wide\).*$", re.MULTILINE)
_TOO_TALL = re.compile(r"^LaTeX Warning: Float too large for page.*$", re.MULTILINE)


class Generated(NamedTuple):
    """The output for a document: LaTeX of values and tables by name, and a message for each missing result."""

    values: dict[str, str]
    tables: dict[str, str]
    missing: list[str]


def used_names(text: str) -> tuple[list[str], list[str]]:
    """The names of values and of tables that a document uses, sorted, comments left out."""
    text = _COMMENT.sub("", text)
    body = text.partition(r"\begin{document}")[2]
    values, tables = ({" ".join(name.split()) for name in found.findall(body)} for found in (_VALUE, _TABLE))
    return sorted(values), sorted(tables)


def generate(source: Path, work: Path, evidence: Evidence) -> Generated:
    """Writes `<work>/generated/values.tex` and a file for each table that a document names."""
    values, tables = used_names(read_text(source))
    made_tables = {name: make_table(name, evidence) for name in tables}
    found = {name: resolve(name, evidence) for name in values}
    shown = [*found.values(), *(one for table in made_tables.values() for one in table.measured)]
    made = Generated(
        {name: cell_latex(value) for name, value in found.items()},
        {name: table.latex() for name, table in made_tables.items()},
        list(dict.fromkeys(what_is_missing(one) for one in shown if isinstance(one, MissingInput))),
    )
    lines = [rf"\expandafter\def\csname lwcnn:{name}\endcsname{{{text}}}" for name, text in made.values.items()]
    contents = {"values": "\n".join(lines), **made.tables}
    for name, text in contents.items():
        write_atomically(Path(work) / GENERATED / f"{name}.tex", f"{text}\n".encode())
    return made


def build_pdf(source: Path, work: Path) -> Path:
    """Builds the PDF in the work folder, with what was generated there; unchanged inputs give identical bytes.

    Undefined macros and references, lines that are too wide and floats taller than a page are errors.
    """
    if shutil.which("latexmk") is None:
        raise LwcnnError(
            f"latexmk is not installed: on Debian or Ubuntu, apt-get install --no-install-recommends {PACKAGES}. "
            "`lwcnn report --no-pdf` writes the numbers and tables alone."
        )
    source, work = Path(source).resolve(), Path(work).resolve()
    options = ["-pdf", "-Werror", "-interaction=nonstopmode", "-halt-on-error", f"-outdir={work}"]
    command = ["latexmk", *options, source.name]
    environment = os.environ | {
        "TEXINPUTS": f"{work}:{source.parent}:",
        "BIBINPUTS": f"{source.parent}:",
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "10000",
    }
    pdf, log = (work / f"{source.stem}{suffix}" for suffix in (".pdf", ".log"))
    done = subprocess.run(command, cwd=source.parent, env=environment, capture_output=True, text=True, errors="replace")
    text = log.read_text(errors="replace") if log.exists() else ""
    if done.returncode:
        complaints = "\n".join(_COMPLAINT.findall(text)[:10])
        raise LwcnnError(f"latexmk failed on {source}:\n{complaints or done.stderr[-2000:]}")
    if wide := [found[0] for found in _OVERFULL.finditer(text) if float(found[1]) > MAX_OVERFULL]:
        raise LwcnnError(f"Lines stick out in {source}:\n" + "\n".join(wide))
    if tall := _TOO_TALL.findall(text):
        raise LwcnnError(f"Split the tables or figures of {source} that do not fit a page:\n" + "\n".join(tall))
    return pdf

r"""From `research_report.tex` to the PDF: what it names is written as LaTeX, then latexmk builds it."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables import TABLES
from lwcnn.publication.tables.table import cell_latex
from lwcnn.publication.values import resolve
from lwcnn.system.errors import LwcnnError, unknown_name
from lwcnn.system.files import write_atomically

PACKAGES = "latexmk texlive-latex-recommended lmodern"  # of Debian and Ubuntu
GENERATED = "generated"  # folder inside the work folder
MAX_SECONDS = 300
MAX_OVERFULL = 2.0  # points that a line may stick out
_VALUE = re.compile(r"\\val\{([^{}]*)\}")
_TABLE = re.compile(r"\\generated\{([^{}]*)\}")
_COMMENT = re.compile(r"(?<!\\)%.*")
_OVERFULL = re.compile(r"^Overfull \\hbox \(([0-9.]+)pt too wide\).*$", re.MULTILINE)


@dataclass(frozen=True)
class Generated:
    """What was written for a document.

    Attributes:
        values: LaTeX by name.
        tables: LaTeX by name.
        missing: Results that do not exist; each is shown as "not run".
    """

    values: dict[str, str]
    tables: dict[str, str]
    missing: tuple[str, ...]


def used_names(text: str) -> tuple[list[str], list[str]]:
    """The names of values and of tables that a document uses, sorted, comments left out."""
    text = _COMMENT.sub("", text)
    body = text.partition(r"\begin{document}")[2]
    values, tables = ({" ".join(name.split()) for name in found.findall(body)} for found in (_VALUE, _TABLE))
    return sorted(values), sorted(tables)


def generate(source: Path, work: Path, evidence: Evidence) -> Generated:
    """Writes `<work>/generated/values.tex` and a file for each table that a document names.

    Args:
        source: the document.
        work: folder for what is made.
        evidence: what the results hold.

    Raises:
        LwcnnError: if a name stands for nothing, or a file can't be read or written.
    """
    try:
        values, tables = used_names(Path(source).read_text(encoding="utf-8"))
    except OSError as error:
        raise LwcnnError(f"Can't read {source}: {error.strerror}") from error
    for name in tables:
        if name not in TABLES:
            raise unknown_name("table", name, TABLES)
    found = {name: resolve(name, evidence) for name in values}
    made_tables = {name: TABLES[name](evidence) for name in tables}
    needs = [value.needs for value in found.values() if isinstance(value, Measurement) and value.needs]
    needs += [need for table in made_tables.values() for need in table.missing]
    made = Generated(
        {name: cell_latex(value.bare() if isinstance(value, Measurement) else value) for name, value in found.items()},
        {name: table.latex() for name, table in made_tables.items()},
        tuple(dict.fromkeys(needs)),
    )
    lines = [rf"\expandafter\def\csname lwcnn:{name}\endcsname{{{text}}}" for name, text in made.values.items()]
    contents = {"values": "\n".join(lines), **made.tables}
    for name, text in contents.items():
        write_atomically(Path(work) / GENERATED / f"{name}.tex", f"{text}\n".encode())
    return made


def build_pdf(source: Path, work: Path) -> Path:
    """Has latexmk build the PDF, with what was generated into the work folder; an undefined macro is an error.

    Args:
        source: the document; figures and bibliography are sought from its folder.
        work: folder for what is made.

    Returns:
        The PDF in the work folder. It is the same bytes when nothing changed.

    Raises:
        LwcnnError: if latexmk is missing, or the document has errors, undefined references or lines that stick out.
    """
    if shutil.which("latexmk") is None:
        raise LwcnnError(
            f"latexmk is not installed: on Debian or Ubuntu, apt-get install --no-install-recommends {PACKAGES}. "
            "`lwcnn report --no-pdf` writes the numbers and tables alone."
        )
    source, work = Path(source).resolve(), Path(work).resolve()
    command = [
        "latexmk",
        "-pdf",
        "-Werror",
        "-interaction=nonstopmode",
        "-halt-on-error",
        f"-outdir={work}",
        source.name,
    ]
    environment = os.environ | {
        "TEXINPUTS": f"{work}:{source.parent}:",
        "BIBINPUTS": f"{source.parent}:",
        "SOURCE_DATE_EPOCH": "0",
        "FORCE_SOURCE_DATE": "1",
        "max_print_line": "10000",
    }
    pdf, log = (work / f"{source.stem}{suffix}" for suffix in (".pdf", ".log"))
    try:
        done = subprocess.run(
            command,
            cwd=source.parent,
            env=environment,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=MAX_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise LwcnnError(f"latexmk took more than {MAX_SECONDS} s. Received: {source}") from error
    text = log.read_text(errors="replace") if log.exists() else ""
    if done.returncode:
        raise LwcnnError(f"latexmk failed on {source}:\n{_complaints(text) or done.stderr[-2000:]}")
    if wide := [line for line in _overfull(text) if line[0] > MAX_OVERFULL]:
        raise LwcnnError(f"Lines stick out in {source}:\n" + "\n".join(line for _, line in wide))
    return pdf


def _complaints(log: str) -> str:
    """What LaTeX says is wrong: errors with the lines after them, and undefined references."""
    lines = log.splitlines()
    shown: list[str] = []
    for i, line in enumerate(lines):
        if line.startswith("!"):
            shown += lines[i : i + 4]
        elif "undefined" in line and "Warning" in line:
            shown.append(line)
    return "\n".join(shown[:40])


def _overfull(log: str) -> Iterable[tuple[float, str]]:
    return [(float(found[1]), found[0]) for found in _OVERFULL.finditer(log)]

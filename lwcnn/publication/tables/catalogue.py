"""All tables by name, and the Markdown pages that show them between `<!-- name -->` and `<!-- end of name -->`."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import Measurement, or_missing
from lwcnn.publication.tables import ablations, accuracies, audit, benchmarks, networks
from lwcnn.publication.tables.table import Table
from lwcnn.system.errors import require_known, wrong
from lwcnn.system.files import StrPath, read_text, write_atomically

_FUNCTIONS: tuple[Callable[[Evidence], Table], ...] = (
    accuracies.accuracies, accuracies.family, accuracies.machines, accuracies.folds,
    networks.headline, networks.reproduction, networks.improved, networks.efficiency,
    ablations.method, ablations.parts, ablations.techniques,
    networks.calibration, networks.references, networks.published, benchmarks.int8, benchmarks.bench,
)  # fmt: skip
TABLES: dict[str, Callable[[Evidence], Table]] = {function.__name__: function for function in _FUNCTIONS}
TABLES |= audit.AUDITS | {name: partial(benchmarks.measured, name) for name in benchmarks.COLUMNS}

SHOWN = ("accuracies", "method", "parts", "techniques", "folds", "references", "machines")
"""Tables that `lwcnn table` prints."""

_MARKED = re.compile(r"(?P<begin><!-- (?P<name>\w+) -->\n).*?(?P<end><!-- end of (?P=name) -->)", re.DOTALL)


def make_table(name: str, evidence: Evidence) -> Table:
    """Makes one of `TABLES`; one whose results are missing has a single cell, which says so."""
    require_known("table", name, TABLES)
    table = or_missing(TABLES[name], evidence)
    return Table(["result"], [[[table]]]) if isinstance(table, MissingInput) else table


def all_tables(folder: StrPath) -> str:
    """The tables of a results folder that need only runs, except tables whose results are all missing."""
    evidence = Evidence(folder)
    if evidence.runs.empty and evidence.folds.empty:
        raise wrong("There are no results; `lwcnn train` writes into runs/results by default", f"--results {folder}")
    tables = [make_table(name, evidence) for name in SHOWN]
    told = [one for one in tables if not one.measured or any(isinstance(cell, Measurement) for cell in one.measured)]
    return "\n\n".join(table.markdown() for table in told if table.rows)


def fill(text: str, evidence: Evidence) -> str:
    """Returns a page's text with each table between its marks updated."""

    def renewed(found: re.Match) -> str:
        return f"{found['begin']}{make_table(found['name'], evidence).markdown()}\n{found['end']}"

    return _MARKED.sub(renewed, text)


def write_tables(paths: Sequence[Path], folder: StrPath) -> None:
    """Updates the tables between the marks of Markdown files; `folder` is the results folder."""
    evidence, old = Evidence(folder), {path: read_text(path) for path in paths}
    if not any(map(_MARKED.search, old.values())):
        marks = "<!-- accuracies --> and <!-- end of accuracies -->"
        raise wrong(f"Put marks such as {marks} into the file", ", ".join(map(str, paths)))
    for path, text in old.items():
        if (new := fill(text, evidence)) != text:
            write_atomically(path, new.encode())

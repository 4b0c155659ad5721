"""Tables: built once, written as Markdown or LaTeX.

Texts in them are inline Markdown with one feature, `code` in backticks.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.measurement import Measurement, or_missing
from lwcnn.system.safe_text import latex_text

Part = str | Measurement | MissingInput
Cell = Part | tuple[Part, ...]
"""A text, a measurement, or a missing one, which shows as "not run"; or several of them in a row.

A measurement is shown without unit and origin: the column's title states both.
"""

_SET = {" ± ": "\\,$\\pm$\\,", "×": "$\\times$", "µ": "$\\mu$", "<": "$<$", "→": "$\\to$", "–": "--"}
_SIGNED = re.compile(r"(?<![\w.)-])([+-])(?=\d)")
_CODE_NAME = re.compile(r" \(`[\w-]+`\)")
_BY = re.compile(r"\b(\d+)x(\d+)\b")


@dataclass(frozen=True)
class Table:
    """A table: column titles, and rows of cells by group; empty groups are left out.

    `kinds` are LaTeX's column types, by default all left-aligned; X columns share the free space of a line.
    """

    head: Sequence[str]
    groups: Sequence[Sequence[Sequence[Cell]]]
    kinds: str = ""

    @property
    def rows(self) -> list[Sequence[Cell]]:
        return [row for group in self.groups for row in group]

    @property
    def measured(self) -> list[Measurement | MissingInput]:
        """All measurements, those that are missing too."""
        return [part for row in self.rows for cell in row for part in _parts(cell) if not isinstance(part, str)]

    def markdown(self) -> str:
        """The table in Markdown; an empty text without rows."""
        rows = [[_markdown(cell) for cell in row] for row in self.rows]
        lines = [[title.replace("|", r"\|") for title in self.head], ["---"] * len(self.head), *rows]
        head, rule, *body = (f"| {' | '.join(cells)} |" for cells in lines)
        return "\n".join([head, rule.replace(" ", ""), *body]) if body else ""

    def latex(self) -> str:
        """The table as a tabular of booktabs, or a tabularx if it has X columns."""
        kind, begin = ("tabularx", r"{\textwidth}") if "X" in self.kinds else ("tabular", "[t]")
        columns = self.kinds or "l" * len(self.head)
        groups = [[rf"{' & '.join(map(cell_latex, row))} \\" for row in rows] for rows in ([self.head], *self.groups)]
        body = "\n\\midrule\n".join("\n".join(rows) for rows in groups if rows)
        start = rf"\begin{{{kind}}}{begin}{{@{{}}{columns}@{{}}}}"
        return "\n".join([start, r"\toprule", body, r"\bottomrule", rf"\end{{{kind}}}"])

    def _repr_markdown_(self) -> str:
        return self.markdown() or "*No results.*"


Columns = dict[str, str | Callable[[Any], Cell]]
"""Columns by title: a function of a row, or a template filled with its values, whose final "%" is removed."""


def table_of(columns: Columns, *groups: Iterable, kinds: str = "") -> Table:
    """Makes a table of groups of rows; a cell whose result does not exist is a missing measurement."""
    cells = [[[_cell(column, row) for column in columns.values()] for row in rows] for rows in groups]
    return Table(list(columns), cells, kinds)


def _cell(column: str | Callable[[Any], Cell], row: Any) -> Cell:
    return column.format(**row).removesuffix("%") if isinstance(column, str) else or_missing(column, row)


def to_latex(text: str) -> str:
    """Converts inline Markdown to LaTeX: code, signs, percent signs, and sizes such as 3x3.

    A code name in parentheses is omitted: the report's readers know the plain name before it.
    """
    pieces = _CODE_NAME.sub("", text).split("`")
    return "".join(_code(piece) if i % 2 else _words(piece) for i, piece in enumerate(pieces))


def _code(name: str) -> str:
    """Typesets code, which may break after `_` and `+`."""
    text = latex_text(name).replace(r"\_", r"\_\allowbreak{}").replace("+", r"+\allowbreak{}")
    return rf"\texttt{{{text}}}"


def _words(text: str) -> str:
    text = latex_text(text)
    for found, typeset in _SET.items():
        text = text.replace(found, typeset)
    return _BY.sub(r"$\1\\times\2$", _SIGNED.sub(r"$\1$", text))


def _parts(cell: Cell) -> tuple[Part, ...]:
    return cell if isinstance(cell, tuple) else (cell,)


def _text(part: str | Measurement) -> str:
    return str(part.bare()) if isinstance(part, Measurement) else part


def _markdown(cell: Cell) -> str:
    texts = ("not run" if isinstance(part, MissingInput) else _text(part) for part in _parts(cell))
    return "".join(texts).replace("|", r"\|")


def cell_latex(cell: Cell) -> str:
    """Converts a cell to LaTeX; missing measurements are marked, and an empty cell becomes a dash."""
    texts = (r"\notrun{}" if isinstance(part, MissingInput) else to_latex(_text(part)) for part in _parts(cell))
    return "".join(texts) or "--"

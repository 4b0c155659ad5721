"""Each claim of the paper, of its reproduction and of the reference networks: `lwcnn.publication.claims.audit` as LaTeX."""

import re

from lwcnn.publication.claims.audit import AuditRow
from lwcnn.publication.claims.claims import EXTENSION, NARROW, PAPER, REPRODUCTION, RESNET_4443, SE_RESNET
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import code, escape, tabular

LARGE = (SE_RESNET, RESNET_4443, NARROW)
"""Their training takes an accelerator: without one, they are "not trained here"."""

SINGLE_GAINS = "gain of "
"""Begins the claims that the table of the parts has, with tests."""

_COLUMN = r">{\raggedright\arraybackslash}"
_COLUMNS = "@{}" + "".join(rf"{_COLUMN}p{{{width}\textwidth}}" for width in (0.17, 0.17, 0.24)) + _COLUMN + "X@{}"
_NOT_THERE = re.compile(r"not (?:run|measured): `([^`]*)`")
_MARK = "\0"  # stands for "not run" until the rest is written as LaTeX


def audit_paper(evidence: Evidence) -> str:
    """The paper's claims."""
    return _table(evidence, (PAPER,))


def audit_reproduction(evidence: Evidence) -> str:
    """The claims of the CIFAR-10 reproduction, then those of its extension."""
    return _table(evidence, (REPRODUCTION, EXTENSION))


def audit_resnets(evidence: Evidence) -> str:
    """The claims of the three reference networks."""
    return _table(evidence, LARGE)


def _table(evidence: Evidence, systems: tuple[str, ...]) -> str:
    rows = [row for row in evidence.audit if not row.what.startswith(SINGLE_GAINS)]
    groups = [[_cells(evidence, row) for row in rows if row.system == system] for system in systems]
    head = ["claim about", "claimed", "code, table or output", "measured here"]
    return tabular(_COLUMNS, head, groups, width=r"\textwidth")


def _cells(evidence: Evidence, row: AuditRow) -> list[str]:
    about = f"{row.system}: {row.what}" if row.system in LARGE else row.what
    return [
        text_as_latex(about),
        *(text_as_latex(text) or "--" for text in (row.claimed, row.built)),
        _here(evidence, row),
    ]


def _here(evidence: Evidence, row: AuditRow) -> str:
    """What is measured here, each part that is not there marked and written down with its command."""
    shown = text_as_latex(_NOT_THERE.sub(_MARK, row.here))
    if row.system in LARGE and _MARK in shown:
        return shown.replace(_MARK, "not trained here")
    for command in _NOT_THERE.findall(row.here):
        shown = shown.replace(_MARK, evidence.note_missing(f"the audit lacks `{command}`"), 1)
    return shown


def text_as_latex(text: str) -> str:
    """The audit's words as LaTeX: names in backticks, percent signs, plus-minus, minus and 1x1 as they are set."""
    pieces = text.split("`")
    return "".join(code(piece) if i % 2 else _words(piece) for i, piece in enumerate(pieces))


def _words(text: str) -> str:
    text = escape(text).replace(r" \%", r"\,\%").replace(" ± ", r"\,$\pm$\,").replace("1x1", r"$1\times1$")
    return re.sub(r"(?<![\w.])([+-])(?=\d)", r"$\1$", text)

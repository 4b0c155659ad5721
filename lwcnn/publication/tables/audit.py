"""The audit as tables."""

from collections.abc import Sequence

from lwcnn.publication.claims.audit import SINGLE_GAIN, AuditRow, audit
from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.table import Cell, Table

_WIDTHS = (0.17, 0.17, 0.24)
_COLUMN = r">{\raggedright\arraybackslash}"
_COLUMNS = "".join(rf"{_COLUMN}p{{{width}\textwidth}}" for width in _WIDTHS) + _COLUMN + "X"


def audit_all(evidence: Evidence) -> Table:
    """Every claim, with its system."""
    rows = audit(evidence)
    head = ["system", "about", "claimed", "its code, table or output", "measured here"]
    return Table(head, [[[row.claim.system, *_cells(row)] for row in rows]])


def audit_paper(evidence: Evidence) -> Table:
    """The claims of the paper."""
    return _of(evidence, ("paper",))


def audit_reproduction(evidence: Evidence) -> Table:
    """The claims of the CIFAR-10 reproduction, of its extension and of a third party's rerun.

    Without single gains, which the table of parts has.
    """
    return _of(evidence, ("reproduction", "extension", "rerun"))


def audit_resnets(evidence: Evidence) -> Table:
    """The claims of the three reference networks."""
    return _of(evidence, ("SE-ResNet [4,4,3]", "ResNet [4,4,4,3]", "narrow ResNet-18"), with_system=True)


def _of(evidence: Evidence, systems: Sequence[str], with_system: bool = False) -> Table:
    rows = [row for row in audit(evidence) if not row.claim.what.startswith(SINGLE_GAIN)]
    groups = []
    for system in systems:
        cells = [_cells(row) for row in rows if row.claim.system == system]
        groups.append([[f"{system}: {about}" if with_system else about, *rest] for about, *rest in cells])
    return Table(["claim about", "claimed", "code, table or output", "measured here"], groups, _COLUMNS, r"\textwidth")


def _cells(row: AuditRow) -> list[Cell]:
    here: list[str | Measurement] = []
    for i, (name, measurement) in enumerate(row.here):
        here += [f"{'; ' if i else ''}{name}{': ' if name else ''}", measurement]
    return [row.claim.what, row.claim.claimed, row.claim.built, tuple(here)]

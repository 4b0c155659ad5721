"""The audit: each claim, what the system's own code contains, and the measurements that test the claim."""

from collections.abc import Callable

from lwcnn.publication.claims import CLAIMS, SINGLE_GAIN
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.table import Cell, Part, Table
from lwcnn.publication.values import resolve

_LEFT = r">{\raggedright\arraybackslash}"
_CLAIMED = "".join(rf"{_LEFT}p{{{width}\textwidth}}" for width in (0.17, 0.17))
_COLUMNS = _CLAIMED + rf"{_LEFT}p{{0.24\textwidth}}{_LEFT}X"
_THREE_COLUMNS = rf"{_CLAIMED}{_LEFT}X"


def audit_all(evidence: Evidence) -> Table:
    """Every claim, with its system."""
    head = ["system", "about", "claimed", "its code, table or output", "measured here"]
    return Table(head, [[[claim["system"], *_cells(claim, evidence)] for claim in CLAIMS]])


def audit(*systems: str, with_system: bool = False) -> Callable[[Evidence], Table]:
    """Returns the table of the claims of some systems, a group each."""

    def table(evidence: Evidence) -> Table:
        groups = []
        for system in systems:
            claims = [claim for claim in CLAIMS if claim["system"] == system]
            cells = [_cells(claim, evidence) for claim in claims if not claim["what"].startswith(SINGLE_GAIN)]
            groups.append([[f"{system}: {about}" if with_system else about, *rest] for about, *rest in cells])
        head = ["claim about", "claimed", "code, table or output", "measured here"]
        if not any(measured for group in groups for *_, measured in group):
            return Table(head[:3], [[row[:3] for row in group] for group in groups], _THREE_COLUMNS, r"\textwidth")
        return Table(head, groups, _COLUMNS, r"\textwidth")

    return table


AUDITS = {
    "audit_paper": audit("paper"),
    "audit_reproduction": audit("reproduction", "extension"),
    "audit_rerun": audit("rerun"),
    "audit_resnets": audit("SE-ResNet [4,4,3]", "ResNet [4,4,4,3]", "narrow ResNet-18", with_system=True),
}


def _cells(claim: dict, evidence: Evidence) -> list[Cell]:
    here: list[Part] = []
    for label, name in claim.get("here", ()):
        here += [f"{'; ' if here else ''}{label}{': ' if label else ''}", resolve(name, evidence)]
    return [claim["what"], claim["claimed"], claim["built"], tuple(here)]

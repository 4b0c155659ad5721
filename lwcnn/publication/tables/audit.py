"""The audit: every claim beside what its system's own code comes to, and the measurements that test it."""

from collections.abc import Sequence

from lwcnn.publication.claims.literature import CLAIMS
from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.table import Cell, Table
from lwcnn.publication.values import resolve

SINGLE_GAIN = "gain of "
"""Begins the claims about single parts, which have a table of their own."""

_LEFT = r">{\raggedright\arraybackslash}"
_COLUMNS = "".join(rf"{_LEFT}p{{{width}\textwidth}}" for width in (0.17, 0.17, 0.24)) + _LEFT + "X"


def audit_all(evidence: Evidence) -> Table:
    """Every claim, with its system."""
    head = ["system", "about", "claimed", "its code, table or output", "measured here"]
    return Table(head, [[[claim["system"], *_cells(claim, evidence)] for claim in CLAIMS]])


def audit_paper(evidence: Evidence) -> Table:
    """The claims of the paper."""
    return _of(evidence, ("paper",))


def audit_reproduction(evidence: Evidence) -> Table:
    """The claims of the CIFAR-10 reproduction, of its extension and of a third party's rerun."""
    return _of(evidence, ("reproduction", "extension", "rerun"))


def audit_resnets(evidence: Evidence) -> Table:
    """The claims of the three reference networks."""
    return _of(evidence, ("SE-ResNet [4,4,3]", "ResNet [4,4,4,3]", "narrow ResNet-18"), with_system=True)


def _of(evidence: Evidence, systems: Sequence[str], with_system: bool = False) -> Table:
    claims = [claim for claim in CLAIMS if not claim["what"].startswith(SINGLE_GAIN)]
    groups = []
    for system in systems:
        cells = [_cells(claim, evidence) for claim in claims if claim["system"] == system]
        groups.append([[f"{system}: {about}" if with_system else about, *rest] for about, *rest in cells])
    return Table(["claim about", "claimed", "code, table or output", "measured here"], groups, _COLUMNS, r"\textwidth")


def _cells(claim: dict, evidence: Evidence) -> list[Cell]:
    here: list[str | Measurement] = []
    for label, name in claim.get("here", ()):
        here += [f"{'; ' if here else ''}{label}{': ' if label else ''}", resolve(name, evidence)]
    return [claim["what"], claim["claimed"], claim["built"], tuple(here)]

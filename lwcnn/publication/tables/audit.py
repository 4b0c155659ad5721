"""The audit: each claim, what the system's own code contains, and the measurements that test the claim."""

from collections.abc import Callable

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.claims import CLAIMS, SINGLE_GAIN
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.table import Cell, Part, Table
from lwcnn.publication.values import resolve

_LEFT = r">{\raggedright\arraybackslash}"
_NARROW, _WIDE, _REST = (_LEFT + width for width in (r"p{0.17\textwidth}", r"p{0.24\textwidth}", "X"))


def audit_all(evidence: Evidence) -> Table:
    """Every claim, with its system."""
    head = ["system", "about", "claimed", "its code, table or output", "measured here"]
    return Table(head, [[[claim["system"], *_cells(claim, evidence)] for claim in CLAIMS]])


def audit(evidence: Evidence, *systems: str, with_system: bool = False) -> Table:
    """The claims of some systems, a group each."""
    groups = []
    for system in systems:
        claims = [claim for claim in CLAIMS if claim["system"] == system]
        cells = [_cells(claim, evidence) for claim in claims if not claim["what"].startswith(SINGLE_GAIN)]
        groups.append([[f"{system}: {about}" if with_system else about, *rest] for about, *rest in cells])
    head = ["claim about", "claimed", "code, table or output", "measured here"]
    if not any(measured for group in groups for *_, measured in group):
        return Table(head[:3], [[row[:3] for row in group] for group in groups], 2 * _NARROW + _REST)
    return Table(head, groups, 2 * _NARROW + _WIDE + _REST)


AUDITS: dict[str, Callable[[Evidence], Table]] = {
    "audit_paper": lambda evidence: audit(evidence, "paper"),
    "audit_reproduction": lambda evidence: audit(evidence, "reproduction", "extension"),
    "audit_rerun": lambda evidence: audit(evidence, "rerun"),
    "audit_resnets": lambda evidence: audit(
        evidence, "SE-ResNet [4,4,3]", "ResNet [4,4,4,3]", "narrow ResNet-18", with_system=True
    ),
}


def _cells(claim: dict, evidence: Evidence) -> list[Cell]:
    here: list[Part] = []
    for label, name in claim.get("here", ()):
        found = resolve(name, evidence)
        shown = found if isinstance(found, MissingInput) else str(found)  # with unit and origin
        here += [f"{'; ' if here else ''}{label}{': ' if label else ''}", shown]
    return [claim["what"], claim["claimed"], claim["built"], tuple(here)]

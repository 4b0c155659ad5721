"""The audit: every claim with the measurements that test it."""

from collections.abc import Sequence
from dataclasses import dataclass

from lwcnn.publication.claims import paper, reproduction, resnets
from lwcnn.publication.claims.claim import Claim
from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.values import Value, resolve

CLAIMS = (*paper.CLAIMS, *reproduction.CLAIMS, *resnets.CLAIMS)


@dataclass(frozen=True)
class AuditRow:
    """A claim with its measurements.

    Attributes:
        claim: The claim.
        here: Measurements of ours with a name each; none where nothing of ours tests it.
    """

    claim: Claim
    here: tuple[tuple[str, Value], ...]

    @property
    def is_measured(self) -> bool:
        """Whether something of ours tests it and all of that was run."""
        return bool(self.here) and not any(isinstance(found, Measurement) and found.needs for _, found in self.here)


def audit(evidence: Evidence, claims: Sequence[Claim] = CLAIMS) -> list[AuditRow]:
    """Measures what tests each claim."""
    return [AuditRow(claim, tuple((label, resolve(name, evidence)) for label, name in claim.here)) for claim in claims]

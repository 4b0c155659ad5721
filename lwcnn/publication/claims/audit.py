"""The audit: every claim of `claims.toml` with the measurements that test it."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.values import Value, resolve

SINGLE_GAIN = "gain of "
"""Begins the claims about single parts, which have a table of their own."""


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        system: System that makes the claim.
        claimed: Statement in the system's text.
        built: Value in its code, layer table or notebook output; empty if nothing else was read.
        here: Pairs of a label, which may be empty, and the name of a value that tests the claim.
    """

    system: str
    what: str
    claimed: str
    built: str
    here: Sequence[tuple[str, str]] = ()


CLAIMS = tuple(
    Claim(**entry) for entry in tomllib.loads(Path(__file__).with_name("claims.toml").read_text("utf-8"))["claim"]
)


@dataclass(frozen=True)
class AuditRow:
    """A claim with its measurements, each with a label; none where nothing of ours tests it."""

    claim: Claim
    here: tuple[tuple[str, Value], ...]

    @property
    def is_measured(self) -> bool:
        """Whether it has measurements and none is missing."""
        return bool(self.here) and not any(isinstance(found, Measurement) and found.needs for _, found in self.here)


def audit(evidence: Evidence, claims: Sequence[Claim] = CLAIMS) -> list[AuditRow]:
    """Returns the measurements that test each claim."""
    return [AuditRow(claim, tuple((label, resolve(name, evidence)) for label, name in claim.here)) for claim in claims]

"""A claim of somebody else's, what was built for it, and the measurements that test it."""

from collections.abc import Callable
from dataclasses import dataclass

from lwcnn.publication.claims.measurement import Measurement
from lwcnn.publication.evidence import Evidence

Measure = Callable[[Evidence], Measurement]


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        system: Who makes it.
        what: Subject of the claim.
        claimed: What the system's text says.
        built: What its code, layer table or notebook output comes to; empty where nothing else was read.
        here: Measurements of ours with a name each, which may be empty.
    """

    system: str
    what: str
    claimed: str
    built: str
    here: tuple[tuple[str, Measure], ...] = ()


def measured(measure: Measure) -> tuple[tuple[str, Measure], ...]:
    """A single measurement, which needs no name."""
    return (("", measure),)

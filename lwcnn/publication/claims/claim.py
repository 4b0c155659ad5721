"""A claim of somebody else's, what was built for it, and the measurements that test it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Claim:
    """A claim.

    Attributes:
        system: Who makes it.
        what: Subject of the claim.
        claimed: What the system's text says.
        built: What its code, layer table or notebook output comes to; empty where nothing else was read.
        here: What tests it: pairs of a label, which may be empty, and the name of a value (`publication.values`).
    """

    system: str
    what: str
    claimed: str
    built: str
    here: tuple[tuple[str, str], ...] = ()


def measured(name: str) -> tuple[tuple[str, str], ...]:
    """Returns a single measurement, which needs no label."""
    return (("", name),)

"""The audit: each claim of the paper and of the systems to reproduce beside what is built and what is measured here."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lwcnn.publication.claims.claims import CLAIMS


@dataclass(frozen=True)
class AuditRow:
    """A claim with its measurement.

    Attributes:
        system, what, claimed, built: as of `Claim`.
        here: measured here, or that it was not, with the command.
    """

    system: str
    what: str
    claimed: str
    built: str
    here: str

    @property
    def measured(self) -> bool:
        """Whether all that the claim asks for was measured here."""
        return "not run:" not in self.here and "not measured:" not in self.here


def audit_rows(results: Path = Path("results")) -> list[AuditRow]:
    """Every claim with what is measured here."""
    return [AuditRow(one.system, one.what, one.claimed, one.built, one.here(Path(results))) for one in CLAIMS]


def audit_table(rows: Sequence[AuditRow]) -> str:
    """The rows as a Markdown table."""
    lines = ["| system | about | claimed | its code, table or output | here |", "|---|---|---|---|---|"]
    lines += [f"| {row.system} | {row.what} | {row.claimed} | {row.built} | {row.here} |" for row in rows]
    return "\n".join(lines)

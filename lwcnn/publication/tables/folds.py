"""K-fold assessments."""

from lwcnn.publication.claims.measurement import Measurement, mean_and_spread
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.table import Table


def folds(evidence: Evidence) -> Table:
    """A row per K-fold assessment."""
    rows = []
    for _, group in evidence.folds.groupby("path", sort=False):
        first = group.iloc[0]
        leaks = bool(first["leaky"])
        kind = "model never reset, as published" if leaks else "from scratch"
        rows.append(
            [
                *(first["dataset"], f"{named(first['experiment'])}, {kind}", first["preset"]),
                " ".join(f"{100 * share:.2f}" for share in group["accuracy"]),
                mean_and_spread(group["accuracy"]).bare(),
                f"{100 * first['test_accuracy']:.2f}" if leaks else "",
                Measurement(100 * first["leak"], signed=True) if leaks else "",
            ]
        )
    head = ["data", "K-fold of", "preset", "folds %", "mean %", "test % of the same model", "leak, points"]
    return Table(head, [rows])

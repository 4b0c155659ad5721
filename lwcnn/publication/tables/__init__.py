"""Tables, each a function of the evidence that returns a `Table`."""

from collections.abc import Callable
from functools import partial

from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables import ablations, accuracies, audit, benchmarks, calibration, costs, folds, steps
from lwcnn.publication.tables.table import Table


def _benchmark(name: str, evidence: Evidence) -> Table:
    return benchmarks.benchmark_table(name, evidence.benchmark(name)["rows"])


TABLES: dict[str, Callable[[Evidence], Table]] = {
    function.__name__: function
    for function in (
        accuracies.accuracies,
        accuracies.machines,
        costs.headline,
        accuracies.reproduction,
        accuracies.improved,
        accuracies.family,
        ablations.method,
        ablations.parts,
        ablations.trials,
        ablations.techniques,
        folds.folds,
        audit.audit_paper,
        audit.audit_reproduction,
        audit.audit_resnets,
        audit.audit_all,
        calibration.calibration,
        calibration.family_calibration,
        costs.efficiency,
        costs.references,
        costs.published,
        benchmarks.int8,
        accuracies.confused_classes,
        accuracies.class_accuracies,
    )
}
TABLES |= {name: partial(_benchmark, name) for name in benchmarks.COLUMNS}

__all__ = ["TABLES", "Table", "ablations", "accuracies", "audit", "folds", "steps"]

"""Tables, each a function of the evidence that returns a `Table`."""

from collections.abc import Callable

from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables import (
    ablations,
    accuracies,
    audit,
    benchmarks,
    calibration,
    costs,
    errors,
    folds,
    steps,
    techniques,
)
from lwcnn.publication.tables.table import Table

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
        techniques.techniques,
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
        errors.confused_classes,
        errors.class_accuracies,
    )
}


def _of_rows(table: Callable[[list[dict]], Table]) -> Callable[[Evidence], Table]:
    """Returns the table of the rows in results/<name of the table>.json."""
    return lambda evidence: table(evidence.benchmark(table.__name__)["rows"])


_BENCHMARKS = (
    benchmarks.train_step,
    benchmarks.averaging,
    benchmarks.growth,
    benchmarks.shrink,
    benchmarks.mlperf_tiny,
    benchmarks.finetune,
    benchmarks.after_training,
    benchmarks.microcontroller,
    benchmarks.robustness,
)
for _table in _BENCHMARKS:
    TABLES[_table.__name__] = _of_rows(_table)

__all__ = ["TABLES", "Table", "ablations", "accuracies", "audit", "folds", "steps"]

"""Tables, each a function of the evidence that returns a `Table`."""

from collections.abc import Callable
from functools import partial

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.measurement import or_missing
from lwcnn.publication.tables import ablations, accuracies, audit, benchmarks, calibration, networks, steps
from lwcnn.publication.tables.table import Table
from lwcnn.system.errors import unknown_name


def _benchmark(name: str, evidence: Evidence) -> Table:
    return benchmarks.benchmark_table(name, evidence.benchmark(name)["rows"])


_FUNCTIONS: tuple[Callable[[Evidence], Table], ...] = (
    accuracies.accuracies, accuracies.family, accuracies.machines,
    accuracies.folds, accuracies.confused_classes, accuracies.class_accuracies,
    networks.headline, networks.reproduction, networks.improved, networks.efficiency,
    ablations.method, ablations.parts, ablations.techniques,
    calibration.calibration, calibration.family_calibration,
    networks.references, networks.published, benchmarks.int8, benchmarks.bench,
)  # fmt: skip
TABLES: dict[str, Callable[[Evidence], Table]] = {function.__name__: function for function in _FUNCTIONS}
TABLES |= audit.AUDITS | {name: partial(_benchmark, name) for name in benchmarks.COLUMNS}

__all__ = ["TABLES", "Table", "ablations", "accuracies", "audit", "make_table", "steps"]


def make_table(name: str, evidence: Evidence) -> Table:
    """Makes one of `TABLES`; one whose results are missing has a single cell, which says so."""
    if name not in TABLES:
        raise unknown_name("table", name, TABLES)
    table = or_missing(TABLES[name], evidence)
    return Table(["result"], [[[table]]]) if isinstance(table, MissingInput) else table

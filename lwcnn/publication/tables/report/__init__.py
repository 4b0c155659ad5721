"""The report's tables, each a function of the evidence that gives LaTeX."""

from collections.abc import Callable

from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.tables.report import ablations, accuracies, audit, deployment, errors

TABLES: dict[str, Callable[[Evidence], str]] = {
    function.__name__: function
    for function in (
        accuracies.reproduction,
        accuracies.improved,
        audit.audit_paper,
        audit.audit_reproduction,
        audit.audit_resnets,
        ablations.method_ablation,
        ablations.parts_ablation,
        ablations.search_trials,
        deployment.efficiency,
        deployment.image_sizes,
        deployment.calibration,
        errors.confused_classes,
        errors.class_accuracies,
    )
}

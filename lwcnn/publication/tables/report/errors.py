"""Which classes are taken for each other."""

import numpy as np

from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import code, escape, percent, tabular
from lwcnn.publication.report.sentences.errors import pair_share, summed_confusion

NUM_PAIRS = 6


def confused_classes(evidence: Evidence) -> str:
    """The pairs of CIFAR-10 classes with the most errors, both ways, as shares of all errors: baseline and best."""
    return evidence.or_not_run(_confused_classes, evidence)


def _confused_classes(evidence: Evidence) -> str:
    inputs = evidence.inputs("cifar10")
    names, shown = inputs.class_names, inputs.shown()
    matrices = [summed_confusion(evidence.runs("cifar10", experiment)) for experiment in shown]
    pairs = [(a, b) for a in range(len(names)) for b in range(a)]
    pairs.sort(key=lambda pair: -pair_share(matrices[-1], *pair))
    rows = []
    for a, b in pairs[:NUM_PAIRS]:
        shares = [percent(pair_share(matrix, a, b), 1) for matrix in matrices]
        rows.append([f"{escape(names[b])} and {escape(names[a])}", *shares])
    errors = [percent(1 - float(np.trace(matrix) / matrix.sum()), 1) for matrix in matrices]
    head = ["taken for each other", *(code(experiment) for experiment in shown)]
    return tabular("@{}l" + "r" * len(shown) + "@{}", head, [rows, [["error rate, \\%", *errors]]])


def class_accuracies(evidence: Evidence) -> str:
    """Accuracy by class of CIFAR-10, the mean over seeds: baseline and best."""
    return evidence.or_not_run(_class_accuracies, evidence)


def _class_accuracies(evidence: Evidence) -> str:
    inputs = evidence.inputs("cifar10")
    shown = inputs.shown()
    rows = []
    for name in inputs.class_names:
        means = (np.mean([r["per_class_accuracy"][name] for r in evidence.runs("cifar10", e)]) for e in shown)
        rows.append([escape(name), *(percent(mean, 1) for mean in means)])
    head = ["class", *(code(experiment) for experiment in shown)]
    return tabular("@{}l" + "r" * len(shown) + "@{}", head, [rows])

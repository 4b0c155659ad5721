"""Which classes are confused with each other."""

import numpy as np

from lwcnn.publication.confusions import class_means, pair_share, summed_confusion
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.names import named
from lwcnn.publication.tables.table import Table

NUM_PAIRS = 6


def confused_classes(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """The pairs of classes with the most errors, as fractions of all errors: baseline and best experiment."""
    shown = evidence.shown(dataset)
    runs = [evidence.select(dataset, name) for name in shown]
    names, matrices = list(runs[0]["per_class_accuracy"].iloc[0]), [summed_confusion(one) for one in runs]
    pairs = [(a, b) for a in range(len(names)) for b in range(a)]
    pairs.sort(key=lambda pair: -pair_share(matrices[-1], *pair))
    rows = [
        [f"{names[b]} and {names[a]}", *(f"{100 * pair_share(matrix, a, b):.1f}" for matrix in matrices)]
        for a, b in pairs[:NUM_PAIRS]
    ]
    errors = [f"{100 - 100 * float(np.trace(matrix) / matrix.sum()):.1f}" for matrix in matrices]
    head = ["confused, %", *map(named, shown)]
    return Table(head, [rows, [["error rate, %", *errors]]], "l" + "r" * len(shown))


def class_accuracies(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Accuracy by class, mean over seeds: baseline and best experiment."""
    shown = evidence.shown(dataset)
    means = [class_means(evidence.select(dataset, name)) for name in shown]
    rows = [[name, *(f"{100 * one[name]:.1f}" for one in means)] for name in means[0].index]
    return Table(["class", *map(named, shown)], [rows], "l" + "r" * len(shown))

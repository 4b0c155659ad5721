"""Which classes are confused with each other."""

import numpy as np
import pandas as pd

from lwcnn.experiments.results import MissingInput
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.tables.table import Table

NUM_PAIRS = 6


def summed_confusion(runs: pd.DataFrame) -> np.ndarray:
    """Confusion matrix summed over seeds, of shape (classes, classes).

    Raises:
        MissingInput: If there are too many classes for a matrix.
    """
    if runs["confusion_matrix"].isna().any():
        raise MissingInput("there are too many classes for a confusion matrix")
    return np.sum(list(runs["confusion_matrix"]), axis=0)


def pair_share(matrix: np.ndarray, a: int, b: int) -> float:
    """Fraction of all errors that confuse two classes, either way."""
    return float((matrix[a, b] + matrix[b, a]) / (matrix.sum() - np.trace(matrix)))


def class_means(runs: pd.DataFrame) -> pd.Series:
    """Mean accuracy over seeds by class name."""
    return pd.DataFrame(list(runs["per_class_accuracy"])).mean()


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
    head = ["confused, %", *(f"`{name}`" for name in shown)]
    return Table(head, [rows, [["error rate, %", *errors]]], "l" + "r" * len(shown))


def class_accuracies(evidence: Evidence, dataset: str = "cifar10") -> Table:
    """Accuracy by class, mean over seeds: baseline and best experiment."""
    shown = evidence.shown(dataset)
    means = [class_means(evidence.select(dataset, name)) for name in shown]
    rows = [[name, *(f"{100 * one[name]:.1f}" for one in means)] for name in means[0].index]
    return Table(["class", *(f"`{name}`" for name in shown)], [rows], "l" + "r" * len(shown))

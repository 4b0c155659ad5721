"""Confusions and accuracies by class of several runs together."""

import numpy as np
import pandas as pd

from lwcnn.experiments.results import MissingInput


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

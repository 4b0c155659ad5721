"""Confusions and accuracies by class of several runs together."""

import numpy as np
import pandas as pd

from lwcnn.experiments.results import MissingInput


def summed_confusion(runs: pd.DataFrame) -> np.ndarray:
    """Returns the confusion matrix summed over seeds, (classes, classes); `MissingInput` for too many classes."""
    if runs["confusion_matrix"].isna().any():
        raise MissingInput("there are too many classes for a confusion matrix")
    return np.sum(list(runs["confusion_matrix"]), axis=0)


def pair_share(matrix: np.ndarray, a: int, b: int) -> float:
    """Returns the fraction of all errors that confuse two classes, either way."""
    return float((matrix[a, b] + matrix[b, a]) / (matrix.sum() - np.trace(matrix)))


def class_means(runs: pd.DataFrame) -> pd.Series:
    """Returns the mean accuracy over seeds by class name."""
    return pd.DataFrame(list(runs["per_class_accuracy"])).mean()

"""How sure a figure is: intervals of accuracies and of means, and the paired test of two models."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.system.errors import LwcnnError


@dataclass(frozen=True)
class MeanInterval:
    """Mean of several runs.

    Args:
        mean: their mean.
        std: their sample standard deviation (n - 1); None for a single run.
        low, high: the interval of the mean by Student's t; None for a single run.
        num_values: how many they are.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    num_values: int


def mcnemar_exact(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Returns the two-sided p-value of the exact McNemar test: are two models right equally often?

    Args:
        correct_a, correct_b: bool, shape (n,): whether each model is right on the same images in one order.
    """
    correct_a, correct_b = np.asarray(correct_a), np.asarray(correct_b)
    boolean = correct_a.dtype == correct_b.dtype == bool
    if not boolean or correct_a.ndim != 1 or correct_a.shape != correct_b.shape:
        raise LwcnnError(
            "Give two boolean arrays of one shape (n,). "
            f"Received: {correct_a.dtype} {correct_a.shape} and {correct_b.dtype} {correct_b.shape}"
        )
    from scipy import stats

    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def wilson_interval(num_correct: int, num_images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Wilson's interval (low, high) of an accuracy, each 0 to 1, from its counts."""
    if num_images < 1 or not 0 <= num_correct <= num_images:
        raise LwcnnError(f"Give counts with 0 <= correct <= images. Received: {num_correct} of {num_images}")
    from scipy import stats

    interval = stats.binomtest(int(num_correct), int(num_images)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_and_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Returns mean, sample standard deviation and t-interval of the mean of these runs' values."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise LwcnnError(f"Give one or more finite values. Received: {values.tolist()}")
    from scipy import stats

    mean = float(values.mean())
    if len(values) == 1:
        return MeanInterval(mean, None, None, None, 1)
    std = float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * std / len(values) ** 0.5
    return MeanInterval(mean, std, mean - reach, mean + reach, len(values))

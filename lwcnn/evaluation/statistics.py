"""Uncertainty of accuracies: intervals, paired tests, and comparisons over seeds and images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """An accuracy, or a difference of two: mean, 95% bootstrap interval over seeds and images, and value by seed."""

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    p_values: tuple[float, ...] = ()  # of a difference: by the exact McNemar test for each pair of seeds


def mcnemar_exact(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Returns the two-sided p-value of the exact McNemar test; arguments: whether each model is correct, (n,), bool."""
    from scipy import stats

    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def estimate_accuracy(correct: Sequence[np.ndarray]) -> Estimate:
    """Estimates accuracy from whether images are classified correctly, bool (n,) per seed.

    The percentile bootstrap resamples seeds and images, the same images for all seeds. With one seed, only images
    are resampled.
    """
    return _bootstrap(np.asarray(correct).astype(int))


def paired_difference(correct: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> Estimate:
    """Compares runs with reference runs, paired by seed and by image; arguments as in `estimate_accuracy`."""
    p_values = tuple(mcnemar_exact(a, b) for a, b in zip(correct, reference, strict=True))
    return _bootstrap(np.asarray(correct).astype(int) - np.asarray(reference).astype(int), p_values)


def _bootstrap(values: np.ndarray, p_values: tuple[float, ...] = ()) -> Estimate:
    """Estimates the mean of values of shape (seeds, images): 0 or 1, of differences also -1."""
    num_seeds, num_images = values.shape
    if values.mean() < 0:  # a minus b has the interval of b minus a, with the signs changed
        opposite = _bootstrap(-values, p_values)
        by_seed = tuple(-one for one in opposite.by_seed)
        return Estimate(-opposite.mean, -opposite.high, -opposite.low, by_seed, p_values)
    # Images with equal values in all seeds are exchangeable, so it is enough to draw how often each pattern occurs.
    patterns, counts = np.unique(values, axis=1, return_counts=True)
    rng = np.random.default_rng(0)
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), NUM_RESAMPLES)  # (resamples, seeds)
    images = rng.multinomial(num_images, counts / num_images, NUM_RESAMPLES)  # (resamples, patterns)
    means = np.sum((seeds @ patterns) * images, axis=1) / (num_seeds * num_images)
    low, high = np.quantile(means, (0.025, 0.975)).tolist()
    return Estimate(float(values.mean()), low, high, tuple(values.mean(axis=1).tolist()), p_values)

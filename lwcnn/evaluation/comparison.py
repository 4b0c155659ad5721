"""Accuracies and their differences with 95% bootstrap intervals over seeds and images."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.evaluation import mcnemar_exact
from lwcnn.system.errors import LwcnnError

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class Estimate:
    """Test accuracy of an experiment.

    Attributes:
        mean: Mean over seeds and images, between 0 and 1.
        low: Lower end of the 95% bootstrap interval over seeds and images.
        high: Upper end.
        by_seed: Accuracy of each seed.
    """

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]

    @property
    def std(self) -> float | None:
        """Sample standard deviation over seeds; None for a single seed."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else None


@dataclass(frozen=True)
class Difference(Estimate):
    """Accuracy of one experiment minus that of another; the attributes of `Estimate` are those of the difference.

    Attributes:
        p_values: Of the exact McNemar test, one per pair of seeds.
    """

    p_values: tuple[float, ...]


def estimate_accuracy(correct: Sequence[np.ndarray], num_resamples: int = NUM_RESAMPLES, seed: int = 0) -> Estimate:
    """Estimates the accuracy of an experiment.

    The interval is the percentile bootstrap's: seeds and images are both drawn with replacement, the same images for
    all seeds, so it covers the spread of training and that of the test set. With few seeds it is somewhat too narrow;
    with one it covers the test set alone.

    Args:
        correct: Bool arrays of shape (n,), one per seed: whether each test image is recognized.
        num_resamples: Number of bootstrap samples.
        seed: Seed of the bootstrap.

    Raises:
        LwcnnError: If there are no seeds.
    """
    if not len(correct):
        raise LwcnnError("Give the runs of one seed or more. Received: none")
    values = np.asarray(correct).astype(int)
    return Estimate(float(values.mean()), *_interval(values, num_resamples, seed), tuple(values.mean(axis=1).tolist()))


def paired_difference(
    correct: Sequence[np.ndarray], reference: Sequence[np.ndarray], num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Difference:
    """Compares runs with reference runs, seed by seed and image by image.

    Args:
        correct: Bool arrays of shape (n,), one per seed: whether each test image is recognized.
        reference: The same for the reference, seeds in the same order.
        num_resamples: Number of bootstrap samples; see `estimate_accuracy`.
        seed: Seed of the bootstrap.

    Raises:
        LwcnnError: If the numbers of seeds or images differ, or there are none.
    """
    pairs = list(zip(correct, reference))
    if not pairs or len(correct) != len(reference):
        raise LwcnnError(f"Give as many runs as reference runs. Received: {len(correct)} and {len(reference)}")
    p_values = tuple(mcnemar_exact(a, b) for a, b in pairs)  # checks shapes and types, too
    gains = np.array([a.astype(int) - b.astype(int) for a, b in pairs])  # (seeds, n): 1, 0 or -1
    by_seed = tuple(gains.mean(axis=1).tolist())
    return Difference(float(gains.mean()), *_interval(gains, num_resamples, seed), by_seed, p_values)


def _interval(values: np.ndarray, num_resamples: int, seed: int) -> tuple[float, float]:
    """The 95% percentile bootstrap interval of the mean of values of shape (seeds, images)."""
    num_seeds, num_images = values.shape
    # Images that fare alike in all seeds are exchangeable: drawing how many there are of each kind is enough.
    kinds, counts = np.unique(values, axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), num_resamples)  # (resamples, seeds)
    images = rng.multinomial(num_images, counts / num_images, num_resamples)  # (resamples, kinds)
    means = np.sum((seeds @ kinds) * images, axis=1) / (num_seeds * num_images)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)

"""Two ways of training compared on the same test images: how large the difference is, and how sure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.errors import LwcnnError
from lwcnn.evaluation import mcnemar_exact

NUM_RESAMPLES = 10_000


@dataclass(frozen=True)
class Difference:
    """The accuracy of one way minus that of another.

    Attributes:
        mean: over seeds and images, as a share: 0.01 is one point.
        low, high: 95% bootstrap interval, over seeds and images.
        by_seed: the difference of each pair of seeds.
        p_values: of the exact McNemar test, one for each pair of seeds.
    """

    mean: float
    low: float
    high: float
    by_seed: tuple[float, ...]
    p_values: tuple[float, ...]


def paired_difference(
    correct: Sequence[np.ndarray], reference: Sequence[np.ndarray], num_resamples: int = NUM_RESAMPLES, seed: int = 0
) -> Difference:
    """Accuracy of runs minus that of reference runs, seed by seed and image by image.

    The interval is the percentile bootstrap's: seeds and images are both drawn anew with replacement, the same
    images for all seeds, so that it holds the spread of training and that of the test set. With few seeds it is
    rather too narrow, as any interval of few seeds that takes their spread as known.

    Args:
        correct: for each seed, bool of shape (n,): whether each test image is recognised.
        reference: the same of the reference, the same seeds in one order.
        num_resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        LwcnnError: unequal numbers of seeds or images, or none.
    """
    pairs = list(zip(correct, reference))
    if not pairs or len(correct) != len(reference):
        raise LwcnnError(f"Give as many runs as reference runs. Received: {len(correct)} and {len(reference)}")
    p_values = tuple(mcnemar_exact(a, b) for a, b in pairs)  # checks shapes and types, too
    gains = np.array([a.astype(int) - b.astype(int) for a, b in pairs])  # (seeds, n): 1, 0 or -1
    num_seeds, num_images = gains.shape
    # Images that fare alike in all seeds are exchangeable, so it is enough to draw how many there are of each kind.
    kinds, counts = np.unique(gains, axis=1, return_counts=True)
    rng = np.random.default_rng(seed)
    seeds = rng.multinomial(num_seeds, np.full(num_seeds, 1 / num_seeds), num_resamples)  # (resamples, seeds)
    images = rng.multinomial(num_images, counts / num_images, num_resamples)  # (resamples, kinds)
    means = np.sum((seeds @ kinds) * images, axis=1) / (num_seeds * num_images)
    low, high = np.quantile(means, (0.025, 0.975))
    by_seed = tuple(gains.mean(axis=1).tolist())
    return Difference(float(gains.mean()), float(low), float(high), by_seed, p_values)

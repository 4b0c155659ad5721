"""scikit-learn's digits in MNIST's shape: real data that needs neither a network nor a file."""

import numpy as np

from lwcnn.data.checks import Splits
from lwcnn.data.splits import stratified_split

SIZE_PX = 28  # MNIST's, so that the paper's MNIST model fits
TEST_FRACTION = 0.2
_SOURCE_SIZE_PX = 8
_SOURCE_MAX = 16


def enlarge_digits(images: np.ndarray) -> np.ndarray:
    """Resizes 8x8 digits, 0 to 16, to 28x28, 0 to 255, by bilinear interpolation with half-pixel centers.

    All weights are multiples of 1/14: integers, rounded once, give the same pixels and checksum on every machine.
    """
    # The center of output pixel i lies at source coordinate (i + 1/2) * 8/28 - 1/2 = (4 i - 5) / 14.
    position = np.clip(4 * np.arange(SIZE_PX) - 5, 0, 14 * (_SOURCE_SIZE_PX - 1))
    left, weight_right = np.divmod(position, 14)
    weights = np.zeros((SIZE_PX, _SOURCE_SIZE_PX), np.int64)
    rows = np.arange(SIZE_PX)
    weights[rows, left] = 14 - weight_right
    weights[rows, np.minimum(left + 1, _SOURCE_SIZE_PX - 1)] += weight_right
    enlarged = weights @ images.astype(np.int64) @ weights.T  # (n, 28, 28), 0..16 * 14 * 14
    full_scale = _SOURCE_MAX * 14 * 14
    return ((2 * 255 * enlarged + full_scale) // (2 * full_scale)).astype(np.uint8)


def load_digits_splits() -> Splits:
    """Loads scikit-learn's 1,797 digits at 28x28, with a fixed stratified fifth as the test split."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images, labels = enlarge_digits(digits.images), digits.target.astype(np.int64)
    train, test = stratified_split(labels, TEST_FRACTION, seed=0)
    return Splits(images[train], labels[train], images[test], labels[test])

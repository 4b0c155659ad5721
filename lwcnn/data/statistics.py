"""Statistics of training images for input normalization."""

import numpy as np

_CHUNK_SIZE = 1024  # images, bounds memory


def channel_statistics(images: np.ndarray, indices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and population standard deviation of each channel, float64, in gray levels between 0 and 255.

    From histograms of gray levels, so that no rounding error accumulates. `indices` choose images; by default all.
    """
    chosen = np.arange(len(images)) if indices is None else indices
    counts = np.zeros((images.shape[3], 256), np.int64)
    for start in range(0, len(chosen), _CHUNK_SIZE):
        some = images[chosen[start : start + _CHUNK_SIZE]]
        counts += [np.bincount(some[..., channel].ravel(), minlength=256) for channel in range(images.shape[3])]
    levels = np.arange(256)
    num_pixels = len(chosen) * images.shape[1] * images.shape[2]
    mean = counts @ levels / num_pixels
    deviations = levels - mean[:, None]
    return mean, np.sqrt((counts * deviations**2).sum(axis=1) / num_pixels)

"""Statistics of training images for input normalization."""

import numpy as np

from lwcnn.data.augment.checks import check_images

_CHUNK_SIZE = 1024  # images, bounds memory


def channel_statistics(images: np.ndarray, indices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean and standard deviation of each channel.

    Computed from histograms of gray levels, so there is no accumulated rounding error. Usage:
    `keras.layers.Normalization(mean=mean, variance=std**2)`.

    Args:
        images: Array of shape (n, height, width, channels), uint8.
        indices: Integer array of shape (m,): images to use, such as the training part of a split. If None, all
            images are used.

    Returns:
        Tuple (mean, std) of float64 arrays of shape (channels,), in gray levels between 0 and 255. std is the
        population standard deviation.

    Raises:
        LwcnnError: If the images are not uint8 of that shape.

    Example:

    >>> import numpy as np
    >>> channel_statistics(np.array([[[[0]], [[10]]]], "uint8"))
    (array([5.]), array([5.]))
    """
    check_images(images)
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

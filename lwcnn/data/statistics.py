"""What a model's first layer needs to know of its training images."""

import numpy as np

from lwcnn.system.errors import LwcnnError

_IMAGES_AT_ONCE = 1024  # bounds the memory, whatever the number of images


def channel_statistics(images: np.ndarray, indices: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns each channel's mean and standard deviation, for `keras.layers.Normalization(mean, variance=std**2)`.

    They are exact to the rounding of their last step: levels are counted, not summed as floats.

    Args:
        images: uint8, shape (n, height, width, channels).
        indices: whole numbers, shape (m,): the images that count, such as the training part without the
            validation part. None: all.

    Returns:
        (mean, std): float64 of shape (channels,) in gray levels, 0..255; std is that of the whole (no n - 1).

    Raises:
        LwcnnError: images are not uint8 of that shape, or there are none.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.ndim != 4:
        received = f"{getattr(images, 'dtype', type(images))} of shape {getattr(images, 'shape', None)}"
        raise LwcnnError(f"Give images as uint8 of shape (n, height, width, channels). Received: {received}")
    num_images = len(images) if indices is None else len(indices)
    if num_images == 0 or 0 in images.shape:
        raise LwcnnError(f"Give at least one image and pixel. Received: {num_images} of shape {images.shape[1:]}")
    channels = images.shape[3]
    counts = np.zeros((channels, 256), np.int64)
    for start in range(0, num_images, _IMAGES_AT_ONCE):
        part = slice(start, start + _IMAGES_AT_ONCE)
        some = images[part] if indices is None else images[indices[part]]
        for channel in range(channels):
            counts[channel] += np.bincount(some[..., channel].ravel(), minlength=256)
    levels = np.arange(256)
    num_pixels = num_images * images.shape[1] * images.shape[2]
    mean = counts @ levels / num_pixels
    deviations = levels - mean[:, None]
    return mean, np.sqrt((counts * deviations**2).sum(axis=1) / num_pixels)

"""Labeled images for training and validation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from lwcnn.system.errors import wrong


@dataclass(frozen=True)
class Images:
    """Images with labels, or a subset of them.

    Attributes:
        images: Images (n, height, width, channels) uint8, or features (n, ...) float32.
        labels: Integer labels (n,).
        indices: Positions of the subset in both arrays. If None, all are used.

    Raises:
        LwcnnError: The labels are not integers of shape (n,), or the indices are not positions in them.

    Examples:
        >>> training = Images(data.x_train, data.y_train, np.arange(10))
        >>> len(training)
        10
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray | None = None

    def __post_init__(self):
        for name, value in list(vars(self).items()):
            if value is not None:
                object.__setattr__(self, name, np.asarray(value))
        if self.labels.ndim != 1 or self.labels.dtype.kind not in "iu" or len(self.labels) != len(self.images):
            advice = f"Give one integer label for each image, shape ({len(self.images)},)"
            raise wrong(advice, f"{self.labels.dtype} of shape {self.labels.shape}")
        if self.indices is None:
            return
        if self.indices.size and (self.indices.dtype.kind not in "iu" or self.indices.ndim != 1):
            raise wrong("Give indices as integers, shape (m,)", f"{self.indices.dtype} of shape {self.indices.shape}")
        if self.indices.size and not 0 <= self.indices.min() <= self.indices.max() < len(self.labels):
            found = f"{self.indices.min()} to {self.indices.max()}"
            raise wrong(f"Give indices from 0 to {len(self.labels) - 1}", found)
        object.__setattr__(self, "indices", self.indices.astype(np.int64).reshape(-1))

    def __len__(self) -> int:
        return len(self.labels if self.indices is None else self.indices)

    @property
    def chosen_labels(self) -> np.ndarray:
        """Labels of the subset."""
        return self.labels if self.indices is None else self.labels[self.indices]

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images and labels of the subset."""
        return (self.images if self.indices is None else self.images[self.indices]), self.chosen_labels

    def require_uint8(self) -> None:
        """Raises LwcnnError unless the images are uint8, shape (n, height, width, 1 to 4 channels)."""
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or not 1 <= self.images.shape[3] <= 4:
            advice = "Give images as uint8 of shape (n, height, width, channels), with 1 to 4 channels"
            raise wrong(advice, f"{self.images.dtype} of shape {self.images.shape}")

    def channel_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns mean and population standard deviation of each channel, float64, in gray levels.

        Computed from histograms, so that no rounding error accumulates.
        """
        self.require_uint8()
        chosen = np.arange(len(self.images)) if self.indices is None else self.indices
        counts = np.zeros((self.images.shape[3], 256), np.int64)
        for start in range(0, len(chosen), 1024):  # parts, because `bincount` takes eight bytes per pixel
            some = self.images[chosen[start : start + 1024]]
            counts += [np.bincount(channel.ravel(), minlength=256) for channel in np.moveaxis(some, -1, 0)]
        levels, num_pixels = np.arange(256), counts[0].sum()
        mean = counts @ levels / num_pixels
        return mean, np.sqrt((counts * (levels - mean[:, None]) ** 2).sum(axis=1) / num_pixels)


class Split(NamedTuple):
    """Training images, and validation images for choosing the best epoch.

    Attributes:
        training: Training images.
        validation: Validation images.

    Examples:
        >>> images = [Images(data.x_train, data.y_train, part) for part in np.split(np.arange(80), [60])]
        >>> len(Split(*images).validation)
        20
    """

    training: Images
    validation: Images

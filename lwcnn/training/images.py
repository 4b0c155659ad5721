"""Labeled images for training and validation."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np


@dataclass(frozen=True)
class Images:
    """Images with labels, or a subset of them.

    Attributes:
        images: Images (n, height, width, channels) uint8, or features (n, ...) float32.
        labels: Integer labels (n,).
        indices: Positions of the subset in both arrays. If None, all are used.

    Example:

    >>> training = Images(data.x_train, data.y_train, np.arange(10))
    >>> len(training)
    10
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels if self.indices is None else self.indices)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns the images and labels of the subset."""
        if self.indices is None:
            return self.images, self.labels
        return self.images[self.indices], self.labels[self.indices]


class Split(NamedTuple):
    """Images to train on, and images to choose the best epoch by.

    Attributes:
        training: Training images.
        validation: Validation images.
    """

    training: Images
    validation: Images

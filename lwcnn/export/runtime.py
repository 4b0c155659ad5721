"""Base class of the runtimes of exported files."""

import numpy as np


class ExportedModel:
    """Runs an exported file: a function from uint8 images (n, height, width, channels) to float32 logits."""

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Converts uint8 images to the input type of the file."""
        return images.astype(np.float32)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """Returns the raw output for images converted by `prepare`."""
        raise NotImplementedError

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.run(self.prepare(images))

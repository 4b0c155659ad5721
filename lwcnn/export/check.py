"""Compares exported files with the Keras model."""

import numpy as np

from lwcnn.evaluation.metrics import accuracy
from lwcnn.system.errors import LwcnnError

MAX_DIFFERENCE = 1e-3  # of float logits, relative to their range; rounding errors are 100 times smaller
MAX_FLOAT_CHANGE = 0.05  # percentage points of accuracy, up or down
MAX_INT8_DROP = 0.3  # percentage points of accuracy; gains are accepted


def compare_logits(expected: np.ndarray, exported: np.ndarray, labels: np.ndarray) -> dict:
    """Compares the logits of an exported file with those of the Keras model for the same labeled images.

    `max_relative_difference` is relative to the range of the expected logits; `drop_points` is negative for a gain.
    """
    before, after = accuracy(expected, labels), accuracy(exported, labels)
    difference = float(np.abs(expected.astype(np.float64) - exported).max())
    spread = float(expected.max() - expected.min())
    return {
        "accuracy_keras": before,
        "accuracy_exported": after,
        "drop_points": round(100 * (before - after), 6),  # avoids 0.30000000000000004
        "agreement": float((expected.argmax(axis=1) == exported.argmax(axis=1)).mean()),
        "max_abs_difference": difference,
        "max_relative_difference": difference / spread if spread else difference,
        "num_test_images": len(labels),
    }


def require_agreement(compared: dict, quantized: bool, max_drop: float | None = None) -> None:
    """Checks that an export does not differ too much from its model, given the result of `compare_logits`.

    Of a `quantized` file, only a loss of accuracy counts.
    """
    limit = max_drop if max_drop is not None else MAX_INT8_DROP if quantized else MAX_FLOAT_CHANGE
    if not limit >= 0:  # NaN fails this too
        raise LwcnnError(f"Give max_drop as a number of at least 0. Received: {max_drop}")
    drop = compared["drop_points"]
    accuracies = f"{100 * compared['accuracy_keras']:.2f} % -> {100 * compared['accuracy_exported']:.2f} %"
    if drop > limit or (not quantized and -drop > limit):
        raise LwcnnError(
            f"Raise max_drop to accept this export; nothing was written, because at most {limit} points of accuracy "
            f"may change. Received: {accuracies} on {compared['num_test_images']} test images"
        )
    if not quantized and compared["max_relative_difference"] > MAX_DIFFERENCE:
        raise LwcnnError(
            f"Choose another format; nothing was written, because the exported logits may differ by at most "
            f"{MAX_DIFFERENCE} of their range. Received: {compared['max_relative_difference']:.3g}, "
            f"accuracy {accuracies}"
        )

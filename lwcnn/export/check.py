"""Whether an exported file does what the Keras model does."""

import numpy as np

from lwcnn.evaluation import accuracy
from lwcnn.system.errors import LwcnnError

MAX_DIFFERENCE = 1e-3  # of float logits, as a share of their range: rounding stays a hundred times below it
MAX_FLOAT_CHANGE = 0.05  # points of accuracy, up or down
MAX_INT8_DROP = 0.3  # points of accuracy; a gain is no fault


def compare_logits(expected: np.ndarray, exported: np.ndarray, labels: np.ndarray) -> dict:
    """What the export changed.

    Args:
        expected: the Keras model's logits, float, shape (n, classes), finite.
        exported: the file's, for the same images.
        labels: integers, shape (n,).

    Returns:
        accuracy_keras, accuracy_exported (0 to 1), drop_points (percentage points lost, negative for a gain),
        agreement (share of images with the same predicted class), max_abs_difference (of logits) and
        max_relative_difference (the same as a share of the expected logits' range), num_test_images.

    Raises:
        LwcnnError: arrays that do not fit, or logits that are not finite.
    """
    if expected.shape != exported.shape:
        raise LwcnnError(
            f"The exported file's logits have another shape than the model's {expected.shape}. "
            f"Received: {exported.shape}"
        )
    before, after = accuracy(expected, labels), accuracy(exported, labels)
    difference = float(np.abs(expected.astype(np.float64) - exported).max())
    spread = float(expected.max() - expected.min())
    return {
        "accuracy_keras": before,
        "accuracy_exported": after,
        "drop_points": round(100 * (before - after), 6),  # else rounding leaves 0.30000000000000004
        "agreement": float((expected.argmax(axis=1) == exported.argmax(axis=1)).mean()),
        "max_abs_difference": difference,
        "max_relative_difference": difference / spread if spread else difference,
        "num_test_images": len(labels),
    }


def require_agreement(compared: dict, quantized: bool, max_drop: float | None = None) -> None:
    """Refuses an export that disagrees with its model.

    Args:
        compared: as of `compare_logits`.
        quantized: whether the file computes in int8; then only the accuracy counts, and only its loss.
        max_drop: points of accuracy that may be lost (float: gained too); None for `MAX_INT8_DROP` or
            `MAX_FLOAT_CHANGE`.

    Raises:
        LwcnnError: It disagrees, or max_drop is negative or NaN.
    """
    limit = max_drop if max_drop is not None else MAX_INT8_DROP if quantized else MAX_FLOAT_CHANGE
    if not limit >= 0:  # NaN fails this too
        raise LwcnnError(f"max_drop must be a number of at least 0. Received: {max_drop}")
    drop = compared["drop_points"]
    accuracies = f"{100 * compared['accuracy_keras']:.2f} % -> {100 * compared['accuracy_exported']:.2f} %"
    if drop > limit or (not quantized and -drop > limit):
        raise LwcnnError(
            f"The exported file disagrees with the model: at most {limit} points of accuracy may change, so nothing "
            f"was written. Received: {accuracies} on {compared['num_test_images']} test images"
        )
    if not quantized and compared["max_relative_difference"] > MAX_DIFFERENCE:
        raise LwcnnError(
            f"The exported file disagrees with the model: its logits may differ by {MAX_DIFFERENCE} of their range, "
            f"so nothing was written. Received: {compared['max_relative_difference']:.3g}, accuracy {accuracies}"
        )

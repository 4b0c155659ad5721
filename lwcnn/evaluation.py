"""Logits of a model, and what is measured on them: NumPy in, numbers out, no framework but for the logits."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from scipy import stats

from lwcnn.errors import LwcnnError


@dataclass(frozen=True)
class MeanInterval:
    """Mean of several runs.

    Args:
        mean: their mean.
        std: their sample standard deviation (n - 1); None for a single run.
        low, high: the interval of the mean by Student's t; None for a single run.
        num_values: how many they are.
    """

    mean: float
    std: float | None
    low: float | None
    high: float | None
    num_values: int


def predict_logits(model: keras.Model, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
    """Returns the model's logits of the images, without augmentation or dropout.

    Args:
        model: a Keras model of one input and one output, (n, classes).
        images: uint8, shape (n, height, width, channels), as the model was built for.
        batch_size: images at a time; it changes memory and speed, not the result beyond rounding.

    Returns:
        float32, shape (n, classes).

    Raises:
        LwcnnError: a model of several inputs or outputs, or images that do not fit it.
    """
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise LwcnnError(
            "Give a model of one input and one output: of a dual model, a submodel or the merged model. "
            f"Received: {model.name!r} with {len(model.inputs)} inputs and {len(model.outputs)} outputs"
        )
    expected = tuple(model.inputs[0].shape[1:])
    shape, output_shape = images.shape[1:], model.outputs[0].shape
    fits = len(expected) == len(shape) and all(e in (None, s) for e, s in zip(expected, shape, strict=True))
    if not fits or len(images) == 0:
        wanted = ", ".join(map(str, expected))
        raise LwcnnError(f"Give images of shape (n, {wanted}). Received: {images.shape}")
    if len(output_shape) != 2:
        raise LwcnnError(f"Give a model with logits of shape (n, classes). Received: {output_shape}")
    return np.asarray(model.predict(images, batch_size=batch_size, verbose=0), dtype=np.float32)


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative log-likelihood of the labels, in nats.

    Args:
        logits: shape (n, classes), finite.
        labels: integers, shape (n,), 0 to classes - 1.

    Raises:
        LwcnnError: arrays that do not fit; so do the functions below.
    """
    logits, labels = _check(logits, labels)
    return float(-_log_softmax(logits)[np.arange(len(labels)), labels].mean())


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share, 0 to 1, of images whose largest logit is that of their label."""
    logits, labels = _check(logits, labels)
    return float((logits.argmax(axis=1) == labels).mean())


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns counts, shape (classes, classes): row is the label, column the predicted class."""
    logits, labels = _check(logits, labels)
    num_classes = logits.shape[1]
    cells = labels * num_classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each class's share, 0 to 1, of its images that are recognised; NaN for a class without any."""
    counts = confusion_matrix(logits, labels)
    totals = counts.sum(axis=1)
    return np.divide(counts.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    """Returns the gap, 0 to 1, between confidence and accuracy, averaged over equal bins.

    The confidence is the largest softmax probability. Bins are open below and closed above; each counts by
    the images in it.

    Args:
        logits: shape (n, classes), finite.
        labels: integers, shape (n,), 0 to classes - 1.
        num_bins: 1 or more.

    Source: Guo et al., "On Calibration of Modern Neural Networks", arXiv 1706.04599, equation 3, 15 bins.
    """
    logits, labels = _check(logits, labels)
    if num_bins < 1:
        raise LwcnnError(f"Give num_bins of 1 or more. Received: num_bins={num_bins}")
    confidence = np.exp(_log_softmax(logits).max(axis=1))
    correct = logits.argmax(axis=1) == labels
    upper_edges = np.linspace(0, 1, num_bins + 1)[1:]
    bins = np.minimum(np.searchsorted(upper_edges, confidence, side="left"), num_bins - 1)
    gaps = np.bincount(bins, weights=correct - confidence, minlength=num_bins)
    return float(np.abs(gaps).sum() / len(labels))


def mcnemar_exact(correct_a: np.ndarray, correct_b: np.ndarray) -> float:
    """Returns the two-sided p-value of the exact McNemar test: are two models right equally often?

    Args:
        correct_a, correct_b: bool, shape (n,): whether each model is right on the same images in one order.
    """
    correct_a, correct_b = np.asarray(correct_a), np.asarray(correct_b)
    boolean = correct_a.dtype == correct_b.dtype == bool
    if not boolean or correct_a.ndim != 1 or correct_a.shape != correct_b.shape:
        raise LwcnnError(
            "Give two boolean arrays of one shape (n,). "
            f"Received: {correct_a.dtype} {correct_a.shape} and {correct_b.dtype} {correct_b.shape}"
        )
    only_a, only_b = int((correct_a & ~correct_b).sum()), int((correct_b & ~correct_a).sum())
    if only_a + only_b == 0:
        return 1.0
    return float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)


def wilson_interval(num_correct: int, num_images: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns Wilson's interval (low, high) of an accuracy, each 0 to 1, from its counts."""
    if num_images < 1 or not 0 <= num_correct <= num_images:
        raise LwcnnError(f"Give counts with 0 <= correct <= images. Received: {num_correct} of {num_images}")
    interval = stats.binomtest(int(num_correct), int(num_images)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def mean_and_interval(values: Sequence[float], confidence: float = 0.95) -> MeanInterval:
    """Returns mean, sample standard deviation and t-interval of the mean of these runs' values."""
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) == 0 or not np.isfinite(values).all():
        raise LwcnnError(f"Give one or more finite values. Received: {values.tolist()}")
    mean = float(values.mean())
    if len(values) == 1:
        return MeanInterval(mean, None, None, None, 1)
    std = float(values.std(ddof=1))
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * std / len(values) ** 0.5
    return MeanInterval(mean, std, mean - reach, mean + reach, len(values))


def summarise(logits: np.ndarray, labels: np.ndarray) -> dict:
    """Returns what a results file holds of one evaluation, ready for JSON.

    Returns:
        accuracy, loss (nats), ece (15 bins): floats; per_class_accuracy: a list, None for a class without
        images; confusion_matrix: a list of rows, one a label.
    """
    by_class = per_class_accuracy(logits, labels).tolist()
    return {
        "accuracy": accuracy(logits, labels),
        "loss": cross_entropy(logits, labels),
        "ece": expected_calibration_error(logits, labels),
        "per_class_accuracy": [None if np.isnan(share) else share for share in by_class],
        "confusion_matrix": confusion_matrix(logits, labels).tolist(),
    }


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def _check(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The logits as float64 (n, classes) and the labels as int64 (n,), once they fit."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or 0 in logits.shape or logits.dtype.kind != "f":
        raise LwcnnError(
            f"Give logits as floats of shape (n, classes). Received: {logits.dtype} of shape {logits.shape}"
        )
    if labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        raise LwcnnError(
            f"Give one integer label for each of the {len(logits)} logits. "
            f"Received: {labels.dtype} of shape {labels.shape}"
        )
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise LwcnnError(f"Give labels from 0 to {logits.shape[1] - 1}. Received: {labels.min()} to {labels.max()}")
    if not np.isfinite(logits).all():
        num_bad = int((~np.isfinite(logits)).any(axis=1).sum())
        raise LwcnnError(
            "The logits are not finite: the training has diverged; try a smaller learning rate. "
            f"Received: NaN or infinity for {num_bad} of {len(logits)} images"
        )
    return logits.astype(np.float64), labels.astype(np.int64)

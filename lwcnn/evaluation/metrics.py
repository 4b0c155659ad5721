"""What is measured on logits: NumPy in, numbers out."""

import numpy as np

from lwcnn.system.errors import LwcnnError

TOP = 3
"""The k of the top-k accuracy in a summary."""
MAX_CONFUSION_CLASSES = 200
"""Classes up to which files have confusion matrices: those of 1,000 classes would take 9 MB."""


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative log-likelihood of the labels, in nats.

    Args:
        logits: shape (n, classes), finite.
        labels: integers, shape (n,), 0 to classes - 1.

    Raises:
        LwcnnError: arrays that do not fit; so do the functions below.
    """
    logits, labels = check(logits, labels)
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the share, 0 to 1, of images whose largest logit is that of their label."""
    logits, labels = check(logits, labels)
    return float((logits.argmax(axis=1) == labels).mean())


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int = TOP) -> float:
    """Returns the share, 0 to 1, of images whose label is among the k largest logits.

    Of equal logits that of the lower class counts as the larger, so that with k = 1 it is the accuracy.

    Args:
        logits: shape (n, classes), finite.
        labels: integers, shape (n,), 0 to classes - 1.
        k: 1 or more; with as many as there are classes it is 1.
    """
    logits, labels = check(logits, labels)
    if k < 1:
        raise LwcnnError(f"Give k of 1 or more. Received: k={k}")
    wanted = logits[np.arange(len(labels)), labels][:, None]
    ahead = (logits > wanted) | ((logits == wanted) & (np.arange(logits.shape[1]) < labels[:, None]))
    return float((ahead.sum(axis=1) < k).mean())


def confusion_matrix(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns counts, shape (classes, classes): row is the label, column the predicted class."""
    logits, labels = check(logits, labels)
    num_classes = logits.shape[1]
    cells = labels * num_classes + logits.argmax(axis=1)
    return np.bincount(cells, minlength=num_classes**2).reshape(num_classes, num_classes)


def per_class_accuracy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns each class's share, 0 to 1, of its images that are recognized; NaN for a class without any."""
    counts = confusion_matrix(logits, labels)
    totals = counts.sum(axis=1)
    return np.divide(counts.diagonal(), totals, out=np.full(len(totals), np.nan), where=totals > 0)


def precision_recall_f1(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns "precision", "recall" and "f1" of each class, shape (classes,), 0 to 1.

    A class that is never predicted has precision 0, one without images recall 0, as in scikit-learn; one that is
    neither in the labels nor predicted has NaN in all three, and no part in their macro averages.
    """
    counts = confusion_matrix(logits, labels)
    right, predicted, actual = counts.diagonal(), counts.sum(axis=0), counts.sum(axis=1)
    absent = predicted + actual == 0

    def share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
        values = np.divide(part, whole, out=np.zeros(len(whole)), where=whole > 0)
        return np.where(absent, np.nan, values)

    return {
        "precision": share(right, predicted),
        "recall": share(right, actual),
        "f1": share(2 * right, predicted + actual),
    }


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
    confidence, accuracies, counts = reliability_bins(logits, labels, num_bins)
    return float(np.nansum(counts * np.abs(accuracies - confidence)) / counts.sum())


def reliability_bins(
    logits: np.ndarray, labels: np.ndarray, num_bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups images by confidence.

    Args:
        logits, labels, num_bins: As in `expected_calibration_error`.

    Returns:
        Mean confidence, accuracy and number of images of each bin, shape (num_bins,); NaN where a bin is empty.
    """
    logits, labels = check(logits, labels)
    if num_bins < 1:
        raise LwcnnError(f"Give num_bins of 1 or more. Received: num_bins={num_bins}")
    confidence = np.exp(log_softmax(logits).max(axis=1))
    correct = logits.argmax(axis=1) == labels
    upper_edges = np.linspace(0, 1, num_bins + 1)[1:]
    bins = np.minimum(np.searchsorted(upper_edges, confidence, side="left"), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    sums = [np.bincount(bins, weights=values, minlength=num_bins) for values in (confidence, correct)]
    means = [np.divide(total, counts, out=np.full(num_bins, np.nan), where=counts > 0) for total in sums]
    return means[0], means[1], counts


def summarize(logits: np.ndarray, labels: np.ndarray) -> dict:
    """Returns what a results file holds of one evaluation, ready for JSON.

    Args:
        logits: Logits, shape (n, num_classes).
        labels: Integer labels from 0 to num_classes - 1, shape (n,).

    Returns:
        accuracy, top_3_accuracy, loss (nats), ece (15 bins), macro_precision, macro_recall, macro_f1: floats;
        per_class_accuracy, precision, recall, f1: lists by class, None where a class has no value;
        confusion_matrix: a list of rows, one a label.
    """
    by_class = precision_recall_f1(logits, labels)
    return {
        "accuracy": accuracy(logits, labels),
        f"top_{TOP}_accuracy": top_k_accuracy(logits, labels),
        "loss": cross_entropy(logits, labels),
        "ece": expected_calibration_error(logits, labels),
        **{f"macro_{name}": float(np.nanmean(values)) for name, values in by_class.items()},
        "per_class_accuracy": _plain(per_class_accuracy(logits, labels)),
        **{name: _plain(values) for name, values in by_class.items()},
        "confusion_matrix": confusion_matrix(logits, labels).tolist(),
    }


def keepable(measured: dict) -> dict:
    """Returns measurements without a confusion matrix of more than `MAX_CONFUSION_CLASSES` classes: None in its place.

    Its size grows with the square of the classes; the predicted classes, which a run keeps, give it at any time.
    """
    matrix = measured["confusion_matrix"]
    return measured | {"confusion_matrix": None} if len(matrix) > MAX_CONFUSION_CLASSES else measured


def _plain(shares: np.ndarray) -> list[float | None]:
    return [None if np.isnan(share) else share for share in shares.tolist()]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """The logarithms of the probabilities, (n, classes), of logits (n, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def check(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
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

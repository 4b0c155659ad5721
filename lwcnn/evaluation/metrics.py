"""Metrics and temperature scaling of finite logits (n, classes) and integer labels (n,); others raise LwcnnError."""

from collections.abc import Iterable

import numpy as np

from lwcnn.system.errors import wrong

TOP = 3
"""The k of the top-k accuracy in `summarize`."""
MAX_CONFUSION_CLASSES = 200
"""Maximum number of classes for which files store a confusion matrix; that of 1,000 classes would take 3 MB."""


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the mean negative log-likelihood of the labels, in nats."""
    logits, labels = check_logits(logits, labels)
    return float(-log_softmax(logits)[np.arange(len(labels)), labels].mean())


def accuracy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Returns the fraction of images whose largest logit is that of their label."""
    logits, labels = check_logits(logits, labels)
    return float((logits.argmax(axis=1) == labels).mean())


def top_k_accuracy(logits: np.ndarray, labels: np.ndarray, k: int = TOP) -> float:
    """Returns the fraction of images whose label is among the k largest logits; the lower class wins a tie."""
    logits, labels = check_logits(logits, labels)
    wanted = logits[np.arange(len(labels)), labels][:, None]
    ahead = (logits > wanted) | ((logits == wanted) & (np.arange(logits.shape[1]) < labels[:, None]))
    return float((ahead.sum(axis=1) < k).mean())


def precision_recall_f1(logits: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns `precision`, `recall` and `f1` by class: 0 where undefined, NaN for a class without images."""
    from sklearn.metrics import precision_recall_fscore_support

    logits, labels = check_logits(logits, labels)
    predicted, classes = logits.argmax(axis=1), range(logits.shape[1])
    found = precision_recall_fscore_support(labels, predicted, labels=classes, zero_division=0)[:3]
    absent = ~np.isin(classes, labels)
    return {name: np.where(absent, np.nan, values) for name, values in zip(("precision", "recall", "f1"), found)}


def expected_calibration_error(logits: np.ndarray, labels: np.ndarray, num_bins: int = 15) -> float:
    """Returns the expected calibration error (ECE, arXiv 1706.04599).

    It is the mean gap between confidence, the largest probability, and accuracy over bins of equal width, weighted by
    the number of images.
    """
    confidence, accuracies, counts = reliability_bins(logits, labels, num_bins)
    return float(np.nansum(counts * np.abs(accuracies - confidence)) / counts.sum())


def reliability_bins(
    logits: np.ndarray, labels: np.ndarray, num_bins: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups images by confidence; returns mean confidence, accuracy (NaN for empty bins) and number per bin."""
    logits, labels = check_logits(logits, labels)
    confidence = np.exp(log_softmax(logits).max(axis=1))
    correct = logits.argmax(axis=1) == labels
    upper_edges = np.linspace(0, 1, num_bins + 1)[1:]
    bins = np.minimum(np.searchsorted(upper_edges, confidence, side="left"), num_bins - 1)
    counts = np.bincount(bins, minlength=num_bins)
    sums = [np.bincount(bins, weights=values, minlength=num_bins) for values in (confidence, correct)]
    means = [np.divide(total, counts, out=np.full(num_bins, np.nan), where=counts > 0) for total in sums]
    return means[0], means[1], counts


def summarize(logits: np.ndarray, labels: np.ndarray) -> dict:
    """Computes all metrics of an evaluation, as stored in results files.

    Args:
        logits: Float array of shape (n, classes), finite.
        labels: Integer array of shape (n,), between 0 and classes - 1.

    Returns:
        JSON-serializable dict. `accuracy`, `top_3_accuracy` (with more than three classes), `loss` (nats),
        `ece` (15 bins), `macro_precision`, `macro_recall` and `macro_f1` are floats; `per_class_accuracy`, `precision`,
        `recall` and `f1` are lists by class, 0 where undefined and None for a class without images; `confusion_matrix`
        is a list of rows, one per label.

    Raises:
        LwcnnError: The arrays have the wrong type, shape or values.

    Examples:
        >>> import numpy as np
        >>> summarize(np.array([[2.0, 0.0], [1.0, 0.0]]), np.array([0, 1]))["accuracy"]
        0.5
    """
    from sklearn.metrics import confusion_matrix

    by_class, predicted = precision_recall_f1(logits, labels), np.argmax(logits, axis=1)
    return {
        "accuracy": accuracy(logits, labels),
        **({f"top_{TOP}_accuracy": top_k_accuracy(logits, labels)} if np.shape(logits)[1] > TOP else {}),
        "loss": cross_entropy(logits, labels),
        "ece": expected_calibration_error(logits, labels),
        **{f"macro_{name}": float(np.nanmean(values)) for name, values in by_class.items()},
        "per_class_accuracy": _nan_to_none(by_class["recall"]),
        **{name: _nan_to_none(values) for name, values in by_class.items()},
        "confusion_matrix": confusion_matrix(labels, predicted, labels=range(np.shape(logits)[1])).tolist(),
    }


def drop_large_confusion_matrix(measured: dict) -> dict:
    """Replaces a confusion matrix of more than `MAX_CONFUSION_CLASSES` classes in the dict of `summarize` by None."""
    matrix = measured["confusion_matrix"]
    return measured | {"confusion_matrix": None} if len(matrix) > MAX_CONFUSION_CLASSES else measured


def _nan_to_none(values: np.ndarray) -> list[float | None]:
    return [None if np.isnan(value) else value for value in values.tolist()]


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities of logits of shape (n, classes). SciPy's would triple the start-up time."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def average_probabilities(predictions: Iterable[np.ndarray]) -> np.ndarray:
    """Returns the log of the softmax probabilities averaged over logits of shape (n, classes): soft voting."""
    log_sum, count = np.array(-np.inf), 0
    for logits in predictions:
        log_sum, count = np.logaddexp(log_sum, log_softmax(logits.astype(np.float64))), count + 1
    return log_sum - np.log(count)


def check_logits(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Validates logits and labels; returns them as float64 of shape (n, classes) and int64 of shape (n,)."""
    logits, labels = np.asarray(logits), np.asarray(labels)
    if logits.ndim != 2 or 0 in logits.shape or logits.dtype.kind != "f":
        raise wrong("Give logits as floats of shape (n, classes)", f"{logits.dtype} of shape {logits.shape}")
    if labels.shape != logits.shape[:1] or labels.dtype.kind not in "iu":
        advice = f"Give one integer label for each of the {len(logits)} rows of logits"
        raise wrong(advice, f"{labels.dtype} of shape {labels.shape}")
    if labels.min() < 0 or labels.max() >= logits.shape[1]:
        raise wrong(f"Give labels from 0 to {logits.shape[1] - 1}", f"{labels.min()} to {labels.max()}")
    if not np.isfinite(logits).all():
        num_bad = int((~np.isfinite(logits)).any(axis=1).sum())
        advice = "The logits are not finite because training diverged: try a smaller learning rate"
        raise wrong(advice, f"NaN or infinity for {num_bad} of {len(logits)} images")
    return logits.astype(np.float64), labels.astype(np.int64)


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fits the temperature that minimizes the cross-entropy of `logits / temperature`.

    Args:
        logits: Array of shape (n, classes), of validation images.
        labels: Integer array of shape (n,).

    Returns:
        A float from 0.05 to 20; 1 if all predictions are correct, because the loss then has no minimum.

    Examples:
        >>> import numpy as np
        >>> round(fit_temperature(np.array([[4.0, 0.0], [4.0, 0.0], [4.0, 0.0]]), np.array([0, 0, 1])), 2)
        5.77

    Source: arXiv 1706.04599.
    """
    from scipy.optimize import minimize_scalar

    logits, labels = check_logits(logits, labels)
    if np.array_equal(logits.argmax(axis=1), labels):
        return 1.0
    found = minimize_scalar(
        lambda log_temperature: cross_entropy(logits / np.exp(log_temperature), labels),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def measure_calibration(
    validation_logits: np.ndarray, validation_labels: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Returns `temperature`, fitted on validation images, `ece_scaled` and `test_loss_scaled`."""
    temperature = fit_temperature(validation_logits, validation_labels)
    scaled = np.asarray(logits, dtype=float) / temperature
    return {
        "temperature": temperature,
        "ece_scaled": expected_calibration_error(scaled, labels),
        "test_loss_scaled": cross_entropy(scaled, labels),
    }

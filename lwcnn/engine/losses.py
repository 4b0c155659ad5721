"""The losses as functions of logits: values and gradients.

Each takes logits (n, classes) and gives sums over the images, so that the parts of a batch add up.
"""

import keras
import numpy as np


def loss_settings(loss) -> tuple[float, tuple[float, ...] | None] | None:
    """The label smoothing and class weights of a cross-entropy of logits; None if the loss is anything else."""
    if type(loss) in (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy):
        config = loss.get_config()
        return (config.get("label_smoothing", 0.0), None) if config["from_logits"] else None
    if isinstance(loss, keras.losses.Loss) and getattr(loss, "from_logits", False) and hasattr(loss, "class_weights"):
        return loss.label_smoothing, loss.class_weights
    return None


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0, class_weights: np.ndarray | None = None
) -> tuple[float, np.ndarray, int]:
    """Sum of the cross-entropies, its gradient by the logits, and how many classes are right.

    Args:
        logits: (n, classes).
        labels: (n,) integers, or (n, classes) shares.
        smoothing: share of each label that is spread evenly.
        class_weights: (classes,) float32, the weight of each class in the sum; None weighs all alike.
    """
    n, num_classes = logits.shape
    log_shares = _log_softmax(logits)
    gradient = np.exp(log_shares)
    if labels.ndim == 1 and not smoothing and class_weights is None:
        rows = np.arange(n)
        loss = -float(log_shares[rows, labels].sum(dtype=np.float64))
        gradient[rows, labels] -= 1
        return loss, gradient, int((logits.argmax(axis=1) == labels).sum())
    targets = np.eye(num_classes, dtype=np.float32)[labels] if labels.ndim == 1 else labels
    truth = labels if labels.ndim == 1 else labels.argmax(axis=1)
    weights = None if class_weights is None else (targets @ class_weights)[:, None]
    if smoothing:
        targets = targets * np.float32(1 - smoothing) + np.float32(smoothing / num_classes)
    losses = targets * log_shares
    gradient = gradient * targets.sum(axis=1, keepdims=True) - targets
    if weights is not None:
        losses, gradient = losses * weights, gradient * weights
    return -float(losses.sum(dtype=np.float64)), gradient, int((logits.argmax(axis=1) == truth).sum())


def divergence(logits: np.ndarray, teacher: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
    """Sum of T^2 KL(teacher, logits), both softmax at temperature T, and its gradient by the logits.

    Source: Hinton, Vinyals and Dean, arXiv 1503.02531.
    """
    taught, given = _log_softmax(logits / np.float32(temperature)), _log_softmax(teacher / np.float32(temperature))
    shares = np.exp(given)
    loss = temperature**2 * float((shares * (given - taught)).sum(dtype=np.float64))
    return loss, np.float32(temperature) * (np.exp(taught) - shares)


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

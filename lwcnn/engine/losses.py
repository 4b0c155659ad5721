"""Losses and their gradients, summed over images, so that the parts of a batch add up."""

from dataclasses import dataclass

import keras
import numpy as np

from lwcnn.engine.errors import Unsupported
from lwcnn.engine.operations.base import first_difference


@dataclass(frozen=True, eq=False)
class CrossEntropy:
    """A compiled cross-entropy.

    Attributes:
        from_logits: Whether it takes logits rather than probabilities.
        label_smoothing: Fraction of each label that is spread evenly over the classes.
        class_weights: Weight of each class, (classes,) float32. None weighs all classes equally.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    class_weights: np.ndarray | None = None

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, int]:
        """Returns the sum over images, its gradient by the logits, and the number of correct predictions.

        Args:
            logits: Logits (n, classes).
            labels: Integers (n,) or (n, 1), or probabilities (n, classes).
        """
        if labels.ndim == 2 and labels.shape[1] == 1:
            labels = labels[:, 0]
        return cross_entropy(logits, labels, self.label_smoothing, self.class_weights)


def find_loss(loss) -> CrossEntropy:
    """Returns the compiled loss, given as an object, a function or a name.

    A custom loss is accepted if it has the attributes `from_logits`, `label_smoothing` and `class_weights`.

    Raises:
        Unsupported: The engine does not know the loss or one of its settings.
    """
    loss = keras.losses.get(loss)
    if loss in (keras.losses.sparse_categorical_crossentropy, keras.losses.categorical_crossentropy):
        return CrossEntropy()
    setting = isinstance(loss, keras.losses.Loss) and first_difference(loss, reduction="sum_over_batch_size")
    if type(loss) is keras.losses.SparseCategoricalCrossentropy:
        setting = setting or first_difference(loss, ignore_class=None)
    elif type(loss) is keras.losses.CategoricalCrossentropy:
        setting = setting or first_difference(loss, axis=-1)
    elif not (getattr(loss, "from_logits", False) and hasattr(loss, "class_weights")):
        raise Unsupported(f"the loss {loss!r} is not a cross-entropy of classes")
    if setting:
        raise Unsupported(f"the loss {loss.name} ({type(loss).__name__}) has {setting}")
    weights = getattr(loss, "class_weights", None)
    return CrossEntropy(
        loss.from_logits, getattr(loss, "label_smoothing", 0.0), weights and np.array(weights, np.float32)
    )


def cross_entropy(
    logits: np.ndarray, labels: np.ndarray, smoothing: float = 0.0, class_weights: np.ndarray | None = None
) -> tuple[float, np.ndarray, int]:
    """Computes `CrossEntropy` from logits."""
    n, num_classes = logits.shape
    log_shares = log_softmax(logits)
    gradient = np.exp(log_shares)
    if labels.ndim == 1 and not smoothing and class_weights is None:
        rows = np.arange(n)
        loss = -float(log_shares[rows, labels].sum(dtype=np.float64))
        gradient[rows, labels] -= 1
        return loss, gradient, int((logits.argmax(axis=1) == labels).sum())
    truth = labels if labels.ndim == 1 else labels.argmax(axis=1)
    weights = None if class_weights is None else (_targets(labels, num_classes) @ class_weights)[:, None]
    targets = _targets(labels, num_classes, smoothing)
    losses = targets * log_shares
    gradient = gradient * targets.sum(axis=1, keepdims=True) - targets
    if weights is not None:
        losses, gradient = losses * weights, gradient * weights
    return -float(losses.sum(dtype=np.float64)), gradient, int((logits.argmax(axis=1) == truth).sum())


def _targets(labels: np.ndarray, num_classes: int, smoothing: float = 0.0) -> np.ndarray:
    """Returns labels, integers or probabilities, as smoothed probabilities (n, classes)."""
    targets = np.eye(num_classes, dtype=np.float32)[labels] if labels.ndim == 1 else labels
    return targets * np.float32(1 - smoothing) + np.float32(smoothing / num_classes) if smoothing else targets


def divergence(logits: np.ndarray, teacher: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
    """Returns the sum of T^2 KL(teacher, logits), both softmax at temperature T, and its gradient by the logits.

    Source: Hinton, Vinyals and Dean, arXiv 1503.02531.
    """
    taught, given = log_softmax(logits / np.float32(temperature)), log_softmax(teacher / np.float32(temperature))
    shares = np.exp(given)
    loss = temperature**2 * float((shares * (given - taught)).sum(dtype=np.float64))
    return loss, np.float32(temperature) * (np.exp(taught) - shares)


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities of logits of shape (n, classes)."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

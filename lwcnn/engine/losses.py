"""The compiled losses and metrics of a model, summed over images, so that the parts of a batch add up."""

from typing import NamedTuple

import keras
import numpy as np
from scipy.special import log_softmax

from lwcnn.engine import keras_internals as internals
from lwcnn.engine.keras_internals import Unsupported
from lwcnn.engine.operations.base import first_difference
from lwcnn.system.errors import wrong

_CROSS_ENTROPIES = {keras.losses.SparseCategoricalCrossentropy: True, keras.losses.CategoricalCrossentropy: False}
_ACCURACIES = {keras.metrics.SparseCategoricalAccuracy: True, keras.metrics.CategoricalAccuracy: False}
"""Whether labels are integers ("sparse") rather than probabilities, by class of loss and of metric."""

_OWN_LOSSES, _OWN_ACCURACY = ("lwcnn>CrossEntropy", "lwcnn>DistillationLoss"), "lwcnn>LabelAccuracy"


class CompiledLoss(NamedTuple):
    """A compiled cross-entropy. `class_weights` are (classes,) float32; None weighs all classes equally.

    `sparse` says whether labels are integers rather than probabilities; None allows both. With `temperature`, a
    teacher's logits follow the probabilities: the cross-entropy has the weight `label_weight`, the divergence the rest.
    """

    from_logits: bool = False
    label_smoothing: float = 0.0
    class_weights: np.ndarray | None = None
    sparse: bool | None = None
    temperature: float | None = None
    label_weight: float = 1.0

    def label_shapes(self, num_classes: int) -> list[tuple[int, ...]]:
        """Returns the shapes that the labels of an image may have."""
        return ([(), (1,)] if self.sparse is not False else []) + ([(num_classes,)] if not self.sparse else [])

    def __call__(self, logits: np.ndarray, labels: np.ndarray) -> tuple[float, np.ndarray, int]:
        """Returns the sum over images, its gradient with respect to the logits, and the number of correct predictions.

        Labels are integers (n,) or (n, 1), or probabilities (n, classes), with `temperature` followed by a teacher's
        logits.
        """
        if self.temperature is not None:
            labels, taught = np.split(labels, 2, axis=1)
            return self._distilled(logits, labels, taught, self.temperature)
        num_classes, smoothing = logits.shape[1], self.label_smoothing
        if labels.ndim == 1 or labels.shape[1] == 1:
            if labels.min() < 0 or labels.max() >= num_classes:
                found = f"{labels.min()} to {labels.max()}"
                raise wrong(f"Give labels from 0 to {num_classes - 1}, the model's classes", found)
            labels = np.eye(num_classes, dtype=np.float32)[labels.reshape(-1).astype(np.int64)]
        labels = labels.astype(np.float32, copy=False)  # the kernels read no other type
        targets = labels
        if smoothing:
            targets = labels * np.float32(1 - smoothing) + np.float32(smoothing / num_classes)
        log_shares = log_softmax(logits, axis=1)
        losses = targets * log_shares
        gradient = np.exp(log_shares) * targets.sum(axis=1, keepdims=True) - targets
        if self.class_weights is not None:
            weights = (labels @ self.class_weights)[:, None]
            losses, gradient = losses * weights, gradient * weights
        num_right = int((logits.argmax(axis=1) == labels.argmax(axis=1)).sum())
        return -float(losses.sum(dtype=np.float64)), gradient, num_right

    def _distilled(self, logits, labels, taught, temperature: float) -> tuple[float, np.ndarray, int]:
        share, rest = self.label_weight, 1 - self.label_weight
        value, gradient, num_right = self._replace(temperature=None)(logits, labels)
        distance, apart = divergence(logits, taught, temperature)
        return share * value + rest * distance, np.float32(share) * gradient + np.float32(rest) * apart, num_right


def find_loss(loss) -> CompiledLoss:
    """Returns the compiled loss, given as an object, a function or a name; raises `Unsupported` if it is unknown.

    Known losses are Keras's and those of `lwcnn.training.losses`, recognized by their registered names.
    """
    loss = keras.losses.get(loss)
    if loss in (keras.losses.sparse_categorical_crossentropy, keras.losses.categorical_crossentropy):
        return CompiledLoss(sparse=loss is keras.losses.sparse_categorical_crossentropy)
    if type(loss) not in _CROSS_ENTROPIES and keras.saving.get_registered_name(type(loss)) not in _OWN_LOSSES:
        raise Unsupported(f"the loss {loss!r} is not a categorical cross-entropy")
    if setting := first_difference(loss, reduction="sum_over_batch_size", ignore_class=None, axis=-1):
        raise Unsupported(f"the loss {internals.title(loss)} has {setting}")
    weights = getattr(loss, "class_weights", None)
    return CompiledLoss(
        from_logits=loss.from_logits,
        label_smoothing=getattr(loss, "label_smoothing", 0.0),
        class_weights=None if weights is None else np.array(weights, np.float32),
        sparse=_CROSS_ENTROPIES.get(type(loss)),
        temperature=getattr(loss, "temperature", None),
        label_weight=getattr(loss, "label_weight", 1.0),
    )


def divergence(logits: np.ndarray, teacher: np.ndarray, temperature: float) -> tuple[float, np.ndarray]:
    """Returns the sum of T^2 KL(teacher, logits), both softmax at temperature T, and the gradient of the logits.

    Source: Hinton, Vinyals and Dean, arXiv 1503.02531.
    """
    given, wanted = (log_softmax(one / np.float32(temperature), axis=1) for one in (logits, teacher))
    shares = np.exp(wanted)
    loss = temperature**2 * float((shares * (wanted - given)).sum(dtype=np.float64))
    return loss, np.float32(temperature) * (np.exp(given) - shares)


class Objective:
    """The losses and metrics of a compiled model, by output."""

    def __init__(self, model: keras.Model):
        self.losses = [find_loss(loss) for loss in internals.compiled_losses(model)]
        self._names = internals.output_names(model)
        self._accuracy = _name_of_accuracy(model, self.losses)
        if internals.loss_weights(model) is not None:
            raise Unsupported(f"{model.name} has loss weights")
        if len(self.losses) != len(self._names):
            raise Unsupported(f"{model.name} has {len(self._names)} outputs and {len(self.losses)} losses")
        if len(set(self._names)) != len(self._names):
            raise Unsupported(f"{model.name} has several outputs with the same name")

    def __call__(self, logits, labels) -> tuple[dict[str, float], list[np.ndarray]]:
        """Returns the sums of loss and metrics over images, by name, and the gradient of each output's logits.

        The arguments and the gradients are lists by output.
        """
        sums, gradients = {"loss": 0.0}, []
        for name, output, truth, loss in zip(self._names, logits, labels, self.losses, strict=True):
            value, gradient, right = loss(output, truth)
            prefix = "" if len(logits) == 1 else f"{name}_"
            sums["loss"] += value
            if prefix:
                sums[f"{prefix}loss"] = value
            if self._accuracy:
                sums[f"{prefix}{self._accuracy}"] = right
            gradients.append(gradient)
        return sums, gradients


def _name_of_accuracy(model: keras.Model, losses: list[CompiledLoss]) -> str | None:
    """Returns the name under which accuracy is logged; None if the model was compiled without metrics."""
    metrics = internals.compiled_metrics(model)
    for metric in metrics:
        if metric == "accuracy" or keras.saving.get_registered_name(type(metric)) == _OWN_ACCURACY:
            continue
        if type(metric) not in _ACCURACIES:
            raise Unsupported(f"the metric {getattr(metric, 'name', metric)!r} is not accuracy")
        if _ACCURACIES[type(metric)] not in {loss.sparse for loss in losses}:
            raise Unsupported(f"the metric {metric.name!r} expects labels in another form than the loss")
    names = {metric if isinstance(metric, str) else metric.name for metric in metrics}
    if metrics and (len(metrics) != len(losses) or len(names) > 1):
        raise Unsupported(f"{model.name} has {len(metrics)} metrics for {len(losses)} outputs")
    return names.pop() if names else None


class Means:
    """Means over images, accumulated from sums over batches."""

    def __init__(self):
        self._sums: dict[str, float] = {}
        self.num_images = 0

    def add(self, sums: list[dict[str, float]], num_images: int) -> dict[str, float]:
        """Adds the sums over the parts of a batch; returns the means so far."""
        self.num_images += num_images
        for part in sums:
            for name, value in part.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        return {name: total / self.num_images for name, total in self._sums.items()}

"""The compiled losses and metrics of a model."""

import keras
import numpy as np

from lwcnn.engine import keras_internals as internals
from lwcnn.engine.errors import Unsupported
from lwcnn.engine.losses import find_loss

_ACCURACIES = (keras.metrics.SparseCategoricalAccuracy, keras.metrics.CategoricalAccuracy)


class Objective:
    """The losses and metrics of a compiled model, by output; for a `Distiller`, those of the student.

    Raises:
        Unsupported: The engine does not know a loss or a metric.
    """

    def __init__(self, model: keras.Model):
        self.losses = [find_loss(loss) for loss in internals.compiled_losses(model)]
        self.names = internals.output_names(model)
        self._accuracy = _name_of_accuracy(model)
        if internals.loss_weights(model) is not None:
            raise Unsupported(f"{model.name} has weights of its outputs' losses")
        if len(self.losses) != len(self.names):
            raise Unsupported(f"{model.name} has {len(self.names)} outputs and {len(self.losses)} losses")

    def __call__(self, logits, labels) -> tuple[dict[str, float], list[np.ndarray]]:
        """Returns the sums of loss and metrics over images, by name, and the gradient by the logits of each output."""
        sums, gradients = {"loss": 0.0}, []
        for name, output, truth, loss in zip(self.names, logits, labels, self.losses, strict=True):
            value, gradient, right = loss(output, truth)
            prefix = "" if len(logits) == 1 else f"{name}_"
            sums["loss"] += value
            if prefix:
                sums[f"{prefix}loss"] = value
            if self._accuracy:
                sums[f"{prefix}{self._accuracy}"] = right
            gradients.append(gradient)
        return sums, gradients


class Means:
    """Means over images, accumulated from sums over batches."""

    def __init__(self):
        self._sums: dict[str, float] = {}
        self._num_images = 0

    def add(self, sums: list[dict[str, float]], num_images: int) -> dict[str, float]:
        """Adds the sums over the parts of a batch; returns the means so far."""
        self._num_images += num_images
        for part in sums:
            for name, value in part.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        return {name: total / self._num_images for name, total in self._sums.items()}


def _name_of_accuracy(model: keras.Model) -> str | None:
    """Returns the name under which accuracy is logged; None if the model was compiled without metrics."""
    names = set()
    for metric in internals.compiled_metrics(model):
        if metric == "accuracy" or type(metric) in _ACCURACIES:
            names.add(metric if isinstance(metric, str) else metric.name)
        elif metric is not None:
            raise Unsupported(f"the metric {getattr(metric, 'name', metric)!r} is not accuracy")
    if len(names) > 1:
        raise Unsupported(f"accuracy has several names: {', '.join(sorted(names))}")
    return names.pop() if names else None

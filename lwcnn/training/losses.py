"""Cross-entropy with label smoothing, soft labels and class weights, and the loss of distillation."""

import keras
import numpy as np

from lwcnn.training.phases import Distillation, Phase


@keras.saving.register_keras_serializable(package="lwcnn")
class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits with integer or soft labels; a soft label has the mean weight of its classes."""

    from_logits = True

    def __init__(self, label_smoothing: float = 0.0, class_weights: tuple[float, ...] | None = None, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights and tuple(class_weights)

    def call(self, y_true, y_pred):
        labels = y_true
        if len(y_true.shape) == 1 or y_true.shape[-1] != y_pred.shape[-1]:
            labels = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), y_pred.shape[-1])
        losses = keras.losses.categorical_crossentropy(
            labels, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )
        if self.class_weights is None:
            return losses
        return losses * keras.ops.matmul(labels, keras.ops.convert_to_tensor(self.class_weights, labels.dtype))

    def get_config(self):
        return super().get_config() | {"label_smoothing": self.label_smoothing, "class_weights": self.class_weights}


@keras.saving.register_keras_serializable(package="lwcnn")
class DistillationLoss(CrossEntropy):
    """Cross-entropy with the labels, and divergence from the teacher, whose logits follow the labels in `y_true`."""

    def __init__(self, temperature: float, label_weight: float, **kwargs):
        super().__init__(**kwargs)
        self.temperature, self.label_weight = temperature, label_weight

    def call(self, y_true, y_pred):
        labels, taught = keras.ops.split(y_true, 2, axis=-1)
        given, wanted = (keras.ops.log_softmax(logits / self.temperature) for logits in (y_pred, taught))
        divergence = keras.ops.sum(keras.ops.exp(wanted) * (wanted - given), axis=-1)
        share = self.label_weight
        return share * super().call(labels, y_pred) + (1 - share) * self.temperature**2 * divergence

    def get_config(self):
        return super().get_config() | {"temperature": self.temperature, "label_weight": self.label_weight}


@keras.saving.register_keras_serializable(package="lwcnn")
class LabelAccuracy(keras.metrics.CategoricalAccuracy):
    """Accuracy where a teacher's logits follow the labels in `y_true`."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        super().update_state(keras.ops.split(y_true, 2, axis=-1)[0], y_pred, sample_weight)


def build_loss(
    phase: Phase, labels: np.ndarray, num_classes: int, distillation: Distillation | None = None
) -> keras.losses.Loss:
    weights = None
    if phase.class_weight == "balanced":
        weights = tuple(balanced_weights(labels, num_classes).tolist())
    if distillation:
        share = distillation.label_weight
        settings = {"label_smoothing": phase.label_smoothing, "class_weights": weights}
        return DistillationLoss(distillation.temperature, share, **settings)
    if weights or phase.label_smoothing:
        return CrossEntropy(phase.label_smoothing, weights)
    kind = keras.losses.CategoricalCrossentropy if phase.mixing else keras.losses.SparseCategoricalCrossentropy
    return kind(from_logits=True)


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns scikit-learn's "balanced" class weights; a class without images has weight 0."""
    counts = np.bincount(labels, minlength=num_classes)
    return np.divide(len(labels), np.count_nonzero(counts) * counts, out=np.zeros(num_classes), where=counts > 0)

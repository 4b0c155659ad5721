"""Cross-entropy with label smoothing, soft labels and class weights; distillation (Hinton et al., arXiv 1503.02531)."""

import keras
import numpy as np

from lwcnn.training.phases import Phase


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


def build_loss(phase: Phase, labels: np.ndarray, num_classes: int) -> keras.losses.Loss:
    weights = None
    if phase.class_weight == "balanced":
        weights = tuple(balanced_weights(labels, num_classes).tolist())
    if weights or phase.label_smoothing:
        return CrossEntropy(phase.label_smoothing, weights)
    kind = keras.losses.CategoricalCrossentropy if phase.mixing else keras.losses.SparseCategoricalCrossentropy
    return kind(from_logits=True)


def balanced_weights(labels: np.ndarray, num_classes: int) -> np.ndarray:
    """Returns scikit-learn's "balanced" class weights; a class without images has weight 0."""
    counts = np.bincount(labels, minlength=num_classes)
    return np.divide(len(labels), np.count_nonzero(counts) * counts, out=np.zeros(num_classes), where=counts > 0)


def build_distiller(teacher: keras.Model, student: keras.Model, temperature: float, label_weight: float) -> keras.Model:
    """Builds Keras's Distiller, whose training trains the student; both models return logits."""
    divergence = keras.losses.KLDivergence()  # Keras 3.15 applies its default, a string, to logits without a softmax
    losses = keras.distillation.LogitsDistillation(temperature, divergence)
    return keras.distillation.Distiller(teacher, student, losses, student_loss_weight=label_weight)

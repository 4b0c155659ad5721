"""The losses of training."""

import keras


class SmoothedCrossEntropy(keras.losses.Loss):
    """Cross-entropy of logits (n, classes) with integer labels (n,), a share of each label spread evenly."""

    def __init__(self, label_smoothing: float, **kwargs):
        super().__init__(**kwargs)
        self.label_smoothing = label_smoothing

    def call(self, y_true, y_pred):
        labels = keras.ops.one_hot(keras.ops.reshape(y_true, (-1,)), y_pred.shape[-1])
        return keras.losses.categorical_crossentropy(
            labels, y_pred, from_logits=True, label_smoothing=self.label_smoothing
        )


def smoothing_of(loss) -> float | None:
    """The label smoothing of a cross-entropy of logits; None if the loss is anything else."""
    if type(loss) is SmoothedCrossEntropy:
        return loss.label_smoothing
    if type(loss) in (keras.losses.SparseCategoricalCrossentropy, keras.losses.CategoricalCrossentropy):
        config = loss.get_config()
        return config.get("label_smoothing", 0.0) if config["from_logits"] else None
    return None

"""Accuracy and loss on the validation images after each epoch."""

import keras
import numpy as np
from scipy.special import log_softmax

from lwcnn.training.images import Images
from lwcnn.training.steps import make_predictor

BATCH_SIZE = 500


def validate(model: keras.Model, images: Images, num_outputs: int) -> tuple[list[float], list[float]]:
    """Returns accuracy and mean cross-entropy of every output of a model whose inputs all receive the same images."""
    pixels, labels = images.arrays()
    correct, losses = np.zeros(num_outputs), np.zeros(num_outputs)
    predict = make_predictor(model)
    for i in range(0, len(labels), BATCH_SIZE):
        batch, truth = pixels[i : i + BATCH_SIZE], labels[i : i + BATCH_SIZE]
        for k, logits in enumerate(predict([batch] * num_outputs)):
            correct[k] += (np.argmax(logits, -1) == truth).sum()
            losses[k] -= log_softmax(logits.astype(np.float64), axis=-1)[np.arange(len(truth)), truth].sum()
    return [float(c) / len(labels) for c in correct], [float(loss) / len(labels) for loss in losses]


def epoch_record(
    model: keras.Model, logs: dict[str, float], accuracies: list[float], losses: list[float]
) -> dict[str, float]:
    """Returns the history's record of an epoch: means over the training images, then validation."""
    record = logs | {"val_accuracy": float(np.mean(accuracies)), "val_loss": float(np.mean(losses))}
    if len(accuracies) > 1:
        for name, accuracy, loss in zip(model.output_names, accuracies, losses, strict=True):
            record |= {f"{name}_val_accuracy": accuracy, f"{name}_val_loss": loss}
    return record

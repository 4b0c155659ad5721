"""Validation after each epoch: accuracy and loss, the best weights, and early stopping."""

from collections.abc import Sequence

import keras
import numpy as np
from scipy.special import log_softmax

from lwcnn.data.checks import images_at_once
from lwcnn.data.images import Images
from lwcnn.training.checkpoint import PhaseState, get_values
from lwcnn.training.phases import Phase
from lwcnn.training.predictor import make_predictor


def validate(model: keras.Model, images: Images) -> tuple[list[float], list[float]]:
    """Returns accuracy and mean cross-entropy of every output of a model whose inputs all receive the same images."""
    (pixels, labels), num_outputs = images.arrays(), len(model.outputs)
    correct, losses = np.zeros(num_outputs), np.zeros(num_outputs)
    predict = make_predictor(model)
    step = images_at_once(pixels.shape[1:])
    for i in range(0, len(labels), step):
        batch, truth = pixels[i : i + step], labels[i : i + step]
        for k, logits in enumerate(predict([batch] * num_outputs)):
            correct[k] += (np.argmax(logits, -1) == truth).sum()
            losses[k] -= log_softmax(logits.astype(np.float64), axis=-1)[np.arange(len(truth)), truth].sum()
    return (correct / len(labels)).tolist(), (losses / len(labels)).tolist()


def epoch_record(
    model: keras.Model, logs: dict[str, float], accuracies: list[float], losses: list[float]
) -> dict[str, float]:
    """Returns the history's record of an epoch: means over the training images, then validation."""
    record = logs | {"val_accuracy": float(np.mean(accuracies)), "val_loss": float(np.mean(losses))}
    if len(accuracies) > 1:
        for name, accuracy, loss in zip(model.output_names, accuracies, losses, strict=True):
            record |= {f"{name}_val_accuracy": accuracy, f"{name}_val_loss": loss}
    return record


def keep_best(state: PhaseState, phase: Phase, model: keras.Model, scores: Sequence[float]) -> None:
    """Updates best weights and patience counter from each output's accuracy, or negated loss, in the latest epoch."""
    per_branch = phase.best_per_branch and len(scores) > 1
    scores = [*scores, float(np.mean(scores))]
    start, margin = (0, 0.0) if per_branch else (phase.start_from_epoch, phase.min_delta)
    previous = state.best or scores
    better = [state.epoch <= start + 1 or s > best + margin for s, best in zip(scores, previous, strict=True)]
    state.best = [s if b else best for s, b, best in zip(scores, better, previous, strict=True)]
    epochs = state.best_epoch or [0] * len(scores)
    state.best_epoch = [state.epoch if b else epoch for b, epoch in zip(better, epochs, strict=True)]
    _keep_weights(state, model, better, per_branch)
    if per_branch:
        histories = [[record[f"{name}_val_accuracy"] for record in state.history] for name in model.output_names]
        state.wait = max(epochs_without_progress(history, phase) for history in histories)
    else:
        state.wait = state.epoch - state.best_epoch[-1]


def epochs_without_progress(scores: Sequence[float], phase: Phase) -> int:
    """Returns the number of epochs since the last progress, counted as Keras's `EarlyStopping` does."""
    best, wait = -float("inf"), 0
    for epoch, score in enumerate(scores):
        if epoch <= phase.start_from_epoch or score > best + phase.min_delta:
            best, wait = score, 0
        else:
            wait += 1
    return wait


def _keep_weights(state: PhaseState, model: keras.Model, better: list[bool], per_branch: bool) -> None:
    """Stores the weights of each improved branch; without `per_branch` all of them, if the mean (last) improved."""
    weights = get_values(model.weights)
    if not state.best_weights:
        state.best_weights = weights
    prefixes = [name.removesuffix("_logits") + "_" for name in model.output_names] if per_branch else []
    for i, (variable, value) in enumerate(zip(model.weights, weights, strict=True)):
        matching = [k for k, prefix in enumerate(prefixes) if variable.path.startswith(prefix)]
        branch = max(matching, key=lambda k: len(prefixes[k]), default=-1)  # "a_b_conv1" belongs to "a_b", not to "a"
        if better[branch]:
            state.best_weights[i] = value

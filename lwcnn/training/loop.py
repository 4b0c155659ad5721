"""Training one phase, epoch by epoch, so that it can be interrupted anywhere and goes on where it was."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from keras.layers import Dropout
from scipy.special import log_softmax

from lwcnn.data.augment import Augmentation
from lwcnn.data.batches import Batches
from lwcnn.system import environment
from lwcnn.system.errors import Diverged, LwcnnError
from lwcnn.training import checkpoint as states
from lwcnn.training.average import MovingAverage, norm_moments
from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.early_stopping import keep_best
from lwcnn.training.frozen import FeatureBatches, compute_features, split_frozen_prefix
from lwcnn.training.losses import build_loss
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress
from lwcnn.training.steps import compile_seconds, predictor, synchronize_norms, train_epoch

VALIDATION_BATCH = 500


@dataclass(frozen=True)
class Images:
    """Images with their labels, of which a phase may see only a part.

    Attributes:
        images: (n, height, width, channels) uint8, or features (n, ...) float32.
        labels: (n,) integers.
        indices: the part that is meant, positions in both; None means all.
    """

    images: np.ndarray
    labels: np.ndarray
    indices: np.ndarray | None = None

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and labels of the part that is meant."""
        if self.indices is None:
            return self.images, self.labels
        return self.images[self.indices], self.labels[self.indices]


def train_phase(
    model: keras.Model,
    phase: Phase,
    training: Images,
    validation: Images,
    seed: int,
    branches: Sequence[Augmentation | None] | None = None,
    checkpoint: Path | None = None,
    key: str = "",
    progress: Progress | None = None,
    wrap: Callable[[keras.Model], keras.Model] | None = None,
) -> PhaseState:
    """Trains the model through a phase and gives how that went; the model keeps the phase's final weights.

    What the phase does not train stays bit-identical. If the checkpoint holds an earlier start of the same
    phase, training goes on from its last whole epoch to the same weights as if it had never stopped.

    Args:
        model: a model with one input and output a branch, giving logits.
        phase: what to do.
        training: images to train on.
        validation: images that decide which epoch is best and when to stop.
        seed: of the order of the images and of their augmentation.
        branches: one augmentation (or None) an input of the model; by default the phase's own, for one input.
        checkpoint: file that holds the state after every epoch; None keeps none.
        key: names the configuration; a checkpoint of another one is refused.
        progress: what is shown meanwhile; None shows nothing.
        wrap: gives what is compiled and trained in the model's place and trains its weights, such as a Distiller.

    Returns:
        The final state: history, seconds, best accuracies. Its weights are those now in the model.

    Raises:
        LwcnnError: if the phase names layers that the model lacks or the checkpoint is of another run.
        Diverged: if the loss is NaN or infinite in the first epoch; the model keeps the weights that it had. In a
            later epoch the phase ends instead, with the best epoch's weights, and the state names the epoch.
    """
    branches = (phase.augmentation,) if branches is None else tuple(branches)
    if len(branches) != len(model.outputs):
        raise LwcnnError(f"{model.name} has {len(model.outputs)} inputs. Received: {len(branches)} branches")
    progress = progress or Progress("none")
    names = trainable_layer_names(model, phase)
    for layer in model.layers:
        layer.trainable = layer.name in names
    state = _restore(model, checkpoint, key, progress)
    if state.finished:
        return state

    start = _clock()
    synchronize_norms(model)
    trained = model
    if not wrap:  # a teacher reads images
        trained, training, validation = _without_frozen_prefix(model, names, phase, branches, training, validation)
    average = _moving_average(trained, phase, state)
    batches = _batches(training, phase, seed, branches, trained)
    if wrap:
        trained = wrap(trained)
    optimizer = phase.optimizer.build(num_steps=len(batches) * phase.epochs)
    loss = build_loss(phase, training.arrays()[1], model.outputs[0].shape[-1])
    _compile(trained, optimizer, loss, len(model.outputs))
    optimizer = trained.optimizer  # in mixed_float16 Keras puts the loss's scale around it
    optimizer.build(trained.trainable_variables)
    if state.epoch:
        states.assign(optimizer.variables, state.optimizer)
    state.join_computing(progress.note)
    weights, validation_arrays = states.values(model.weights), validation.arrays()

    while not state.finished:
        batches.set_epoch(state.epoch)
        _schedule_dropout(model, trained, phase, state.epoch)
        progress.begin_epoch(phase.name, state.epoch + 1, phase.epochs, len(batches))
        logs = train_epoch(trained, batches, progress, average)
        raw_weights = states.values(model.weights)
        if average:  # evaluated and kept: the average; trained on: the raw weights
            average.assign()
        accuracies, losses = _validate(trained, validation_arrays, len(model.outputs))
        if np.isfinite([logs["loss"], *losses]).all():
            scores = accuracies if phase.monitor == "val_accuracy" else [-loss for loss in losses]
            _end_epoch(state, phase, model, _record(model, phase, logs, accuracies, losses), scores)
        else:
            states.assign(model.weights, weights)
            _stop_diverged(state, phase, progress)
        if state.finished:
            _finish(state, phase, model)
        else:
            states.assign(model.weights, raw_weights)
            state.weights, state.optimizer = raw_weights, states.values(optimizer.variables)
            state.average = average.state() if average else []
        state.seeds = states.values(states.random_states(model))
        now = _clock()
        state.seconds, start = state.seconds + now - start, now
        if not state.diverged:
            state.history[-1]["seconds"] = round(state.seconds, 2)
            progress.end_epoch(state.history[-1], accuracies)
        if checkpoint:
            states.save_state(checkpoint, state, key)
    return state


def _clock() -> float:
    """Seconds for training times: the engine's compilation, once for each machine, does not count."""
    return time.perf_counter() - compile_seconds()


def _without_frozen_prefix(model, names, phase: Phase, branches, training: Images, validation: Images):
    """What trains alone with the features that it reads, where they are the same in every epoch; else all as given."""
    if branches != (None,) or phase.mixing or environment.num_replicas() > 1:
        return model, training, validation
    if (parts := split_frozen_prefix(model, names)) is None:
        return model, training, validation
    prefix, rest = parts
    return rest, *(
        Images(compute_features(prefix, images), labels) for images, labels in (training.arrays(), validation.arrays())
    )


def _restore(model: keras.Model, checkpoint: Path | None, key: str, progress: Progress) -> PhaseState:
    """The state in the checkpoint, with its weights in the model, or a new one."""
    state = checkpoint and states.load_state(checkpoint, key, model, progress.note)
    if not state:
        return PhaseState()
    states.assign(model.weights, state.weights)
    states.assign(states.random_states(model), state.seeds)  # of a finished phase too: the next one continues them
    return state


def _moving_average(model: keras.Model, phase: Phase, state: PhaseState) -> MovingAverage | None:
    if phase.optimizer.ema is None:
        return None
    moments = norm_moments(model) if phase.optimizer.ema_batch_norm else []
    return MovingAverage([*model.trainable_variables, *moments], phase.optimizer.ema, state.average)


def _batches(training: Images, phase: Phase, seed: int, branches, model: keras.Model):
    if training.images.dtype != np.uint8:
        return FeatureBatches(*training.arrays(), phase.batch_size, seed)
    mixing = {}
    if phase.mixing:
        mixing = {"mixing": phase.mixing, "num_classes": model.outputs[0].shape[-1], "num_epochs": phase.epochs}
    return Batches(
        training.images, training.labels, phase.batch_size, seed, branches, indices=training.indices, **mixing
    )


def _schedule_dropout(model: keras.Model, trained: keras.Model, phase: Phase, epoch: int) -> None:
    """Sets the rate of the model's dropout for this epoch, from 0 on."""
    if phase.dropout is None:
        return
    scheduled = [layer for layer in model.layers if hasattr(layer, "seed_generator") and type(layer) is Dropout]
    if not scheduled:
        raise LwcnnError(f"{model.name} has no Dropout for phase {phase.name!r}. Received: {phase.dropout}")
    first, last = phase.dropout
    for layer in scheduled:
        layer.rate = first + (last - first) * epoch / max(1, phase.epochs - 1)
    trained.train_function = None  # Keras has compiled the rate of the epoch before into it


def _compile(model: keras.Model, optimizer, loss: keras.losses.Loss, num_outputs: int) -> None:
    """Compiles anew: changes of `trainable` count from here on."""
    if num_outputs == 1:
        model.compile(optimizer, loss, metrics=["accuracy"])
    else:
        model.compile(optimizer, [loss] * num_outputs, metrics=[["accuracy"]] * num_outputs)


def _validate(model: keras.Model, arrays, count: int) -> tuple[list[float], list[float]]:
    """The accuracy and the cross-entropy of each of `count` outputs when every input gets the same images."""
    images, labels = arrays
    correct, losses = np.zeros(count), np.zeros(count)
    predict = predictor(model)
    for i in range(0, len(labels), VALIDATION_BATCH):
        batch, truth = images[i : i + VALIDATION_BATCH], labels[i : i + VALIDATION_BATCH]
        for k, output in enumerate(predict([batch] * count)):
            correct[k] += (np.argmax(output, -1) == truth).sum()
            losses[k] -= log_softmax(output.astype(np.float64), axis=-1)[np.arange(len(truth)), truth].sum()
    return [float(c) / len(labels) for c in correct], [float(loss) / len(labels) for loss in losses]


def _record(model: keras.Model, phase: Phase, logs: dict, accuracies: list[float], losses: list[float]) -> dict:
    """One epoch of the history: the means over the training images, and what validation gave."""
    record = logs | {"val_accuracy": float(np.mean(accuracies))}
    if len(accuracies) > 1:
        record |= {f"{name}_val_accuracy": value for name, value in zip(model.output_names, accuracies, strict=True)}
    if phase.monitor == "val_loss":
        record["val_loss"] = float(np.mean(losses))
    return record


def _end_epoch(state: PhaseState, phase: Phase, model: keras.Model, record: dict, scores: list[float]) -> None:
    """Counts an epoch with its record and its scores, one an output: accuracies, or losses with their sign changed."""
    state.epoch += 1
    state.history.append(record)
    keep_best(state, phase, model, scores)
    stopped = phase.patience is not None and state.wait >= phase.patience
    state.finished = stopped or state.epoch == phase.epochs


def _stop_diverged(state: PhaseState, phase: Phase, progress: Progress) -> None:
    """Ends a phase in an epoch whose loss is NaN or infinite.

    Raises:
        Diverged: if no epoch came before it.
    """
    state.diverged, state.finished = state.epoch + 1, True
    if not state.history:
        raise Diverged(
            f"The loss is NaN or infinite in epoch 1 of phase {phase.name!r}: lower the learning rate. "
            f"Received: learning_rate={phase.optimizer.learning_rate:g}"
        )
    progress.note(
        f"the loss is NaN or infinite in epoch {state.diverged} of phase {phase.name!r} at learning rate "
        f"{phase.optimizer.learning_rate:g}: the phase ends with the weights of epoch {state.best_epoch[-1]}"
    )


def _finish(state: PhaseState, phase: Phase, model: keras.Model) -> None:
    """Leaves the phase's final weights in the model and the state."""
    if phase.patience is not None or state.diverged:
        states.assign(model.weights, state.best_weights)
    state.weights = states.values(model.weights)
    state.best_weights, state.optimizer, state.average = [], [], []

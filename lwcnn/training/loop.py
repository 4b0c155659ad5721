"""Training one phase, epoch by epoch, so that it can be interrupted anywhere and goes on where it was."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from scipy.special import log_softmax

from lwcnn.data.augment import Augmentation
from lwcnn.data.batches import Batches
from lwcnn.models.blocks import ScheduledDropout
from lwcnn.models.dual import FEATURES_LAYER, HEAD_LAYERS
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.training import checkpoint as states
from lwcnn.training.average import MomentsAverage
from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.early_stopping import keep_best
from lwcnn.training.losses import SmoothedCrossEntropy
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress
from lwcnn.training.steps import predict_batch, synchronise_norms, train_epoch

VALIDATION_BATCH = 500


@dataclass(frozen=True)
class Images:
    """Images with their labels, of which a phase may see only a part.

    Attributes:
        images: (n, height, width, channels) uint8, or (n, features) float32.
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
    """
    branches = (phase.augmentation,) if branches is None else tuple(branches)
    if len(branches) != len(model.outputs):
        raise LwcnnError(f"{model.name} has {len(model.outputs)} inputs. Received: {len(branches)} branches")
    progress = progress or Progress("none")
    names = trainable_layer_names(model, phase)
    for layer in model.layers:
        layer.trainable = layer.name in names

    state = checkpoint and states.load_state(checkpoint, key)
    if state and state.finished:
        states.assign(model.weights, state.weights)
        states.assign(states.random_states(model), state.seeds)  # the next phase's dropout goes on from there
        return state
    if state:
        states.assign(model.weights, state.weights)
        states.assign(states.random_states(model), state.seeds)

    start = time.perf_counter()
    synchronise_norms(model)
    # The part that does not train gives the same for the same image in every epoch: compute it once.
    trained, training, validation = _without_frozen_part(model, names, branches, training, validation)
    batches = _batches(training, phase, seed, branches, trained)
    if wrap:
        trained = wrap(trained)
    optimizer = phase.optimizer.build(num_steps=len(batches) * phase.epochs)
    _compile(trained, optimizer, phase, len(model.outputs))
    optimizer = trained.optimizer  # in mixed_float16 Keras puts the loss's scale around it
    optimizer.build(trained.trainable_variables)
    if state:
        states.assign(optimizer.variables, state.optimizer)
    else:
        state = PhaseState()
    validation_arrays = validation.arrays()
    averaged = phase.optimizer.ema is not None and phase.optimizer.ema_moments
    moments = MomentsAverage(model, phase.optimizer.ema, state.moments) if averaged else None

    while not state.finished:
        batches.set_epoch(state.epoch)
        _schedule_dropout(model, phase, state.epoch)
        progress.begin_epoch(phase.name, state.epoch + 1, phase.epochs, len(batches))
        logs = train_epoch(trained, batches, progress, moments)
        raw_weights = states.values(model.weights)
        if phase.optimizer.ema is not None:  # evaluated and kept: the average; trained on: the raw weights
            optimizer.finalize_variable_values(trained.trainable_variables)
            # As copies: JAX gives a model's arrays away when it predicts, and these are the optimiser's averages.
            states.assign(trained.trainable_variables, states.values(trained.trainable_variables))
            if moments:
                moments.assign()
        accuracies, losses = _validate(trained, validation_arrays, len(model.outputs))
        record = _record(model, logs, accuracies)
        if phase.monitor == "val_loss":
            record["val_loss"] = float(np.mean(losses))
        state.epoch += 1
        state.history.append(record)
        keep_best(state, phase, model, accuracies if phase.monitor == "val_accuracy" else [-x for x in losses])
        stopped = phase.patience is not None and state.wait >= phase.patience
        state.finished = stopped or state.epoch == phase.epochs
        if state.finished:
            if phase.patience is not None:
                states.assign(model.weights, state.best_weights)
            state.weights = states.values(model.weights)
            state.best_weights, state.optimizer, state.moments = [], [], []
        else:
            states.assign(model.weights, raw_weights)
            state.weights = raw_weights
            state.optimizer = states.values(optimizer.variables)
            state.moments = moments.values if moments else []
        state.seeds = states.values(states.random_states(model))
        now = time.perf_counter()
        state.seconds, start = state.seconds + now - start, now
        record["seconds"] = round(state.seconds, 2)
        progress.end_epoch(record, accuracies)
        if checkpoint:
            states.save_state(checkpoint, state, key)
    return state


def _without_frozen_part(model, names, branches, training: Images, validation: Images):
    """The head alone with the features it is fed, where nothing else trains; else everything as it was."""
    if not set(names) <= set(HEAD_LAYERS) or branches != (None,) or environment.num_replicas() > 1:
        return model, training, validation
    trunk = keras.Model(model.inputs, model.get_layer(FEATURES_LAYER).output)
    features = keras.Input(trunk.output_shape[1:])
    logits = features
    for name in HEAD_LAYERS:
        logits = model.get_layer(name)(logits)
    head = keras.Model(features, logits, name=model.name)

    def compute(part: Images) -> Images:
        images, labels = part.arrays()
        features = trunk.predict(images, batch_size=VALIDATION_BATCH, verbose=0)
        return Images(features.astype(np.float32, copy=False), labels)

    return head, compute(training), compute(validation)


def _batches(training: Images, phase: Phase, seed: int, branches, model: keras.Model):
    if training.images.ndim == 2:
        return FeatureBatches(*training.arrays(), phase.batch_size, seed)
    mixing = {}
    if phase.mixing:
        mixing = {"mixing": phase.mixing, "num_classes": model.outputs[0].shape[-1], "num_epochs": phase.epochs}
    return Batches(
        training.images, training.labels, phase.batch_size, seed, branches, indices=training.indices, **mixing
    )


def _schedule_dropout(model: keras.Model, phase: Phase, epoch: int) -> None:
    """Sets the rate of the model's scheduled dropout for this epoch, from 0 on."""
    if phase.dropout is None:
        return
    scheduled = [layer for layer in model.layers if isinstance(layer, ScheduledDropout)]
    if not scheduled:
        raise LwcnnError(f"{model.name} has no ScheduledDropout for phase {phase.name!r}. Received: {phase.dropout}")
    first, last = phase.dropout
    for layer in scheduled:
        layer.set_rate(first + (last - first) * epoch / max(1, phase.epochs - 1))


class FeatureBatches:
    """Shuffled batches of features (n, d) that a frozen part of the model gave: what `Batches` is for images."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, batch_size: int, seed: int):
        self.features, self.labels, self.batch_size, self.seed = features, labels, batch_size, seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Gives the batches of this epoch from now on."""
        self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.features[chosen], self.labels[chosen].astype(np.int32)


def _compile(model: keras.Model, optimizer, phase: Phase, num_outputs: int) -> None:
    """Compiles anew: changes of `trainable` count from here on."""
    if phase.mixing:  # soft labels
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=phase.label_smoothing)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        if phase.label_smoothing:
            loss = SmoothedCrossEntropy(phase.label_smoothing)
    if num_outputs == 1:
        model.compile(optimizer, loss, metrics=["accuracy"])
    else:
        model.compile(optimizer, [loss] * num_outputs, metrics=[["accuracy"]] * num_outputs)


def _validate(model: keras.Model, arrays, count: int) -> tuple[list[float], list[float]]:
    """The accuracy and the cross-entropy of each of `count` outputs when every input gets the same images."""
    images, labels = arrays
    correct, losses = np.zeros(count), np.zeros(count)
    for i in range(0, len(labels), VALIDATION_BATCH):
        batch, truth = images[i : i + VALIDATION_BATCH], labels[i : i + VALIDATION_BATCH]
        logits = predict_batch(model, batch if count == 1 else [batch] * count, len(truth))
        for k, output in enumerate([logits] if count == 1 else logits):
            correct[k] += (np.argmax(output, -1) == truth).sum()
            losses[k] -= log_softmax(output.astype(np.float64), axis=-1)[np.arange(len(truth)), truth].sum()
    return [float(c) / len(labels) for c in correct], [float(loss) / len(labels) for loss in losses]


def _record(model: keras.Model, logs: dict, accuracies: list[float]) -> dict:
    """One epoch of the history: what fit measured, and the validation accuracies."""
    record = dict(logs)
    record["val_accuracy"] = float(np.mean(accuracies))
    if len(accuracies) > 1:
        for layer, accuracy in zip(model.output_names, accuracies):
            record[f"{layer}_val_accuracy"] = accuracy
    return record

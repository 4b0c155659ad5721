"""Trains a phase epoch by epoch; an interrupted phase resumes from its last completed epoch."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras.layers import Dropout

from lwcnn.data.augment import Augmentation
from lwcnn.data.batches import Batches
from lwcnn.data.image_files import resize_images
from lwcnn.data.images import Images, Split
from lwcnn.engine.compilation import compile_seconds
from lwcnn.models.graph import flat_layers
from lwcnn.system.errors import Diverged, wrong
from lwcnn.system.settings import plain_settings
from lwcnn.training.average import MovingAverage, batch_norm_statistics
from lwcnn.training.checkpoint import Checkpoint, PhaseState, get_values, random_states, set_values
from lwcnn.training.checks import check_fit, check_types
from lwcnn.training.distillation import TaughtBatches, Teaching
from lwcnn.training.frozen import FeatureBatches, without_frozen_prefix
from lwcnn.training.losses import LabelAccuracy, build_loss
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress
from lwcnn.training.steps import step_of, train_epoch
from lwcnn.training.validation import epoch_record, keep_best, validate

Branches = Sequence[Augmentation | None]


def train_phase(
    model: keras.Model,
    phase: Phase,
    split: Split,
    seed: int,
    *,
    branches: Branches | None = None,
    checkpoint: Checkpoint | None = None,
    progress: Progress | None = None,
    teaching: Teaching | None = None,
) -> PhaseState:
    """Trains a model for one phase. The model then has the phase's final weights.

    Weights that the phase does not train stay bit-identical; their layers have `trainable=False` afterwards. If the
    checkpoint holds an interrupted run of the phase, training resumes after its last completed epoch and ends with the
    same weights as without the interruption.

    Args:
        model: Model that returns logits, with one input and one output per branch.
        phase: Phase to train.
        split: Training images, and validation images for choosing the best epoch and for early stopping.
        seed: Integer from 0 to 2**32 - 1. Seed for shuffling and augmentation.
        branches: Augmentation (or None) of each input. By default that of the phase, for one input.
        checkpoint: File for the state after every epoch. None saves no state.
        progress: Progress display. None shows nothing.
        teaching: Teacher for distillation (`lwcnn.training.distillation.Teaching`), which needs uint8 images of the
            model's size. None trains on the labels only.

    Returns:
        The final state: history, training time and best scores.

    Raises:
        LwcnnError: The phase names layers that the model lacks, a label is not one of its classes, the images or the
            loss do not fit the model, the teacher does not fit them, a part of the split is empty, or the checkpoint
            belongs to another configuration.
        Diverged: The loss is NaN or infinite in the first epoch; the model keeps its initial weights. In a later epoch
            the phase ends with the best epoch's weights instead, and the state's `diverged` is that epoch.

    Examples:
        >>> head = Phase("head", OptimizerConfig("nadam"), epochs=1, trainable=("head_*",))
        >>> train_phase(model, head, Split(training, validation), seed=0).finished
        True
    """
    check_types(phase, split, seed, branches, checkpoint)
    branches = (phase.augmentation,) if branches is None else tuple(branches)
    check_fit(model, split, branches)
    if teaching:
        teaching.check(model, phase, split)
    progress, given = progress or Progress(), model
    settings = _hash_settings(phase, split, seed, branches, teaching)  # before the split's indices are resolved
    if phase.image_side:
        model, split = _resized(model, split, phase.image_side)
    trainable = trainable_layer_names(model, phase)
    for one in {given, model}:
        one.trainable = True  # a frozen model's own flag would hide those of its layers
        for layer in one.layers:
            layer.trainable = layer.name in trainable
    state = _PhaseTrainer(model, phase, split, seed, branches, teaching, progress).run(checkpoint, settings)
    if given is not model:
        given.set_weights(model.get_weights())
    progress.end_phase(phase.epochs)
    return state


def _resized(model: keras.Model, split: Split, side: int) -> tuple[keras.Model, Split]:
    """Returns the model for square images, with the same weights, and the split's images resized to its input."""
    if len(model.inputs) != 1 or len(model.inputs[0].shape) != 4:
        raise wrong("Leave out image_side, which is for models with one input of images", f"image_side={side}")
    images = keras.Input((side, side, model.input_shape[-1]), name=model.inputs[0].name)
    try:
        smaller = keras.models.clone_model(model, input_tensors=images)
        smaller.set_weights(model.get_weights())
    except ValueError as error:
        advice = f"Leave out image_side, or choose another: {model.name} does not take images of this size"
        raise wrong(advice, f"image_side={side}") from error
    for part in split:
        part.require_uint8()
    arrays = (part.arrays() for part in split)
    return smaller, Split(*(Images(resize_images(x, (side, side)), y) for x, y in arrays))


def _hash_settings(phase: Phase, split: Split, seed: int, branches: Branches, teaching: Teaching | None) -> str:
    """Returns a hash of what sets the result of a phase, except for the pixels, labels and the model."""
    indices = [part.indices for part in split]
    parts = [one if one is None else hashlib.sha256(one.tobytes()).hexdigest() for one in indices]
    configs = [phase, branches, *([teaching.settings] if teaching else [])]
    text = json.dumps([*map(plain_settings, configs), int(seed), *map(len, split), *parts])
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class _PhaseTrainer:
    """Trains the remaining epochs of a phase. `network` is the model or its last part."""

    model: keras.Model
    phase: Phase
    split: Split
    seed: int
    branches: tuple[Augmentation | None, ...]
    teaching: Teaching | None
    progress: Progress

    def run(self, checkpoint: Checkpoint | None, settings: str) -> PhaseState:
        """Trains every epoch that the checkpoint does not have, and saves each in it."""
        phase, state = self.phase, self._restore(checkpoint, settings)
        if state.finished:
            return state
        if state.epoch:
            self.progress.note(f"{phase.name}: resumed after epoch {state.epoch} of {phase.epochs}")
        self._begin(state)
        rates = {layer: layer.rate for layer in flat_layers(self.model) if type(layer) is Dropout}
        try:
            while not state.finished:
                self._run_epoch()
                if checkpoint:
                    checkpoint.save(state)
        finally:
            for layer, rate in rates.items():  # a later phase must not depend on whether this one was loaded
                layer.rate = rate
        return state

    def _restore(self, checkpoint: Checkpoint | None, settings: str) -> PhaseState:
        """Returns the checkpoint's state and sets the model's weights to it; without one, returns a new state."""
        if checkpoint is None or (state := checkpoint.load(self.model, settings)) is None:
            return PhaseState(settings=settings)
        set_values(self.model.weights, state.weights)
        set_values(random_states(self.model), state.seeds)  # of a finished phase, too: the next one continues from them
        return state

    def _begin(self, state: PhaseState) -> None:
        """Makes the batches, and compiles the network."""
        model, phase, split, teaching = self.model, self.phase, self.split, self.teaching
        self.state, self._start, self._initial_weights = state, _clock(), get_values(model.weights)
        self.network = model
        if not teaching:  # a teacher needs the images, not features
            self.network, split = without_frozen_prefix(model, phase, self.branches, split)
        self.validation = Images(*split.validation.arrays())
        self.average = None
        if (momentum := phase.optimizer.ema) is not None:
            statistics = batch_norm_statistics(self.network) if phase.optimizer.ema_batch_norm else []
            self.average = MovingAverage([*self.network.trainable_variables, *statistics], momentum, state.average)
        num_classes = model.outputs[0].shape[-1]
        self.batches = self._make_batches(split.training, num_classes)
        distillation = teaching.settings if teaching else None
        loss = build_loss(phase, split.training.chosen_labels, num_classes, distillation)
        metric = LabelAccuracy("accuracy") if teaching else "accuracy"
        optimizer, count = phase.optimizer.build(num_steps=len(self.batches) * phase.epochs), len(model.outputs)
        losses, metrics = (loss, [metric]) if count == 1 else ([loss] * count, [[metric]] * count)
        self.network.compile(optimizer, losses, metrics=metrics)  # this also applies changes of `trainable`
        self.optimizer = self.network.optimizer  # in mixed_float16 Keras wraps it in a LossScaleOptimizer
        self.optimizer.build(self.network.trainable_variables)
        if state.epoch:
            set_values(self.optimizer.variables, state.optimizer)
        state.record_computing(step_of(self.network))

    def _make_batches(self, training: Images, num_classes: int) -> Batches | FeatureBatches | TaughtBatches:
        phase, seed, branches = self.phase, self.seed, self.branches
        if training.images.dtype == np.uint8:
            batches = Batches(training, phase.batch_size, seed, branches, phase.mixing, num_classes, phase.epochs)
            return TaughtBatches(batches, self.teaching, num_classes) if self.teaching else batches
        if branches != (None,) or phase.mixing:
            advice = "Give images of type uint8 to augment them, and to a model with several inputs"
            raise wrong(advice, f"images of type {training.images.dtype}")
        return FeatureBatches(*training.arrays(), phase.batch_size, seed)

    def _run_epoch(self) -> None:
        """Trains one epoch, validates, and updates the state and the best weights."""
        state, phase = self.state, self.phase
        self.progress.begin_epoch(phase.name, state.epoch + 1, phase.epochs, len(self.batches))
        self.batches.set_epoch(state.epoch)
        _schedule_dropout(self.model, self.network, phase, state.epoch)
        logs = train_epoch(self.network, self.batches, self.progress, self.average)
        raw_weights = get_values(self.model.weights)
        if self.average:  # the average is evaluated and kept; training continues from the raw weights
            self.average.assign()
        accuracies, losses = validate(self.network, self.validation)
        if np.isfinite([logs["loss"], *losses]).all():
            self._record_epoch(logs, accuracies, losses)
        else:
            self._stop_diverged()
        self._update_state(raw_weights)
        if not state.diverged:
            state.history[-1]["seconds"] = round(state.seconds, 2)
            self.progress.end_epoch(state.history[-1], accuracies)

    def _record_epoch(self, logs: dict[str, float], accuracies: list[float], losses: list[float]) -> None:
        state, phase = self.state, self.phase
        state.epoch += 1
        state.history.append(epoch_record(self.model, logs, accuracies, losses))
        scores = accuracies if phase.monitor == "val_accuracy" else [-loss for loss in losses]
        keep_best(state, phase, self.model, scores)
        stopped = phase.patience is not None and state.wait >= phase.patience
        state.finished = stopped or state.epoch == phase.epochs

    def _stop_diverged(self) -> None:
        """Ends the phase in an epoch whose loss is NaN or infinite; raises `Diverged` if it is the first."""
        state, phase, rate = self.state, self.phase, self.phase.optimizer.learning_rate
        set_values(self.model.weights, self._initial_weights)
        state.diverged, state.finished = state.epoch + 1, True
        if not state.history:
            raise Diverged(
                f"The loss is NaN or infinite in epoch 1 of phase {phase.name!r}: lower the learning rate. "
                f"Received: learning_rate={rate:g}"
            )
        self.progress.note(
            f"the loss is NaN or infinite in epoch {state.diverged} of phase {phase.name!r} at learning rate "
            f"{rate:g}: the phase ends with the weights of epoch {state.best_epoch[-1]}"
        )

    def _update_state(self, raw_weights: list[np.ndarray]) -> None:
        """Stores weights, optimizer, random states and time; at the end the final weights are those of the model."""
        state, phase = self.state, self.phase
        if state.finished:
            if phase.patience is not None or state.diverged:
                set_values(self.model.weights, state.best_weights)
            state.weights = get_values(self.model.weights)
            state.best_weights, state.optimizer, state.average = [], [], []
        else:
            set_values(self.model.weights, raw_weights)
            state.weights, state.optimizer = raw_weights, get_values(self.optimizer.variables)
            state.average = self.average.state() if self.average else []
        state.seeds = get_values(random_states(self.model))
        now = _clock()
        state.seconds, self._start = state.seconds + now - self._start, now


def _clock() -> float:
    """Returns seconds, not counting compilation of the engine, which happens once per machine."""
    return time.perf_counter() - compile_seconds()


def _schedule_dropout(model: keras.Model, network: keras.Model, phase: Phase, epoch: int) -> None:
    """Sets the rates of the model's `Dropout` layers for an epoch, counted from 0."""
    if phase.dropout is None:
        return
    dropouts = [layer for layer in flat_layers(model) if type(layer) is Dropout and not layer.noise_shape]
    if not dropouts or not all(hasattr(layer, "seed_generator") for layer in dropouts):
        advice = (
            f"Leave out dropout in phase {phase.name!r}, or give a model with Dropout layers of a rate above 0 "
            "(Keras gives a layer of rate 0 no random generator, nor its copies for image_side and fine-tuning)"
        )
        raise wrong(advice, f"{phase.dropout} for {model.name}")
    first, last = phase.dropout
    for layer in dropouts:
        layer.rate = first + (last - first) * epoch / max(1, phase.epochs - 1)
    network.train_function = None  # Keras compiled the previous rate into it

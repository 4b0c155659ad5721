"""Training an experiment: submodels, merge and progressive unfreezing, or a network in one go."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import channel_statistics
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
)
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_submodel, merge_repo_submodels
from lwcnn.models.build import build_network, takes_normalization
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.merge import merge_submodels
from lwcnn.system.errors import LwcnnError
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import build_distiller, weights_digest
from lwcnn.training.loop import Images, train_phase
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress

MAX_SEED = 2**32  # Keras and NumPy take seeds below it


@dataclass(frozen=True)
class TrainedMethod:
    """What training gave.

    Attributes:
        model: of plain Keras layers, not compiled.
        phases: a record for each phase: name, trains, epochs, best_epoch, val_accuracy, seconds, history; after a NaN
            or infinite loss also the epoch in which it diverged and the learning rate.
        train_seconds: time of all phases, validation included.
    """

    model: keras.Model
    phases: list[dict]
    train_seconds: float


def train_method(
    experiment: Experiment,
    training: Images,
    validation: Images,
    num_classes: int,
    seed: int,
    cache: Path | None = None,
    data_key: str = "",
    progress: Progress | None = None,
    teacher: keras.Model | None = None,
    computing: Computing = Computing(),
) -> TrainedMethod:
    """The model that an experiment trains, with its history.

    With a cache every phase is kept in a file named by all that determines it, so an interrupted run goes on
    where it was, and experiments that begin alike (the ablations all share `paper`'s first stage) train the
    common part once.

    Args:
        experiment: what to do.
        training: images to train on.
        validation: images that choose epochs.
        num_classes: number of classes.
        seed: of weights, order, augmentation and dropout.
        cache: folder for the phases' states; None keeps nothing.
        data_key: names the images, for the cache.
        progress: what is shown meanwhile.
        teacher: of a distilled experiment.
        computing: precision and devices of the training; the model that is given is of float32, on one device.

    Returns:
        The trained model with its history.

    Raises:
        LwcnnError: as `train_phase`, or several devices for a distilled experiment.
    """
    if computing.devices > 1 and isinstance(experiment, DistilledExperiment):
        raise LwcnnError(f"Distillation trains on one device. Received: {computing.devices} devices")
    steps = _make_steps(training, validation, num_classes, seed, cache, data_key, progress, teacher, computing)
    with computing.scope():
        trained, build = _TRAIN[type(experiment)](experiment, training.images.shape[1:], num_classes, steps)
    model = build()
    model.set_weights(trained.get_weights())
    return TrainedMethod(model, steps.records, round(sum(r["seconds"] for r in steps.records), 2))


def train_submodels(
    experiment: MergedExperiment,
    training: Images,
    validation: Images,
    num_classes: int,
    seed: int,
    cache: Path | None = None,
    data_key: str = "",
    progress: Progress | None = None,
) -> tuple[list[keras.Model], dict]:
    """The submodels as they are after stage 1, before they are merged, and the stage's record.

    The stage is that of `train_method` with the same arguments: with a cache each finds what the other has trained.

    Args:
        experiment: one that begins with a dual stage.
        training, validation, num_classes, seed, cache, data_key, progress: as of `train_method`.

    Raises:
        LwcnnError: an experiment without a dual stage.
    """
    if not isinstance(experiment, MergedExperiment) or experiment.dual is None:
        raise LwcnnError(f"Only an experiment with a dual stage has submodels. Received: {experiment.name!r}")
    steps = _make_steps(training, validation, num_classes, seed, cache, data_key, progress)
    image_shape = training.images.shape[1:]
    trained = _train_dual(experiment, image_shape, num_classes, steps)
    plain = [build_submodel(image_shape, num_classes, submodel.name) for submodel in trained]
    for submodel, source in zip(plain, trained):
        submodel.set_weights(source.get_weights())
    return plain, steps.records[0]


def _make_steps(
    training, validation, num_classes, seed, cache, data_key, progress, teacher=None, computing=Computing()
) -> "_Steps":
    """The state before the first phase; everything random is seeded."""
    if not 0 <= seed < MAX_SEED:
        raise LwcnnError(f"Give a seed from 0 to {MAX_SEED - 1:,}. Received: {seed}")
    parts = [_digest(part.indices) for part in (training, validation)]
    image_shape = training.images.shape[1:]
    chain = [data_key, parts, keras.backend.backend(), keras.version(), seed, image_shape, num_classes]
    if plain_settings(computing):
        chain.append(plain_settings(computing))
    keras.utils.set_random_seed(seed)
    return _Steps(training, validation, seed, cache, progress or Progress("none"), chain, teacher)


MIN_STEPS, MIN_BATCH = 50, 8
"""Few images are trained on in batches smaller than the phase's, down to MIN_BATCH, for MIN_STEPS steps in an epoch."""


@dataclass
class _Steps:
    """Trains one phase after the other; `chain` holds all that determines the state so far, and names it."""

    training: Images
    validation: Images
    seed: int
    cache: Path | None
    progress: Progress
    chain: list
    teacher: keras.Model | None = None
    records: list[dict] = field(default_factory=list)

    def run(self, model: keras.Model, phase: Phase, branches=None, wrap=None) -> None:
        num_images = len(self.training.labels if self.training.indices is None else self.training.indices)
        phase = replace(phase, batch_size=min(phase.batch_size, max(MIN_BATCH, num_images // MIN_STEPS)))
        self.chain.append([plain_settings(phase), plain_settings(branches)])
        key = hashlib.sha256(json.dumps(self.chain).encode()).hexdigest()[:16]
        path = self.cache and Path(self.cache) / f"seed{self.seed}-{phase.name}-{key}.npz"
        seed = self.phase_seed(len(self.records))
        with locked(path, self.progress.note) if path else contextlib.nullcontext():
            state = train_phase(
                model, phase, self.training, self.validation, seed, branches, path, key, self.progress, wrap
            )
        self.records.append(_phase_record(model, phase, state))

    def phase_seed(self, index: int) -> int:
        """A seed for a phase, unrelated to those of other phases and runs."""
        return int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0])


def _train_dual(experiment: MergedExperiment, image_shape, num_classes: int, steps: _Steps) -> list[keras.Model]:
    """The submodels, trained side by side."""
    names = [name for name, _ in experiment.branches]
    submodels = [build_submodel(image_shape, num_classes, name) for name in names]
    steps.chain.append(names)
    steps.run(build_dual_model(submodels), experiment.dual, [a for _, a in experiment.branches])
    return submodels


_Trained = tuple[keras.Model, Callable[[], keras.Model]]
"""The model that was trained, and what builds the plain one to keep."""


def _train_merged(experiment: MergedExperiment, image_shape, num_classes: int, steps: _Steps) -> _Trained:
    names = [name for name, _ in experiment.branches]
    if experiment.dual:
        submodels = _train_dual(experiment, image_shape, num_classes, steps)
        keras.utils.set_random_seed(steps.phase_seed(1))  # the head, whether stage 1 was trained or found
        merged = merge_submodels(submodels, experiment.dropout, reuse_dense_weights=experiment.reuse_dense_weights)
    else:
        merged = build_merged_model(image_shape, num_classes, names, experiment.dropout)
    steps.chain.append([names, experiment.dropout, experiment.reuse_dense_weights, experiment.dual is None])
    for phase in experiment.phases:
        steps.run(merged, phase)
    return merged, partial(build_merged_model, image_shape, num_classes, names, experiment.dropout)


def _train_network(experiment: NetworkExperiment, image_shape, num_classes: int, steps: _Steps) -> _Trained:
    steps.chain.append(plain_settings(experiment.network))
    normalization = None
    if takes_normalization(experiment.network):
        normalization = channel_statistics(steps.training.images, steps.training.indices)
    network = build_network(image_shape, num_classes, experiment.network, normalization)
    wrap = None
    if isinstance(experiment, DistilledExperiment):
        steps.chain.append([weights_digest(steps.teacher), plain_settings(experiment.distillation)])
        wrap = partial(build_distiller, steps.teacher, **asdict(experiment.distillation))
    for phase in experiment.phases:
        steps.run(network, phase, wrap=wrap)
    return network, partial(build_network, image_shape, num_classes, experiment.network, normalization)


def _train_reproduction(experiment: ReproductionExperiment, image_shape, num_classes: int, steps: _Steps) -> _Trained:
    names = [name for name, _ in experiment.branches]
    steps.chain.append(["reproduction", names])
    submodels = [build_repo_submodel(image_shape, num_classes, name) for name in names]
    for submodel, (_, phase) in zip(submodels, experiment.branches):
        steps.run(submodel, phase)
    keras.utils.set_random_seed(steps.phase_seed(len(names)))  # the head, whether stage 1 was trained or found
    merged = merge_repo_submodels(submodels)
    for phase in experiment.phases:
        steps.run(merged, phase)
    return merged, partial(build_repo_merged, image_shape, num_classes, names)


_TRAIN = {
    MergedExperiment: _train_merged,
    NetworkExperiment: _train_network,
    DistilledExperiment: _train_network,
    ReproductionExperiment: _train_reproduction,
}


def _digest(indices) -> str | None:
    return None if indices is None else hashlib.sha256(np.asarray(indices, "<i8").tobytes()).hexdigest()[:16]


def _phase_record(model: keras.Model, phase: Phase, state: PhaseState) -> dict:
    best = state.history[state.best_epoch[-1] - 1] if phase.monitor == "val_loss" else None
    return {
        "name": phase.name,
        "trainable": list(trainable_layer_names(model, phase)),
        "epochs": state.epoch,
        "best_epoch": state.best_epoch[-1],
        "best_val_accuracy": state.best[-1] if best is None else best["val_accuracy"],
        "seconds": round(state.seconds, 2),
        **({"diverged": state.diverged, "learning_rate": phase.optimizer.learning_rate} if state.diverged else {}),
        "history": state.history,
        "computing": state.computing,
    }

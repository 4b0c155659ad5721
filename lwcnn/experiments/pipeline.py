"""Trains an experiment: the paper's submodels, merge and progressive unfreezing; or a single network."""

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.data import channel_statistics
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    FineTunedExperiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
)
from lwcnn.experiments.zoo import model_file
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_submodel, merge_repo_submodels
from lwcnn.models.build import build_network, takes_normalization
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.io import load_model
from lwcnn.models.merge import merge_submodels
from lwcnn.models.transfer import replace_head
from lwcnn.system.errors import LwcnnError
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import Checkpoint, PhaseState
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import build_distiller, weights_digest
from lwcnn.training.images import Split
from lwcnn.training.loop import Branches, Wrap, train_phase
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress

MAX_SEED = 2**32  # Keras and NumPy accept seeds below it
MIN_STEPS, MIN_BATCH = 50, 8
"""Small training sets use smaller batches, but at least MIN_BATCH images, so that an epoch has MIN_STEPS steps."""


@dataclass(frozen=True)
class TrainedMethod:
    """Result of training an experiment.

    Attributes:
        model: Model of plain Keras layers, not compiled.
        phases: Record of each phase: name, trainable layers, epochs, best epoch and its validation accuracy, seconds,
            history; if the loss became NaN or infinite, also that epoch and the learning rate.
        train_seconds: Time of all phases, validation included.
    """

    model: keras.Model
    phases: list[dict]
    train_seconds: float


@dataclass(frozen=True)
class PhaseCache:
    """Where the phases of a training are saved.

    Attributes:
        folder: Folder of the checkpoints.
        data_key: Name of the images, such as the checksum of their data set. It is part of the checkpoints' names.
    """

    folder: Path
    data_key: str = ""


def train_method(
    experiment: Experiment,
    split: Split,
    num_classes: int,
    seed: int,
    *,
    cache: PhaseCache | None = None,
    progress: Progress | None = None,
    teacher: keras.Model | None = None,
    computing: Computing = Computing(),
) -> TrainedMethod:
    """Trains the model of an experiment.

    With a cache, each phase is saved in a file whose name depends on everything that determines its weights. An
    interrupted training resumes from it, and experiments with the same first phases (all ablations share the first
    stage of `paper`) train these once.

    Args:
        experiment: Experiment to train.
        split: Images to train on, and images that choose the best epoch.
        num_classes: Number of classes.
        seed: Seed for initialization, shuffling, augmentation and dropout.
        cache: Where phases are saved. None saves nothing.
        progress: Progress display. None shows nothing.
        teacher: Teacher of a distilled experiment.
        computing: Precision and devices of the training. The returned model has float32 weights on one device.

    Returns:
        The trained model and the history of its phases.

    Raises:
        LwcnnError: As in `train_phase`; or the seed is out of range, or a distilled experiment has several devices.

    Example:

    >>> paper = get_experiment("paper", "smoke")
    >>> trained = train_method(paper, Split(training, validation), num_classes=10, seed=0)  # doctest: +SKIP
    """
    if computing.devices > 1 and isinstance(experiment, DistilledExperiment):
        raise LwcnnError(f"Distillation trains on one device. Received: {computing.devices} devices")
    run = _Run(split, num_classes, seed, cache, progress or Progress("none"), teacher, computing)
    run.progress.expect(experiment.num_epochs)
    with computing.scope():
        trained, build = _TRAIN[type(experiment)](experiment, run)
    model = build()
    model.set_weights(trained.get_weights())
    return TrainedMethod(model, run.records, round(sum(record["seconds"] for record in run.records), 2))


def train_submodels(
    experiment: MergedExperiment, split: Split, num_classes: int, seed: int, **options: Any
) -> tuple[list[keras.Model], dict]:
    """Trains the first stage of `train_method` with the same arguments: the submodels before they are merged.

    Returns:
        The submodels and the record of the stage.

    Raises:
        LwcnnError: The experiment has no dual stage.
    """
    if not isinstance(experiment, MergedExperiment) or experiment.dual is None:
        raise LwcnnError(f"Only an experiment with a dual stage has submodels. Received: {experiment.name!r}")
    run = _Run(split, num_classes, seed, **options)
    run.progress.expect(experiment.dual.epochs)
    trained = _train_dual(experiment, experiment.dual, run)
    plain = [build_submodel(run.image_shape, num_classes, submodel.name) for submodel in trained]
    for submodel, source in zip(plain, trained, strict=True):
        submodel.set_weights(source.get_weights())
    return plain, run.records[0]


@dataclass
class _Run:
    """Trains phases in order, after seeding everything random.

    `chain` lists everything that has determined the weights so far; its hash names each phase's checkpoint.
    """

    split: Split
    num_classes: int
    seed: int
    cache: PhaseCache | None = None
    progress: Progress = field(default_factory=lambda: Progress("none"))
    teacher: keras.Model | None = None
    computing: Computing = Computing()
    records: list[dict] = field(default_factory=list)

    def __post_init__(self):
        if not 0 <= self.seed < MAX_SEED:
            raise LwcnnError(f"Give a seed from 0 to {MAX_SEED - 1:,}. Received: {self.seed}")
        subsets = [_digest(part.indices) for part in self.split]
        data_key = self.cache.data_key if self.cache else ""
        versions = keras.backend.backend(), keras.version()
        self.chain: list = [data_key, subsets, *versions, self.seed, self.image_shape, self.num_classes]
        if plain_settings(self.computing):
            self.chain.append(plain_settings(self.computing))
        keras.utils.set_random_seed(self.seed)

    @property
    def image_shape(self) -> tuple[int, ...]:
        return self.split.training.images.shape[1:]

    def train(
        self, model: keras.Model, phase: Phase, branches: Branches | None = None, wrap: Wrap | None = None
    ) -> None:
        """Trains a model through the next phase, or loads the phase from its checkpoint."""
        phase = replace(phase, batch_size=min(phase.batch_size, max(MIN_BATCH, len(self.split.training) // MIN_STEPS)))
        self.chain.append([plain_settings(phase), plain_settings(branches)])
        key = hashlib.sha256(json.dumps(self.chain).encode()).hexdigest()[:16]
        path = Path(self.cache.folder) / f"seed{self.seed}-{phase.name}-{key}.npz" if self.cache else None
        with locked(path, self.progress.note) if path else contextlib.nullcontext():
            state = train_phase(
                model,
                phase,
                self.split,
                self.phase_seed(len(self.records)),
                branches=branches,
                checkpoint=Checkpoint(path, key) if path else None,
                progress=self.progress,
                wrap=wrap,
            )
        self.records.append(_phase_record(model, phase, state))

    def phase_seed(self, index: int) -> int:
        """Returns a seed for a phase that is independent of those of other phases and runs."""
        return int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0])


_Trained = tuple[keras.Model, Callable[[], keras.Model]]
"""The trained model, and a function that builds the same network of plain layers, in float32."""


def _train_dual(experiment: MergedExperiment, dual: Phase, run: _Run) -> list[keras.Model]:
    """Trains the submodels side by side, as one model with an input per branch."""
    names = [name for name, _ in experiment.branches]
    submodels = [build_submodel(run.image_shape, run.num_classes, name) for name in names]
    run.chain.append(names)
    run.train(build_dual_model(submodels), dual, [augmentation for _, augmentation in experiment.branches])
    return submodels


def _train_merged(experiment: MergedExperiment, run: _Run) -> _Trained:
    """Stage 1: submodels side by side. Merge. Stage 2: progressive unfreezing of the merged model."""
    names = [name for name, _ in experiment.branches]
    build = partial(build_merged_model, run.image_shape, run.num_classes, names, experiment.dropout)
    if experiment.dual:
        submodels = _train_dual(experiment, experiment.dual, run)
        keras.utils.set_random_seed(run.phase_seed(1))  # the same head whether stage 1 was trained or loaded
        merged = merge_submodels(submodels, experiment.dropout, reuse_dense_weights=experiment.reuse_dense_weights)
    else:
        merged = build()
    run.chain.append([names, experiment.dropout, experiment.reuse_dense_weights, experiment.dual is None])
    for phase in experiment.phases:
        run.train(merged, phase)
    return merged, build


def _train_network(experiment: NetworkExperiment, run: _Run) -> _Trained:
    """Trains one network from scratch, with a teacher if the experiment is distilled."""
    run.chain.append(plain_settings(experiment.network))
    normalization: tuple[Any, ...] | None = None
    if takes_normalization(experiment.network):
        normalization = channel_statistics(run.split.training.images, run.split.training.indices)
    build = partial(build_network, run.image_shape, run.num_classes, experiment.network, normalization)
    network, wrap = build(), None
    if isinstance(experiment, DistilledExperiment):
        if run.teacher is None:
            raise LwcnnError(f"A distilled experiment needs a teacher. Received: teacher=None for {experiment.name!r}")
        run.chain.append([weights_digest(run.teacher), plain_settings(experiment.distillation)])
        wrap = partial(build_distiller, run.teacher, **asdict(experiment.distillation))
    for phase in experiment.phases:
        run.train(network, phase, wrap=wrap)
    return network, build


def _train_fine_tuned(experiment: FineTunedExperiment, run: _Run) -> _Trained:
    """Trains a trained network with a new head, by progressive unfreezing."""
    run.chain.append([experiment.start, experiment.checksum])
    build = partial(replace_head, load_model(model_file(experiment.start)), run.num_classes, run.image_shape)
    network = build()
    for phase in experiment.phases:
        run.train(network, phase)
    return network, build


def _train_reproduction(experiment: ReproductionExperiment, run: _Run) -> _Trained:
    """The CIFAR-10 reproduction: submodels one after the other, merge, progressive unfreezing."""
    names = [name for name, _ in experiment.branches]
    run.chain.append(["reproduction", names])
    submodels = [build_repo_submodel(run.image_shape, run.num_classes, name) for name in names]
    for submodel, (_, phase) in zip(submodels, experiment.branches, strict=True):
        run.train(submodel, phase)
    keras.utils.set_random_seed(run.phase_seed(len(names)))  # the same head whether stage 1 was trained or loaded
    merged = merge_repo_submodels(submodels)
    for phase in experiment.phases:
        run.train(merged, phase)
    return merged, partial(build_repo_merged, run.image_shape, run.num_classes, names)


_TRAIN: dict[type, Callable[..., _Trained]] = {
    MergedExperiment: _train_merged,
    NetworkExperiment: _train_network,
    DistilledExperiment: _train_network,
    FineTunedExperiment: _train_fine_tuned,
    ReproductionExperiment: _train_reproduction,
}


def _digest(indices: np.ndarray | None) -> str | None:
    """Returns a hash of the positions of a subset."""
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

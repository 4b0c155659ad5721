"""Trains an experiment: the paper's submodels, merge and progressive unfreezing; or a single network."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial, singledispatch
from typing import Any

import keras

from lwcnn.data.statistics import channel_statistics
from lwcnn.experiments.recipes.types import (
    DistilledExperiment,
    Experiment,
    FineTunedExperiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
    SnapshotExperiment,
)
from lwcnn.experiments.sequence import PhaseCache, PhaseSequence
from lwcnn.experiments.zoo import model_file
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_submodel, merge_repo_submodels
from lwcnn.models.build import build_network, takes_normalization
from lwcnn.models.configs import ResidualSEConfig
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.io import load_model
from lwcnn.models.merge import merge_submodels
from lwcnn.models.surgery import merge_branches, replace_head
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import plain_settings
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import build_distiller, build_ensemble, weights_digest
from lwcnn.training.images import Split
from lwcnn.training.loop import Wrap
from lwcnn.training.phases import Phase
from lwcnn.training.progress import Progress


@dataclass(frozen=True)
class TrainedMethod:
    """A trained model of plain Keras layers, not compiled, with the record and the time of its phases."""

    model: keras.Model
    phases: list[dict]
    train_seconds: float


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
    sequence = PhaseSequence(split, num_classes, seed, cache, progress or Progress("none"), computing)
    sequence.progress.expect(experiment.num_epochs)
    with computing.scope():
        trained, build = _train(experiment, sequence, teacher)
    model = build()
    model.set_weights(trained.get_weights())
    network = getattr(experiment, "network", None)
    if isinstance(network, ResidualSEConfig) and network.branch_kernels:
        model = merge_branches(model, network)
    return TrainedMethod(model, sequence.records, round(sum(record["seconds"] for record in sequence.records), 2))


def train_submodels(
    experiment: MergedExperiment, split: Split, num_classes: int, seed: int, **options: Any
) -> tuple[list[keras.Model], dict]:
    """Returns the submodels before they are merged, by the first stage of `train_method`, and the stage's record."""
    if not isinstance(experiment, MergedExperiment) or experiment.dual is None:
        raise LwcnnError(f"Only an experiment with a dual stage has submodels. Received: {experiment.name!r}")
    sequence = PhaseSequence(split, num_classes, seed, **options)
    sequence.progress.expect(experiment.dual.epochs)
    return _train_dual(experiment, experiment.dual, sequence), sequence.records[0]


_Trained = tuple[keras.Model, Callable[[], keras.Model]]
"""The model that the experiment's phases train, and a function that builds the same network in float32."""


def _train(experiment: Experiment, sequence: PhaseSequence, teacher: keras.Model | None) -> _Trained:
    model, build = _build(experiment, sequence)
    wrap = _distiller(experiment, sequence, teacher) if isinstance(experiment, DistilledExperiment) else None
    weights = []
    for phase in experiment.phases:
        sequence.train(model, phase, wrap=wrap)
        weights.append(model.get_weights())
    if isinstance(experiment, SnapshotExperiment):
        members = [build() for _ in weights]
        for member, values in zip(members, weights):
            member.set_weights(values)
        return build_ensemble(members), lambda: build_ensemble([build() for _ in weights])
    return model, build


@singledispatch
def _build(experiment: Experiment, sequence: PhaseSequence) -> _Trained:
    """Builds the model that the phases of an experiment train."""
    raise TypeError(f"unknown kind of experiment: {type(experiment).__name__}")


@_build.register
def _merged(experiment: MergedExperiment, sequence: PhaseSequence) -> _Trained:
    """Stage 1: the submodels side by side. Then their merge, which stage 2 trains by progressive unfreezing."""
    names = [name for name, _ in experiment.branches]
    build = partial(build_merged_model, sequence.image_shape, sequence.num_classes, names, experiment.dropout)
    if experiment.dual:
        submodels = _train_dual(experiment, experiment.dual, sequence)
        sequence.seed_model()
        merged = merge_submodels(submodels, experiment.dropout, reuse_dense_weights=experiment.reuse_dense_weights)
    else:
        merged = build()
    sequence.depends_on([names, experiment.dropout, experiment.reuse_dense_weights, experiment.dual is None])
    return merged, build


def _train_dual(experiment: MergedExperiment, dual: Phase, sequence: PhaseSequence) -> list[keras.Model]:
    """Trains the submodels side by side, as one model with an input per branch."""
    names = [name for name, _ in experiment.branches]
    submodels = [build_submodel(sequence.image_shape, sequence.num_classes, name) for name in names]
    sequence.depends_on(names)
    sequence.train(build_dual_model(submodels), dual, [augmentation for _, augmentation in experiment.branches])
    return submodels


@_build.register
def _reproduction(experiment: ReproductionExperiment, sequence: PhaseSequence) -> _Trained:
    """The CIFAR-10 reproduction: the submodels one after the other. Then their merge, for progressive unfreezing."""
    names = [name for name, _ in experiment.branches]
    sequence.depends_on(["reproduction", names])
    submodels = [build_repo_submodel(sequence.image_shape, sequence.num_classes, name) for name in names]
    for submodel, (_, phase) in zip(submodels, experiment.branches, strict=True):
        sequence.train(submodel, phase)
    sequence.seed_model()
    build = partial(build_repo_merged, sequence.image_shape, sequence.num_classes, names)
    return merge_repo_submodels(submodels), build


@_build.register
def _network(experiment: NetworkExperiment, sequence: PhaseSequence) -> _Trained:
    """A new network; some normalize their images by the statistics of the training part."""
    sequence.depends_on(plain_settings(experiment.network))
    normalization: tuple[Any, ...] | None = None
    if takes_normalization(experiment.network):
        normalization = channel_statistics(sequence.split.training.images, sequence.split.training.indices)
    build = partial(build_network, sequence.image_shape, sequence.num_classes, experiment.network, normalization)
    return build(), build


@_build.register
def _fine_tuned(experiment: FineTunedExperiment, sequence: PhaseSequence) -> _Trained:
    sequence.depends_on([experiment.start, experiment.checksum])
    start = load_model(model_file(experiment.start))
    build = partial(replace_head, start, sequence.num_classes, sequence.image_shape)
    return build(), build


def _distiller(experiment: DistilledExperiment, sequence: PhaseSequence, teacher: keras.Model | None) -> Wrap:
    if teacher is None:
        raise LwcnnError(f"A distilled experiment needs a teacher. Received: teacher=None for {experiment.name!r}")
    sequence.depends_on([weights_digest(teacher), plain_settings(experiment.distillation)])
    return partial(build_distiller, teacher, **asdict(experiment.distillation))

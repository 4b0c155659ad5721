"""Trains an experiment: the paper's submodels, merge and progressive unfreezing; or a single network."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

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
    """Trains the model of an experiment; with a cache, experiments with the same first phases train these once."""
    if computing.devices > 1 and isinstance(experiment, DistilledExperiment):
        raise LwcnnError(f"Distillation trains on one device. Received: {computing.devices} devices")
    sequence = PhaseSequence(split, num_classes, seed, cache, progress or Progress("none"), computing)
    sequence.progress.expect(experiment.num_epochs)
    build = partial(build_model, experiment, sequence.image_shape, num_classes, _normalization(experiment, split))
    with computing.scope():
        weights = _train(experiment, sequence, build, teacher)
    model, network = _with_weights(build(), weights[-1]), getattr(experiment, "network", None)
    if isinstance(experiment, SnapshotExperiment):
        model = build_ensemble([_with_weights(build(), values) for values in weights])
    elif isinstance(network, ResidualSEConfig) and network.branch_kernels:
        model = merge_branches(model, network)
    return TrainedMethod(model, sequence.records, round(sum(record["seconds"] for record in sequence.records), 2))


def build_model(
    experiment: Experiment, image_shape: tuple[int, ...], num_classes: int, normalization: tuple | None = None
) -> keras.Model:
    """Builds the model that an experiment trains last, with random weights (but those that fine-tuning starts from).

    `normalization` has the mean and the deviation of each channel, for networks that `takes_normalization` names.
    """
    if isinstance(experiment, NetworkExperiment):
        return build_network(image_shape, num_classes, experiment.network, normalization)
    if isinstance(experiment, FineTunedExperiment):
        return replace_head(load_model(model_file(experiment.start)), num_classes, image_shape)
    if isinstance(experiment, ReproductionExperiment):
        return build_repo_merged(image_shape, num_classes, _branch_names(experiment))
    assert isinstance(experiment, MergedExperiment), type(experiment)
    return build_merged_model(image_shape, num_classes, _branch_names(experiment), experiment.dropout)


def train_submodels(
    experiment: MergedExperiment, split: Split, num_classes: int, seed: int, **options: Any
) -> tuple[list[keras.Model], dict]:
    """Returns the submodels before they are merged, by the first stage of `train_method`, and the stage's record."""
    if not isinstance(experiment, MergedExperiment) or experiment.dual is None:
        raise LwcnnError(f"Only an experiment with a dual stage has submodels. Received: {experiment.name!r}")
    sequence = PhaseSequence(split, num_classes, seed, **options)
    sequence.progress.expect(experiment.dual.epochs)
    return _train_dual(experiment, experiment.dual, sequence), sequence.records[0]


def _train(
    experiment: Experiment, sequence: PhaseSequence, build: Callable[[], keras.Model], teacher: keras.Model | None
) -> list[list[np.ndarray]]:
    """Returns the weights of the experiment's model after each of its phases."""
    model = _begin(experiment, sequence, build)
    wrap = _distiller(experiment, sequence, teacher) if isinstance(experiment, DistilledExperiment) else None
    weights = []
    for phase in experiment.phases:
        sequence.train(model, phase, wrap=wrap)
        weights.append(model.get_weights())
    return weights


def _begin(experiment: Experiment, sequence: PhaseSequence, build: Callable[[], keras.Model]) -> keras.Model:
    """Returns the model that the phases train: a new one, or the merge of submodels that are trained here."""
    if isinstance(experiment, NetworkExperiment):
        sequence.depends_on(plain_settings(experiment.network))
    elif isinstance(experiment, FineTunedExperiment):
        sequence.depends_on([experiment.start, experiment.checksum])
    elif isinstance(experiment, ReproductionExperiment):
        return merge_repo_submodels(_train_in_turn(experiment, sequence))
    elif isinstance(experiment, MergedExperiment):
        settings = [_branch_names(experiment), experiment.dropout, experiment.reuse_dense_weights]
        model = _merge(experiment, experiment.dual, sequence) if experiment.dual else build()
        sequence.depends_on([*settings, experiment.dual is None])
        return model
    return build()


def _merge(experiment: MergedExperiment, dual: Phase, sequence: PhaseSequence) -> keras.Model:
    submodels = _train_dual(experiment, dual, sequence)
    sequence.seed_model()
    return merge_submodels(submodels, experiment.dropout, reuse_dense_weights=experiment.reuse_dense_weights)


def _train_dual(experiment: MergedExperiment, dual: Phase, sequence: PhaseSequence) -> list[keras.Model]:
    """Trains the submodels side by side, as one model with an input per branch."""
    names = _branch_names(experiment)
    submodels = [build_submodel(sequence.image_shape, sequence.num_classes, name) for name in names]
    sequence.depends_on(names)
    sequence.train(build_dual_model(submodels), dual, [augmentation for _, augmentation in experiment.branches])
    return submodels


def _train_in_turn(experiment: ReproductionExperiment, sequence: PhaseSequence) -> list[keras.Model]:
    """Trains the submodels of the CIFAR-10 reproduction, one after the other."""
    names = _branch_names(experiment)
    sequence.depends_on(["reproduction", names])
    submodels = [build_repo_submodel(sequence.image_shape, sequence.num_classes, name) for name in names]
    for submodel, (_, phase) in zip(submodels, experiment.branches, strict=True):
        sequence.train(submodel, phase)
    sequence.seed_model()
    return submodels


def _branch_names(experiment: MergedExperiment | ReproductionExperiment) -> list[str]:
    return [name for name, _ in experiment.branches]


def _normalization(experiment: Experiment, split: Split) -> tuple | None:
    if isinstance(experiment, NetworkExperiment) and takes_normalization(experiment.network):
        return channel_statistics(split.training.images, split.training.indices)
    return None


def _with_weights(model: keras.Model, weights: list[np.ndarray]) -> keras.Model:
    model.set_weights(weights)
    return model


def _distiller(experiment: DistilledExperiment, sequence: PhaseSequence, teacher: keras.Model | None) -> Wrap:
    if teacher is None:
        raise LwcnnError(f"A distilled experiment needs a teacher. Received: teacher=None for {experiment.name!r}")
    sequence.depends_on([weights_digest(teacher), plain_settings(experiment.distillation)])
    return partial(build_distiller, teacher, **asdict(experiment.distillation))

"""Trains an experiment: the paper's submodels, merge and progressive unfreezing; or a single network."""

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import keras
import numpy as np

from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    FineTunedExperiment,
    MergedExperiment,
    NetworkExperiment,
    ReproductionExperiment,
    SnapshotExperiment,
)
from lwcnn.experiments.recipes.types import changed
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.experiments.shipped import model_file
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_submodel, merge_repo_submodels
from lwcnn.models.build import build_network
from lwcnn.models.configs import ResidualSEConfig, ResNetConfig
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.io import load_model
from lwcnn.models.merge import merge_submodels
from lwcnn.models.surgery import build_ensemble, merge_branches, replace_head
from lwcnn.system.errors import wrong
from lwcnn.system.settings import plain_settings
from lwcnn.training.distillation import Teaching


def train_experiment(
    experiment: Experiment, sequence: PhaseSequence, teacher: keras.Model | None = None
) -> keras.Model:
    """Trains an experiment and returns its model, not compiled.

    Experiments that share their first phases and a cache train these phases once.
    """
    if sequence.computing.devices > 1 and isinstance(experiment, DistilledExperiment):
        raise wrong("Distillation trains on one device", f"{sequence.computing.devices} devices")
    sequence.progress.expect(experiment.num_epochs)
    network, built = getattr(experiment, "network", None), experiment
    if isinstance(network, ResNetConfig):
        built = changed(experiment, {"network.normalization": sequence.split.training.channel_statistics()})
    build = partial(build_model, built, sequence.image_shape, sequence.num_classes)
    snapshots = []
    with sequence.computing.scope():
        model = _begin(experiment, sequence, build)
        teaching = _teaching(experiment, sequence, teacher)
        for phase in experiment.phases:
            sequence.train(model, phase, teaching=teaching)
            snapshots.append(model.get_weights())
    # Built again, outside the scope: in float32, on one device, and with all layers trainable.
    if isinstance(experiment, SnapshotExperiment):
        return build_ensemble([_with_weights(build(), weights) for weights in snapshots])
    model = _with_weights(build(), snapshots[-1])
    if isinstance(network, ResidualSEConfig) and network.branch_kernels:
        return merge_branches(model, network)
    return model


def build_model(experiment: Experiment, image_shape: tuple[int, ...], num_classes: int) -> keras.Model:
    """Builds the model that an experiment trains last: with random weights or, for fine-tuning, those of its start."""
    if isinstance(experiment, NetworkExperiment):
        return build_network(image_shape, num_classes, experiment.network)
    if isinstance(experiment, FineTunedExperiment):
        return replace_head(load_model(model_file(experiment.start)), num_classes, image_shape)
    if isinstance(experiment, ReproductionExperiment):
        return build_repo_merged(image_shape, num_classes, _branch_names(experiment))
    if not isinstance(experiment, MergedExperiment):
        advice = "Give an experiment with a network: a changed copy of one from get_experiment"
        raise wrong(advice, f"{type(experiment).__name__} {experiment.name!r}")
    return build_merged_model(
        image_shape, num_classes, _branch_names(experiment), experiment.dropout, experiment.filters
    )


def train_submodels(experiment: MergedExperiment, sequence: PhaseSequence) -> list[keras.Model]:
    """Trains the submodels side by side, as one model with an input per branch."""
    assert experiment.dual
    names = _branch_names(experiment)
    submodels = [build_submodel(sequence.image_shape, sequence.num_classes, name, experiment.filters) for name in names]
    sequence.depends_on([names, experiment.filters])
    sequence.progress.expect(experiment.dual.epochs)
    augmentations = [augmentation for _, augmentation in experiment.branches]
    sequence.train(build_dual_model(submodels), experiment.dual, augmentations)
    sequence.seed_model()
    return submodels


def _begin(experiment: Experiment, sequence: PhaseSequence, build: Callable[[], keras.Model]) -> keras.Model:
    """Returns the model that the phases train: a new one, or the merge of submodels that are trained here."""
    if isinstance(experiment, NetworkExperiment):
        sequence.depends_on([type(experiment.network).__name__, plain_settings(experiment.network)])
    elif isinstance(experiment, FineTunedExperiment):
        sequence.depends_on([Path(experiment.start).name, experiment.checksum])
    elif isinstance(experiment, ReproductionExperiment):
        return merge_repo_submodels(_train_in_turn(experiment, sequence))
    elif isinstance(experiment, MergedExperiment):
        dropout, reused = experiment.dropout, experiment.reuse_dense_weights
        submodels = train_submodels(experiment, sequence) if experiment.dual else None
        sequence.depends_on([_branch_names(experiment), experiment.filters, dropout, reused, submodels is None])
        if submodels:
            return merge_submodels(submodels, dropout, reuse_dense_weights=reused)
    return build()


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


def _with_weights(model: keras.Model, weights: list[np.ndarray]) -> keras.Model:
    model.set_weights(weights)
    return model


def _teaching(experiment: Experiment, sequence: PhaseSequence, teacher: keras.Model | None) -> Teaching | None:
    if not isinstance(experiment, DistilledExperiment):
        return None
    if teacher is None:
        raise wrong("A distilled experiment needs a teacher", f"teacher=None for {experiment.name!r}")
    weights = b"".join(weight.tobytes() for weight in teacher.get_weights())
    sequence.depends_on([hashlib.sha256(weights).hexdigest()[:16], plain_settings(experiment.distillation)])
    return Teaching(teacher, experiment.distillation)

"""Training an experiment: submodels, merge and progressive unfreezing, or a network in one go."""

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path

import keras
import numpy as np

from lwcnn.configuration import plain_settings
from lwcnn.data import channel_statistics
from lwcnn.experiments import Experiment, MergedExperiment, NetworkExperiment, ReproductionExperiment
from lwcnn.fused import copy_weights
from lwcnn.models.merge import merge_submodels
from lwcnn.models.networks import build_network, takes_normalization
from lwcnn.models.reproduction import build_repo_merged, build_repo_submodel, merge_repo_submodels
from lwcnn.models.submodel import build_dual_model, build_merged_model, build_submodel
from lwcnn.training.loop import Images, train_phase
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.progress import Progress
from lwcnn.training.state import PhaseState


@dataclass(frozen=True)
class TrainedMethod:
    """What training gave.

    Attributes:
        model: of plain Keras layers, not compiled.
        phases: a record for each phase: name, trains, epochs, best_epoch, val_accuracy, seconds, history.
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
    """
    image_shape = training.images.shape[1:]
    parts = [_digest(part.indices) for part in (training, validation)]
    chain = [data_key, parts, keras.backend.backend(), keras.version(), seed, image_shape, num_classes]
    steps = _Steps(training, validation, seed, cache, progress or Progress("none"), chain)
    keras.utils.set_random_seed(seed)
    model = _TRAIN[type(experiment)](experiment, image_shape, num_classes, steps)
    return TrainedMethod(model, steps.records, round(sum(r["seconds"] for r in steps.records), 2))


@dataclass
class _Steps:
    """Trains one phase after the other; `chain` holds all that determines the state so far, and names it."""

    training: Images
    validation: Images
    seed: int
    cache: Path | None
    progress: Progress
    chain: list
    records: list[dict] = field(default_factory=list)

    def run(self, model: keras.Model, phase: Phase, branches=None) -> None:
        self.chain.append([plain_settings(phase), plain_settings(branches)])
        key = hashlib.sha256(json.dumps(self.chain).encode()).hexdigest()[:16]
        path = self.cache and Path(self.cache) / f"seed{self.seed}-{phase.name}-{key}.npz"
        seed = self.phase_seed(len(self.records))
        state = train_phase(model, phase, self.training, self.validation, seed, branches, path, key, self.progress)
        self.records.append(_phase_record(model, phase, state))

    def phase_seed(self, index: int) -> int:
        """A seed for a phase, unrelated to those of other phases and runs."""
        return int(np.random.SeedSequence((self.seed, index)).generate_state(1)[0])


def _train_merged(experiment: MergedExperiment, image_shape, num_classes: int, steps: _Steps) -> keras.Model:
    names = [name for name, _ in experiment.branches]
    if experiment.dual:
        submodels = [build_submodel(image_shape, num_classes, name, fused=True) for name in names]
        steps.chain.append(names)
        steps.run(build_dual_model(submodels), experiment.dual, [a for _, a in experiment.branches])
        keras.utils.set_random_seed(steps.phase_seed(1))  # the head, whether stage 1 was trained or found
        merged = merge_submodels(submodels, experiment.dropout, fused=True, converted=experiment.converted)
    else:
        merged = build_merged_model(image_shape, num_classes, names, experiment.dropout, fused=True)
    steps.chain.append([names, experiment.dropout, experiment.converted, experiment.dual is None])
    for phase in experiment.phases:
        steps.run(merged, phase)
    model = build_merged_model(image_shape, num_classes, names, experiment.dropout)
    model.set_weights(merged.get_weights())
    return model


def _train_network(experiment: NetworkExperiment, image_shape, num_classes: int, steps: _Steps) -> keras.Model:
    steps.chain.append(plain_settings(experiment.network))
    normalization = None
    if takes_normalization(experiment.network):
        normalization = channel_statistics(steps.training.images, steps.training.indices)
    network = build_network(image_shape, num_classes, experiment.network, True, normalization)
    for phase in experiment.phases:
        steps.run(network, phase)
    model = build_network(image_shape, num_classes, experiment.network, False, normalization)
    copy_weights(network, model)
    return model


def _train_reproduction(experiment: ReproductionExperiment, image_shape, num_classes: int, steps: _Steps):
    names = [name for name, _ in experiment.branches]
    steps.chain.append(["reproduction", names])
    submodels = [build_repo_submodel(image_shape, num_classes, name, fused=True) for name in names]
    for submodel, (_, phase) in zip(submodels, experiment.branches):
        steps.run(submodel, phase)
    keras.utils.set_random_seed(steps.phase_seed(len(names)))  # the head, whether stage 1 was trained or found
    merged = merge_repo_submodels(submodels, fused=True)
    for phase in experiment.phases:
        steps.run(merged, phase)
    model = build_repo_merged(image_shape, num_classes, names)
    copy_weights(merged, model)
    return model


_TRAIN = {
    MergedExperiment: _train_merged,
    NetworkExperiment: _train_network,
    ReproductionExperiment: _train_reproduction,
}


def _digest(indices) -> str | None:
    return None if indices is None else hashlib.sha256(np.asarray(indices, "<i8").tobytes()).hexdigest()[:16]


def _phase_record(model: keras.Model, phase: Phase, state: PhaseState) -> dict:
    best = state.history[state.best_epoch[-1] - 1] if phase.monitor == "val_loss" else None
    return {
        "name": phase.name,
        "trains": list(trainable_layer_names(model, phase)),
        "epochs": state.epoch,
        "best_epoch": state.best_epoch[-1],
        "best_val_accuracy": state.best[-1] if best is None else best["val_accuracy"],
        "seconds": round(state.seconds, 2),
        "history": state.history,
    }

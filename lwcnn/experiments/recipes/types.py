"""Experiments as frozen data: the paper's merged model, a single network, or the CIFAR-10 reproduction."""

import itertools
from dataclasses import dataclass, replace

from lwcnn.data.augment import Augmentation
from lwcnn.models.configs import BRANCHES, NetworkConfig
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import added_later
from lwcnn.training.phases import Phase


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One way to train a network.

    Attributes:
        name: Name of the experiment.
        question: Question that it answers.
        phases: Phases of the final model, in order.
        validation: Fraction (below 1) or number of the training images held out for validation.
        num_images: Maximum number of training images, drawn by class, in addition to the preset's limit. None takes
            all.
    """

    name: str
    question: str
    phases: tuple[Phase, ...]
    validation: float | int = 0.1
    num_images: int | None = added_later(None)

    @property
    def num_epochs(self) -> int:
        """Maximum number of epochs of all phases, those before the final model too."""
        return sum(phase.epochs for phase in self.phases)


@dataclass(frozen=True, kw_only=True)
class MergedExperiment(Experiment):
    """One way to train the paper's architecture, the merged model.

    Attributes:
        branches: Name of each submodel and augmentation of its images in stage 1.
        dual: Stage 1, in which the submodels train side by side. None initializes the merged model randomly.
        reuse_dense_weights: Names of the branches whose 1x1 convolution takes over the submodel's dense weights.
            The 1x1 convolutions of the others are initialized randomly.
        dropout: Float between 0 and 1. Dropout rate of the merged model's head.
    """

    branches: tuple[tuple[str, Augmentation | None], ...]
    dual: Phase | None
    reuse_dense_weights: tuple[str, ...] = BRANCHES
    dropout: float = 0.5

    @property
    def num_epochs(self) -> int:
        return super().num_epochs + (self.dual.epochs if self.dual else 0)


@dataclass(frozen=True, kw_only=True)
class NetworkExperiment(Experiment):
    """One way to train a single network from scratch.

    Attributes:
        network: Configuration of the network.
    """

    network: NetworkConfig


@dataclass(frozen=True, kw_only=True)
class SnapshotExperiment(NetworkExperiment):
    """One way to train an ensemble at the cost of one network: a member is the network after each phase.

    Source: Huang et al. 2017, arXiv 1704.00109.
    """


@dataclass(frozen=True)
class Teacher:
    """An ensemble of trained models whose mean logits teach a student.

    Attributes:
        experiment: Name of the experiment that trained them.
        preset: Preset of their training.
        seeds: Seeds of their runs, one per model.
    """

    experiment: str
    preset: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Distillation:
    """Knowledge distillation from a teacher (arXiv 1503.02531).

    Attributes:
        temperature: Float that divides the logits of both models before their Kullback-Leibler divergence, which is
            then multiplied by temperature^2.
        label_weight: Float between 0 and 1. Weight of the label loss; the divergence from the teacher has the rest.
    """

    temperature: float
    label_weight: float


@dataclass(frozen=True, kw_only=True)
class DistilledExperiment(NetworkExperiment):
    """One way to train a single network with a teacher.

    Attributes:
        teacher: Trained models that teach.
        distillation: Loss of the student.
    """

    teacher: Teacher
    distillation: Distillation


@dataclass(frozen=True, kw_only=True)
class ReproductionExperiment(Experiment):
    """One way to train the merged model of the CIFAR-10 reproduction.

    Attributes:
        branches: Name of each submodel and its phase; the submodels train one after the other.
    """

    branches: tuple[tuple[str, Phase], ...]

    @property
    def num_epochs(self) -> int:
        return super().num_epochs + sum(phase.epochs for _, phase in self.branches)


@dataclass(frozen=True, kw_only=True)
class FineTunedExperiment(Experiment):
    """One way to train a trained network further on other images, with a new head.

    Attributes:
        start: Name of a trained network, or path of a .keras file.
        checksum: `model_checksum` of that model.
    """

    start: str
    checksum: str


def with_settings(
    experiment: Experiment,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    class_weight: str | None = None,
) -> Experiment:
    """Returns an experiment with other settings in all of its phases; None keeps a setting.

    The first three become part of its name, so that its results stand beside those of the original.

    Args:
        experiment: Experiment to change.
        epochs: Number of epochs of all phases together, which share it as before; each has at least one.
        batch_size: Number of images per step.
        learning_rate: Peak learning rate; phases with a lower one keep their ratio to it.
        class_weight: "balanced" weights the loss so that every class counts alike.

    Returns:
        An experiment of the same class.

    Raises:
        LwcnnError: A value is out of range.

    Example:

    >>> with_settings(get_experiment("wren"), epochs=40).name
    'residual_se_muon-epochs40'
    """
    phases = _phases(experiment)
    peak = max(phase.optimizer.learning_rate for phase in phases)
    if learning_rate is not None and not 0 < learning_rate < float("inf"):
        raise LwcnnError(f"Give learning_rate as a positive number. Received: learning_rate={learning_rate!r}")
    if epochs is not None and epochs < len(phases):
        raise LwcnnError(f"Give at least {len(phases)} epochs, one for each phase. Received: epochs={epochs!r}")

    def change(phase: Phase, phase_epochs: int) -> Phase:
        rate = phase.optimizer.learning_rate
        return replace(
            phase,
            epochs=phase_epochs,
            batch_size=phase.batch_size if batch_size is None else batch_size,
            optimizer=replace(
                phase.optimizer, learning_rate=rate if learning_rate is None else learning_rate * (rate / peak)
            ),
            class_weight=phase.class_weight if class_weight is None else class_weight,
        )

    changed = {"epochs": epochs, "batch": batch_size, "rate": learning_rate}
    name = "-".join([experiment.name, *(f"{key}{value:g}" for key, value in changed.items() if value is not None)])
    new = list(map(change, phases, _share(epochs, [phase.epochs for phase in phases])))
    first, last = new[: -len(experiment.phases)], new[-len(experiment.phases) :]
    experiment = replace(experiment, name=name, phases=tuple(last))
    if isinstance(experiment, MergedExperiment) and experiment.dual:
        return replace(experiment, dual=first[0])
    if isinstance(experiment, ReproductionExperiment):
        return replace(experiment, branches=tuple(zip((branch for branch, _ in experiment.branches), first)))
    return experiment


def _share(epochs: int | None, before: list[int]) -> list[int]:
    """Returns numbers of epochs in the proportions of those before, each at least 1, whose sum is `epochs`."""
    if epochs is None:
        return before
    ends = [0]
    for later, part in zip(reversed(range(len(before))), itertools.accumulate(before)):
        ends.append(min(max(round(epochs * part / sum(before)), ends[-1] + 1), epochs - later))
    return [end - start for start, end in itertools.pairwise(ends)]


def _phases(experiment: Experiment) -> list[Phase]:
    """Returns the phases of all stages, in order."""
    dual = [experiment.dual] if isinstance(experiment, MergedExperiment) and experiment.dual else []
    branches = [phase for _, phase in experiment.branches] if isinstance(experiment, ReproductionExperiment) else []
    return [*dual, *branches, *experiment.phases]

"""Experiments as frozen data: the paper's merged model, a single network, or the CIFAR-10 reproduction."""

from dataclasses import dataclass, replace

from lwcnn.data.augment import Augmentation
from lwcnn.models.configs import BRANCHES, NetworkConfig
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


@dataclass(frozen=True, kw_only=True)
class NetworkExperiment(Experiment):
    """One way to train a single network from scratch.

    Attributes:
        network: Configuration of the network.
    """

    network: NetworkConfig


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


def with_class_weight(experiment: Experiment, class_weight: str | None) -> Experiment:
    """Returns the experiment with a class weight in every phase; None returns it unchanged."""
    if class_weight is None:
        return experiment

    def weighted(phase: Phase) -> Phase:
        return replace(phase, class_weight=class_weight)

    experiment = replace(experiment, phases=tuple(weighted(phase) for phase in experiment.phases))
    if isinstance(experiment, MergedExperiment) and experiment.dual:
        return replace(experiment, dual=weighted(experiment.dual))
    if isinstance(experiment, ReproductionExperiment):
        return replace(experiment, branches=tuple((name, weighted(phase)) for name, phase in experiment.branches))
    return experiment

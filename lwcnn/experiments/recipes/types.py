"""What an experiment is, as frozen data: of a merged model, ours or the reproduction's, or of one network."""

from dataclasses import dataclass, replace

from lwcnn.data.augment import Augmentation
from lwcnn.models.configs import BRANCHES, NetworkConfig
from lwcnn.system.settings import added_later
from lwcnn.training.phases import Phase


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One way to train a network.

    Attributes:
        name: its name.
        question: what it answers.
        phases: what the model goes through.
        validation: share (below 1) or number of the training images kept for validation.
        num_images: training images used at most, drawn by class, beside the preset's own limit; None uses all.
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
        branches: (name, augmentation of its stage-1 images) of each submodel.
        dual: the stage in which the submodels train side by side; None draws the merged model afresh.
        reuse_dense_weights: Names of the branches whose 1x1 convolution takes over the submodel's dense weights;
            the others keep their random draw.
        dropout: of the merged model's head.
    """

    branches: tuple[tuple[str, Augmentation | None], ...]
    dual: Phase | None
    reuse_dense_weights: tuple[str, ...] = BRANCHES
    dropout: float = 0.5


@dataclass(frozen=True, kw_only=True)
class NetworkExperiment(Experiment):
    """One way to train a network in one go.

    Attributes:
        network: what it is built from.
    """

    network: NetworkConfig


@dataclass(frozen=True)
class Teacher:
    """Trained models that teach together: the mean of their logits.

    Attributes:
        experiment: that trained them.
        preset: of their training.
        seeds: one model each.
    """

    experiment: str
    preset: str
    seeds: tuple[int, ...]


@dataclass(frozen=True)
class Distillation:
    """How a student learns from a teacher.

    Attributes:
        temperature: that both models' logits are divided by before their Kullback-Leibler divergence is taken,
            which counts temperature^2 times (arXiv 1503.02531).
        label_weight: share of the loss that the labels have, 0 to 1; the teacher has the rest.
    """

    temperature: float
    label_weight: float


@dataclass(frozen=True, kw_only=True)
class DistilledExperiment(NetworkExperiment):
    """One way to train a network in one go, with a teacher beside the labels.

    Attributes:
        teacher: which trained models.
        distillation: how.
    """

    teacher: Teacher
    distillation: Distillation


@dataclass(frozen=True, kw_only=True)
class ReproductionExperiment(Experiment):
    """One way to train the CIFAR-10 reproduction's joined model.

    Attributes:
        branches: (name, phase) of each submodel, which are trained one after the other, each by itself.
    """

    branches: tuple[tuple[str, Phase], ...]


def with_class_weight(experiment: Experiment, class_weight: str | None) -> Experiment:
    """The experiment with this class weight in every phase; None leaves it as it is."""
    if class_weight is None:
        return experiment

    def weighted(phase: Phase) -> Phase:
        return replace(phase, class_weight=class_weight)

    changes = {"phases": tuple(weighted(phase) for phase in experiment.phases)}
    if isinstance(experiment, MergedExperiment) and experiment.dual:
        changes["dual"] = weighted(experiment.dual)
    if isinstance(experiment, ReproductionExperiment):
        changes["branches"] = tuple((name, weighted(phase)) for name, phase in experiment.branches)
    return replace(experiment, **changes)

"""Experiments as frozen data, and functions that build one or derive it from another."""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, NamedTuple, TypeVar

from lwcnn.data.augment import Augmentation
from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes.presets import Preset, augmentation
from lwcnn.models.configs import BRANCHES, CONV_FILTERS, NetworkConfig
from lwcnn.system.errors import require_known, wrong
from lwcnn.system.settings import added_later
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Distillation, Phase

_Settings = TypeVar("_Settings")


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One way to train a network. `get_experiment` returns one; `dataclasses.replace` makes a changed copy.

    Attributes:
        name: Name of the experiment.
        question: Question that the experiment answers. It is not part of a run's identity.
        phases: Phases of the final model, in order.
        validation: Fraction (below 1) or number of the training images held out for validation.
        num_images: Maximum number of training images, drawn by class, in addition to the preset's limit. If None, all
            are used.

    Raises:
        LwcnnError: There is no phase.

    Examples:
        >>> experiment = get_experiment("residual_se_muon", preset="full")
        >>> experiment.num_epochs
        60
    """

    name: str = "unnamed"
    question: str = ""
    phases: tuple[Phase, ...]
    validation: float | int = 0.1
    num_images: int | None = added_later(None)

    def __post_init__(self):
        if not self.phases:
            raise wrong("Give at least one phase", f"phases={self.phases!r}")

    @property
    def phase_paths(self) -> list[str]:
        """Paths of the phases of all stages, in order, as in `changed`."""
        return [f"phases.{i}" for i in range(len(self.phases))]

    @property
    def num_epochs(self) -> int:
        """Maximum number of epochs of all phases, including those before the final model."""
        return sum(get(self, f"{path}.epochs") for path in self.phase_paths)

    def image_limit(self, preset: Preset) -> int | None:
        """Returns the smaller limit on training images, of experiment and preset; None if there is no limit."""
        return min((limit for limit in (preset.num_images, self.num_images) if limit), default=None)


@dataclass(frozen=True, kw_only=True)
class MergedExperiment(Experiment):
    """One way to train the paper's architecture, the merged model."""

    branches: tuple[tuple[str, Augmentation | None], ...]  # submodels, and the augmentation of their images in stage 1
    dual: Phase | None  # stage 1, in which the submodels train side by side; None initializes the merged model randomly
    reuse_dense_weights: tuple[str, ...] = BRANCHES  # whose 1x1 convolutions take over the submodel's dense weights
    dropout: float = 0.5  # of the merged model's head
    filters: tuple[int, ...] = added_later(CONV_FILTERS)  # of each branch's convolutions

    @property
    def phase_paths(self) -> list[str]:
        return [*(["dual"] if self.dual else []), *super().phase_paths]


@dataclass(frozen=True, kw_only=True)
class NetworkExperiment(Experiment):
    """One way to train a single network from scratch."""

    network: NetworkConfig


@dataclass(frozen=True, kw_only=True)
class SnapshotExperiment(NetworkExperiment):
    """An ensemble at the cost of one network: the network after each phase is a member (arXiv 1704.00109)."""


@dataclass(frozen=True)
class Teacher:
    """An ensemble of trained models, one per seed, whose mean probabilities teach a student."""

    experiment: str
    preset: str
    seeds: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class DistilledExperiment(NetworkExperiment):
    """One way to train a single network with a teacher (arXiv 1503.02531)."""

    teacher: Teacher
    distillation: Distillation


@dataclass(frozen=True, kw_only=True)
class ReproductionExperiment(Experiment):
    """The merged model of the CIFAR-10 reproduction: its submodels, each with a phase, train one after the other."""

    branches: tuple[tuple[str, Phase], ...]

    @property
    def phase_paths(self) -> list[str]:
        return [*(f"branches.{i}.1" for i in range(len(self.branches))), *super().phase_paths]


@dataclass(frozen=True, kw_only=True)
class FineTunedExperiment(Experiment):
    """One way to train a trained network further on other images, with a new head."""

    start: str  # name of a trained network, or path of a .keras file
    checksum: str  # `model_checksum` of that model


Build = Callable[[Preset, ImageSpec], Experiment]


class Recipe(NamedTuple):
    """The question that an experiment answers, and the function that builds the experiment."""

    question: str
    build: Build


def changed(settings: _Settings, changes: Mapping[str, Any]) -> _Settings:
    """Returns settings with the value at each path replaced, such as "phases.0.optimizer.name"; `*` is every item."""
    for path, value in changes.items():
        settings = _set(settings, path.split("."), value)
    return settings


def derived(build: Build, changes: Mapping[str, Any]) -> Build:
    """Returns a function that builds an experiment with changed settings."""
    return lambda preset, images: changed(build(preset, images), changes)


def in_one_phase(network: NetworkConfig, optimizer: OptimizerConfig, gray: NetworkConfig | None = None) -> Build:
    """Returns a function that builds an experiment of one phase; gray images get the network `gray`, if given."""

    def build(preset: Preset, images: ImageSpec) -> NetworkExperiment:
        phase = Phase("all", optimizer, preset.network_epochs, augmentation=augmentation(images), batch_size=128)
        return NetworkExperiment(network=gray if gray and images.is_gray else network, phases=(phase,))

    return build


def distilled(student: Build, teacher: Teacher, distillation: Distillation) -> Build:
    """Returns a function that builds a student's experiment; with the preset "smoke", the teacher's is "smoke" too."""

    def build(preset: Preset, images: ImageSpec) -> DistilledExperiment:
        taught_by = replace(teacher, preset="smoke") if preset.name == "smoke" else teacher
        return DistilledExperiment(**vars(student(preset, images)), teacher=taught_by, distillation=distillation)

    return build


def get(settings: Any, path: str, default: Any = None) -> Any:
    """Returns the value at a path in an experiment, or in its `plain_settings` with a default for missing settings."""
    for name in path.split("."):
        if isinstance(settings, (tuple, list)):
            settings = settings[int(name)]
        else:
            settings = settings.get(name, default) if isinstance(settings, dict) else getattr(settings, name)
    return settings


def _set(node: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    first, *rest = path
    if isinstance(node, tuple):
        require_known("item", first, ["*", *map(str, range(len(node)))])
        return tuple(_set(item, rest, value) if first in ("*", str(i)) else item for i, item in enumerate(node))
    if not is_dataclass(node) or isinstance(node, type):
        raise wrong(f"Give a setting that exists: there is no {first!r} in this value", repr(node))
    require_known(f"setting of {type(node).__name__}", first, [field.name for field in fields(node)])
    return replace(node, **{first: _set(getattr(node, first), rest, value)})


def with_settings(
    experiment: Experiment,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    class_weight: str | None = None,
) -> Experiment:
    """Returns an experiment with other settings in all of its phases. None keeps a setting.

    The changed settings become part of its name, so that its results are stored beside those of the original.

    Args:
        experiment: Experiment to change.
        epochs: Integer. Total number of epochs, at least one per phase. Phases keep their proportions.
        batch_size: Integer of 1 or more. Number of images per step, reduced if there are few training images.
        learning_rate: Positive float. Peak learning rate; phases with a lower one keep their ratio to it.
        class_weight: "balanced" weights the loss so that every class counts equally.

    Returns:
        An experiment of the same class.

    Raises:
        LwcnnError: A value is out of range.

    Examples:
        >>> with_settings(get_experiment("wren"), epochs=40).name
        'residual_se_muon-epochs40'
    """
    phases = {path: get(experiment, path) for path in experiment.phase_paths}
    if learning_rate is not None and not (isinstance(learning_rate, Real) and learning_rate > 0):
        raise wrong("Give learning_rate as a positive number", f"learning_rate={learning_rate!r}")
    if epochs is not None and not (isinstance(epochs, Integral) and epochs >= len(phases)):
        raise wrong(
            f"Give epochs as an integer, at least one for each phase, {len(phases)} in all", f"epochs={epochs!r}"
        )
    shares = _share(epochs, [phase.epochs for phase in phases.values()]) if epochs else [None] * len(phases)
    peak = max(phase.optimizer.learning_rate for phase in phases.values())
    if learning_rate is not None and not peak:
        raise wrong("Give an experiment with a phase whose learning rate is above 0", repr(experiment.name))
    changes: dict[str, Any] = {}
    for (path, phase), share in zip(phases.items(), shares):
        rate = None if learning_rate is None else learning_rate * (phase.optimizer.learning_rate / peak)
        new = {"epochs": share, "batch_size": batch_size, "optimizer.learning_rate": rate, "class_weight": class_weight}
        changes |= {f"{path}.{setting}": value for setting, value in new.items() if value is not None}
    plan = changed(experiment, changes)
    numbers = {"epochs": epochs, "batch": batch_size, "rate": learning_rate}
    named = [f"{key}{value:g}" for key, value in numbers.items() if value is not None]
    return replace(plan, name="-".join([experiment.name, *named, *([class_weight] if class_weight else [])]))


def _share(epochs: int, before: list[int]) -> list[int]:
    """Splits `epochs` in the proportions of `before`; each part is at least 1."""
    ends = [0]
    for later, part in zip(reversed(range(len(before))), itertools.accumulate(before)):
        ends.append(min(max(round(epochs * part / sum(before)), ends[-1] + 1), epochs - later))
    return [end - start for start, end in itertools.pairwise(ends)]

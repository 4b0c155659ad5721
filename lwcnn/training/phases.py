"""Training phases as data: progressive unfreezing is a tuple of them, as in `experiments/recipes/paper.py`."""

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.system.errors import unknown_name, wrong
from lwcnn.system.settings import (
    ABOVE_ZERO,
    BELOW_ONE,
    TEXT,
    Amount,
    Fraction,
    Rule,
    Settings,
    added_later,
    choice,
    sequence,
    whole,
)
from lwcnn.training.optimizers import OptimizerConfig

if TYPE_CHECKING:
    import keras

_TRAINABLE = Rule(
    lambda value: value == "all" or whole(1).is_valid(value) or bool(sequence(TEXT).is_valid(value) and value),
    '"all", a number of last layers, or a tuple of one or more names',
)


@dataclass(frozen=True)
class Phase(Settings):
    """One phase of training: which layers train, with which optimizer, for how long.

    Attributes:
        name: Name of the phase in the history.
        optimizer: Optimizer; each phase builds a new one.
        epochs: Integer of 1 or more. Maximum number of epochs.
        trainable: "all"; an integer n for the last n layers that have weights; or a tuple of layer names, in which *
            and ? are wildcards. The weights of all other layers stay bit-identical.
        frozen: Names of layers (wildcards as above) to exclude from `trainable`.
        patience: Integer of 1 or more. Number of epochs without improvement after which training stops. The phase then
            ends with the weights of its best epoch, even if it trains for all epochs. None trains for all epochs and
            keeps the last weights.
        min_delta: Float of 0 or more. Minimum improvement of the monitored value (accuracy as a fraction) that counts
            as progress.
        augmentation: Augmentation of the training images, for a model with one input. None trains on the originals.
        label_smoothing: Float in [0, 1). Fraction of each label that is spread evenly over the classes.
        best_per_branch: With several outputs and `patience`, whether each branch keeps the weights of its own best
            epoch. Training then stops when one branch has run out of patience; `min_delta` and `start_from_epoch`
            affect only that. If False, the mean over the outputs decides.
        batch_size: Integer of 1 or more. Number of images per step.
        mixing: MixUp and CutMix settings. None mixes no images.
        dropout: (first, last), floats in [0, 1). Rates of the model's `Dropout` layers in the first and the last epoch,
            linear between them; layers with a `noise_shape`, as for stochastic depth, keep theirs. If None, all do.
        monitor: Quantity that decides which epoch is better: "val_accuracy", or "val_loss", the cross-entropy on the
            validation images, which the history then records.
        start_from_epoch: Integer of 0 or more. Number of epochs before early stopping begins, as in Keras's
            `EarlyStopping`: none of them counts as best or against the patience.
        class_weight: "balanced" weights the loss so that every class counts equally, however many images it has. If
            None, every image counts equally. With a teacher, it weights the label loss only.
        image_side: Integer of 1 or more. Side in pixels to which the images are resized, for networks that accept any
            image size. If None, they are not resized.

    Raises:
        LwcnnError: A value is out of range, or `best_per_branch` is combined with "val_loss".

    Examples:
        >>> head = Phase("head", OptimizerConfig("nadam"), epochs=20, trainable=("head_*",), patience=5)
        >>> everything = Phase("all", OptimizerConfig("sgd", 0.001, momentum=0.9), epochs=50, patience=10)
    """

    name: str
    optimizer: OptimizerConfig
    epochs: Annotated[int, whole(1)]
    trainable: Annotated[str | int | tuple[str, ...], _TRAINABLE] = "all"
    frozen: Annotated[tuple[str, ...], sequence(TEXT)] = ()
    patience: Annotated[int | None, whole(1)] = None
    min_delta: Amount = 0.0
    augmentation: Augmentation | None = None
    label_smoothing: Annotated[float, BELOW_ONE] = 0.0
    best_per_branch: bool = False
    batch_size: Annotated[int, whole(1)] = 128
    mixing: MixUpCutMix | None = added_later(None)
    dropout: Annotated[tuple[float, float] | None, sequence(BELOW_ONE, 2)] = added_later(None)
    monitor: Annotated[str, choice(("val_accuracy", "val_loss"))] = added_later("val_accuracy")
    start_from_epoch: Annotated[int, whole(0)] = added_later(0)
    class_weight: Annotated[str | None, choice(("balanced",))] = added_later(None)
    image_side: Annotated[int | None, whole(1)] = added_later(None)

    def __post_init__(self):
        super().__post_init__()
        if self.best_per_branch and self.monitor != "val_accuracy":
            raise wrong('best_per_branch needs monitor="val_accuracy"', repr(self.monitor))


@dataclass(frozen=True)
class Distillation(Settings):
    """How a student learns from a teacher.

    The loss is the Kullback-Leibler divergence between the softmax outputs at `temperature`, times temperature^2. The
    label loss has the weight `label_weight`, the divergence the rest. After `cached_epochs`, the order of the images
    and their augmentation repeat, so that the teacher classifies no more images. If None, they do not repeat.
    """

    temperature: Annotated[float, ABOVE_ZERO]
    label_weight: Fraction
    cached_epochs: Annotated[int | None, whole(1)] = added_later(None)


def trainable_layer_names(model: "keras.Model", phase: Phase) -> tuple[str, ...]:
    """Returns the names of the layers that a phase trains, in the model's order."""
    names = names_with_weights(model)
    if isinstance(phase.trainable, str):  # "all"
        chosen = set(names)
    elif isinstance(phase.trainable, int):
        if phase.trainable > len(names):
            raise wrong(
                f"{model.name} has {len(names)} layers with weights ({', '.join(names)}); phase "
                f"{phase.name!r} can train the last 1 to {len(names)}",
                phase.trainable,
            )
        chosen = set(names[-phase.trainable :])
    else:
        chosen = _matching(phase.trainable, names, phase)
    chosen -= _matching(phase.frozen, names, phase)
    if not chosen:
        raise wrong(f"Phase {phase.name!r} trains no layer of {model.name}", phase)
    return tuple(name for name in names if name in chosen)


def unfreeze_layer_by_layer(
    model: "keras.Model", optimizer: OptimizerConfig, epochs: int, **arguments: Any
) -> tuple[Phase, ...]:
    """Returns phases that train the last layer, then the last two, and so on until all layers train.

    Args:
        model: Model whose layers are unfrozen; layers without weights are skipped.
        optimizer: Optimizer of every phase.
        epochs: Maximum number of epochs per phase.
        **arguments: Further attributes of every `Phase`.

    Returns:
        A tuple of phases, one per layer with weights.

    Raises:
        LwcnnError: A value is out of range.

    Examples:
        >>> phases = unfreeze_layer_by_layer(model, OptimizerConfig("sgd", 0.01), epochs=5, patience=2)
        >>> [phase.trainable for phase in phases][:3]
        [1, 2, 3]
    """
    count = len(names_with_weights(model))
    return tuple(Phase(f"last_{n}", optimizer, epochs, trainable=n, **arguments) for n in range(1, count + 1))


def names_with_weights(model: "keras.Model") -> list[str]:
    return [layer.name for layer in model.layers if layer.weights]


def _matching(patterns: tuple[str, ...], names: list[str], phase: Phase) -> set[str]:
    """Returns the names that match any of the patterns; every pattern must match a name."""
    matching: set[str] = set()
    for pattern in patterns:
        found = fnmatch.filter(names, pattern)
        if not found:
            raise unknown_name(f"layer in phase {phase.name!r}", pattern, names)
        matching.update(found)
    return matching

"""A training phase as data: what trains, with which optimizer, for how long. Keras is imported by what builds."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.system.errors import LwcnnError, unknown_name
from lwcnn.system.settings import added_later

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class OptimizerConfig:
    """An optimizer and its learning-rate schedule; None leaves the value to Keras's default.

    Attributes:
        name: "nadam", "adam", "adamw", "sgd", "rmsprop" or "muon" (`PointwiseMuon`).
        learning_rate: the (peak) learning rate.
        momentum: of SGD and RMSProp.
        nesterov: of SGD.
        weight_decay: decoupled weight decay a step, times the learning rate, as Keras applies it.
        warmup: share of the phase's steps, 0 to 1, over which the rate rises linearly from zero; the rest
            falls to zero as a cosine. None keeps the rate constant.
        ema: momentum of the exponential moving average of the weights that is evaluated and kept, reached by a warm-up
            (`MovingAverage`); None: none.
        no_weight_decay: parts of the names of variables that weight decay leaves alone, such as "bias".
        ema_batch_norm: whether the moving moments of batch normalization are averaged too, with the same momentum, as
            they should be; without, averaged weights meet the moments of the latest ones, which fit them only where
            the rate has come down to zero.
    """

    name: str
    learning_rate: float = 0.001
    momentum: float | None = None
    nesterov: bool | None = None
    weight_decay: float | None = None
    warmup: float | None = None
    ema: float | None = None
    no_weight_decay: tuple[str, ...] = added_later(())
    ema_batch_norm: bool = added_later(False)

    def build(self, num_steps: int) -> keras.optimizers.Optimizer:
        """A new Keras optimizer for `num_steps` steps.

        Raises:
            LwcnnError: if the name is unknown or an argument is not one of this optimizer's.
        """
        import keras

        classes = _optimizer_classes()
        if self.name not in classes:
            raise unknown_name("optimizer", self.name, classes)
        arguments = {k: getattr(self, k) for k in ("momentum", "nesterov", "weight_decay")}
        arguments = {k: v for k, v in arguments.items() if v is not None}
        if self.ema is not None and not 0 <= self.ema < 1:
            raise LwcnnError(f"{self.name} can't be built: ema must be at least 0 and below 1. Received: {self}")
        rate = self.learning_rate
        if self.warmup is not None:
            warmup_steps = round(self.warmup * num_steps)
            rate = keras.optimizers.schedules.CosineDecay(
                0.0, max(1, num_steps - warmup_steps), warmup_target=rate, warmup_steps=warmup_steps
            )
        try:
            optimizer = classes[self.name](learning_rate=rate, **arguments)
        except (TypeError, ValueError) as error:
            raise LwcnnError(f"{self.name} can't be built: {error} Received: {self}") from error
        if self.no_weight_decay:
            optimizer.exclude_from_weight_decay(var_names=list(self.no_weight_decay))
        return optimizer


def _optimizer_classes() -> dict[str, type[keras.optimizers.Optimizer]]:
    from keras import optimizers

    from lwcnn.training.muon import PointwiseMuon

    return {
        "nadam": optimizers.Nadam,
        "adam": optimizers.Adam,
        "adamw": optimizers.AdamW,
        "sgd": optimizers.SGD,
        "rmsprop": optimizers.RMSprop,
        "muon": PointwiseMuon,
    }


MONITORS = ("val_accuracy", "val_loss")


@dataclass(frozen=True)
class Phase:
    """One phase of training.

    Attributes:
        name: its name in the history.
        optimizer: a new one is built for every phase.
        epochs: at most so many.
        trainable: \"all\"; a whole number n: the last n layers that have weights; or a tuple of layer names, where
            * and ? stand for any characters. Everything else keeps its weights to the bit.
        frozen: layer names (patterns) that don't train although `trainable` covers them.
        patience: stop after so many epochs without a better validation accuracy; None never stops early and
            keeps the last epoch's weights. With a patience the best epoch's weights are kept.
        min_delta: by how much, as a share of 1, an epoch must beat the best to count as better.
        augmentation: of the training images, for a model of one input; None leaves them as they are.
        label_smoothing: 0 up to 1.
        best_per_branch: With several outputs, keep each branch's most accurate epoch (as with one checkpoint per
            branch, whatever `min_delta` and `start_from_epoch` are) and stop as soon as one branch's patience
            ends. By default both go by the mean over the outputs.
        batch_size: images in a step.
        mixing: of the batches, by MixUp and CutMix.
        dropout: rates of the model's `Dropout` layers in the first and the last epoch, linear between them.
        monitor: what decides which epoch is better: "val_accuracy", or "val_loss", the cross-entropy on the
            validation images, which is then kept in the history.
        start_from_epoch: Number of epochs before early stopping begins, as in Keras's `EarlyStopping`: none of
            them counts as best or against the patience.
        class_weight: "balanced" weighs the loss so that every class counts alike, however many images it has; None
            weighs every image alike.
    """

    name: str
    optimizer: OptimizerConfig
    epochs: int
    trainable: str | int | tuple[str, ...] = "all"
    frozen: tuple[str, ...] = ()
    patience: int | None = None
    min_delta: float = 0.0
    augmentation: Augmentation | None = None
    label_smoothing: float = 0.0
    best_per_branch: bool = False
    batch_size: int = 128
    mixing: MixUpCutMix | None = added_later(None)
    dropout: tuple[float, float] | None = added_later(None)
    monitor: str = added_later("val_accuracy")
    start_from_epoch: int = added_later(0)
    class_weight: str | None = added_later(None)

    def __post_init__(self):
        if self.best_per_branch and self.monitor != "val_accuracy":
            raise LwcnnError(f'best_per_branch needs monitor="val_accuracy". Received: {self.monitor!r}')
        if self.start_from_epoch < 0:
            raise LwcnnError(f"start_from_epoch must be at least 0. Received: {self.start_from_epoch}")
        if self.epochs < 1 or self.batch_size < 1 or (self.patience is not None and self.patience < 1):
            raise LwcnnError(f"epochs, batch_size and patience must be at least 1. Received: {self}")
        if isinstance(self.trainable, str) and self.trainable != "all":
            raise LwcnnError(
                f'trainable must be "all", a number of last layers or a tuple of names. Received: {self.trainable!r}'
            )
        if self.monitor not in MONITORS:
            raise unknown_name("monitor", self.monitor, MONITORS)
        if self.class_weight not in (None, "balanced"):
            raise LwcnnError(f'class_weight must be "balanced" or None. Received: {self.class_weight!r}')


def trainable_layer_names(model: keras.Model, phase: Phase) -> tuple[str, ...]:
    """The names of the layers with weights that a phase trains, in the model's order.

    Raises:
        LwcnnError: if a name matches no layer that has weights, a number exceeds the layers there are, or
            nothing is left to train.
    """
    names = _names_with_weights(model)
    if phase.trainable == "all":
        chosen = set(names)
    elif isinstance(phase.trainable, int):
        if not 1 <= phase.trainable <= len(names):
            raise LwcnnError(
                f"{model.name} has {len(names)} layers with weights ({', '.join(names)}); phase "
                f"{phase.name!r} can train the last 1 to {len(names)}. Received: {phase.trainable}"
            )
        chosen = set(names[-phase.trainable :])
    else:
        chosen = set().union(*(_matching(pattern, names, phase) for pattern in phase.trainable))
    chosen -= set().union(*(_matching(pattern, names, phase) for pattern in phase.frozen))
    if not chosen:
        raise LwcnnError(f"Phase {phase.name!r} trains no layer of {model.name}. Received: {phase}")
    return tuple(name for name in names if name in chosen)


def unfreeze_layer_by_layer(
    model: keras.Model, optimizer: OptimizerConfig, epochs: int, **arguments
) -> tuple[Phase, ...]:
    """A schedule that trains the last layer, then the last two, and so on until all layers train.

    Args:
        model: the model whose layers with weights are counted.
        optimizer: of every phase.
        epochs: of every phase.
        **arguments: further fields of every `Phase`.

    Returns:
        One phase per layer with weights.
    """
    count = len(_names_with_weights(model))
    return tuple(Phase(f"last_{n}", optimizer, epochs, trainable=n, **arguments) for n in range(1, count + 1))


def _names_with_weights(model: keras.Model) -> list[str]:
    """The layers that a phase can train."""
    return [layer.name for layer in model.layers if layer.weights]


def _matching(pattern: str, names: list[str], phase: Phase) -> set[str]:
    matching = set(fnmatch.filter(names, pattern))
    if not matching:
        raise unknown_name(f"layer in phase {phase.name!r}", pattern, names)
    return matching

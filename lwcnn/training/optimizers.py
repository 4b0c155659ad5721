"""Optimizers as data. Keras is imported only when an optimizer is built."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from lwcnn.system.errors import LwcnnError, require_known, wrong
from lwcnn.system.settings import BELOW_ONE, TEXT, Amount, Settings, added_later, number, sequence, whole

if TYPE_CHECKING:
    import keras

NAMES = ("nadam", "adam", "adamw", "sgd", "rmsprop", "lion", "one_cycle", "schedule_free", "muon")


@dataclass(frozen=True)
class OptimizerConfig(Settings):
    """Configuration of an optimizer and its learning-rate schedule.

    If `momentum`, `nesterov`, `weight_decay` or `adam_ratio` is None, the default of the optimizer's class is used.

    Attributes:
        name: "nadam", "adam", "adamw", "sgd", "rmsprop", "lion", "one_cycle" (`OneCycleSGD`), "schedule_free"
            (`ScheduleFreeAdamW`) or "muon" (`PointwiseMuon`).
        learning_rate: Float of 0 or more. Peak learning rate.
        momentum: Float in [0, 1]. Momentum of SGD, one-cycle SGD, RMSprop and Muon.
        nesterov: Whether SGD or Muon uses Nesterov momentum.
        weight_decay: Float of 0 or more. Decoupled weight decay per step, multiplied by the learning rate as in Keras.
        warmup: Float in [0, 1]. Fraction of the phase's steps over which the learning rate rises linearly from zero;
            a cosine then decays it to zero. None keeps the learning rate constant, unless `drops` lower it.
        ema: Float in [0, 1). Momentum of the exponential moving average of the weights (`MovingAverage`), which is
            evaluated and kept. None keeps the weights themselves.
        no_weight_decay: Parts of variable names that are excluded from weight decay, such as "bias".
        ema_batch_norm: Whether the moving statistics of batch normalization are averaged like the weights. If not, the
            averaged weights are used with the latest statistics, which match them only once the learning rate has
            decayed to zero.
        adam_ratio: Float of 0 or more. Ratio of AdamW's learning rate to Muon's, for the weights that Muon leaves to
            AdamW.
        fixed_norm: Whether Muon scales each of its matrices to a fixed norm before its update.
        lookahead: Integer of 1 or more. Number of steps after which Lookahead moves the weights halfway back to the
            slow weights. None turns it off.
        drops: Floats in [0, 1), ascending. Fractions of the phase's steps. After each, the learning rate falls
            to a tenth; it is constant between them. Not together with `warmup`.

    Raises:
        LwcnnError: The name is unknown, a value is out of range, or two settings exclude each other.

    Examples:
        >>> optimizer = OptimizerConfig("sgd", 0.1, momentum=0.9, warmup=0.2).build(num_steps=1000)
    """

    name: str
    learning_rate: Amount = 0.001
    momentum: Annotated[float | None, number(1)] = None
    nesterov: bool | None = None
    weight_decay: Annotated[float | None, number()] = None
    warmup: Annotated[float | None, number(1)] = None
    ema: Annotated[float | None, BELOW_ONE] = None
    no_weight_decay: Annotated[tuple[str, ...], sequence(TEXT)] = added_later(())
    ema_batch_norm: bool = added_later(False)
    adam_ratio: Annotated[float | None, number()] = added_later(None)
    fixed_norm: bool = added_later(False)
    lookahead: Annotated[int | None, whole(1)] = added_later(None)
    drops: Annotated[tuple[float, ...], sequence(BELOW_ONE)] = added_later(())

    def __post_init__(self):
        super().__post_init__()
        require_known("optimizer", self.name, NAMES)
        if self.drops and (self.warmup is not None or self.name == "one_cycle" or [*self.drops] != sorted(self.drops)):
            raise wrong("Give drops in ascending order and without any other schedule", self)
        if self.name == "one_cycle" and (self.nesterov or self.momentum == 0):
            raise wrong("Leave out nesterov and a momentum of 0, which one-cycle SGD does not have", self)

    def build(self, num_steps: int) -> "keras.optimizers.Optimizer":
        """Builds a new Keras optimizer whose learning rate is scheduled over `num_steps` training steps."""
        from lwcnn.training.keras_optimizers import OPTIMIZERS, with_lookahead

        arguments = {name: getattr(self, name) for name in ("momentum", "nesterov", "weight_decay")}
        arguments |= {"adam_lr_ratio": self.adam_ratio, "fixed_norm": self.fixed_norm or None}
        kind = OPTIMIZERS[self.name]
        if self.lookahead:
            kind = with_lookahead(kind, self.lookahead)
        try:
            given = {name: value for name, value in arguments.items() if value is not None}
            optimizer = kind(learning_rate=self._rate(num_steps), **given)
        except (TypeError, ValueError) as error:
            raise LwcnnError(f"{self.name} cannot be built: {error} Received: {self}") from error
        if self.no_weight_decay:
            optimizer.exclude_from_weight_decay(var_names=list(self.no_weight_decay))
        return optimizer

    def _rate(self, num_steps: int) -> "float | keras.optimizers.schedules.LearningRateSchedule":
        from keras.optimizers import schedules

        if self.drops:
            steps = [round(drop * num_steps) - 1 for drop in self.drops]
            rates = [self.learning_rate * 0.1**i for i in range(len(self.drops) + 1)]
            return schedules.PiecewiseConstantDecay(steps, rates)
        if self.warmup is None:
            return self.learning_rate
        warmup_steps = round(self.warmup * num_steps)
        return schedules.CosineDecay(
            0.0, max(1, num_steps - warmup_steps), warmup_target=self.learning_rate, warmup_steps=warmup_steps
        )

"""Custom Keras optimizers: Muon for 1x1 convolutions, one-cycle SGD, schedule-free AdamW, and Lookahead for any."""

import keras
from keras import ops, optimizers

SLOW_SHARE = 0.5  # of Lookahead
NOT_ORTHOGONAL = ("head", "squeeze", "excite")
"""Parts of the paths of variables that AdamW trains: the head, as Muon's authors advise, and narrow matrices."""


@keras.saving.register_keras_serializable(package="lwcnn")
class PointwiseMuon(keras.optimizers.Muon):
    """`keras.optimizers.Muon` that treats the kernel (1, 1, c, f) of a 1x1 convolution as the matrix (c, f).

    Keras's own leaves kernels of four dimensions to AdamW. A 1x1 depthwise kernel (1, 1, c, 1) is a matrix of one
    column. With `fixed_norm`, each matrix is scaled to the norm sqrt(f) before its update (KellerJordan,
    airbench94_muon). Source: Jordan et al. 2024, with the scale of Liu et al., arXiv 2502.16982, for which the learning
    rate and weight decay of AdamW fit.
    """

    def __init__(self, learning_rate=0.001, weight_decay=0.004, fixed_norm=False, **arguments):
        arguments.setdefault("adam_weight_decay", weight_decay)
        arguments.setdefault("exclude_layers", list(NOT_ORTHOGONAL))
        super().__init__(learning_rate=learning_rate, weight_decay=weight_decay, **arguments)
        self.fixed_norm = fixed_norm

    def _should_use_adamw(self, variable):
        is_pointwise = len(variable.shape) == 4 and tuple(variable.shape[:2]) == (1, 1)
        excluded = any(part in variable.path for part in self.exclude_layers)
        return excluded or not (is_pointwise or len(variable.shape) == 2)

    def _muon_update_step(self, gradient, variable, lr, m):
        if self.fixed_norm:
            self.assign(variable, variable * (variable.shape[-1] ** 0.5 / ops.norm(ops.reshape(variable, (-1,)))))
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        g = ops.add(gradient, self.momentum * m) if self.nesterov else m
        update = self.zeropower_via_newtonschulz5(ops.reshape(g, variable.shape[-2:]), self.ns_steps)
        self.assign_sub(variable, ops.reshape(self.lr_adjust(lr * update), variable.shape))

    def get_config(self):
        return super().get_config() | {"fixed_norm": self.fixed_norm}


@keras.saving.register_keras_serializable(package="lwcnn")
class OneCycleSGD(keras.optimizers.SGD):
    """SGD whose momentum falls linearly from `momentum` at rate zero to `lowest_momentum` at the peak rate.

    The learning rate is a number or a `CosineDecay` with a warm-up to its peak; Smith's rises and falls linearly.
    Source: Smith 2018, arXiv 1803.09820.
    """

    def __init__(self, learning_rate=0.1, momentum=0.95, lowest_momentum=0.85, **arguments):
        super().__init__(learning_rate, momentum, **arguments)
        self.lowest_momentum = lowest_momentum
        self._peak = getattr(learning_rate, "warmup_target", learning_rate) or 1.0  # a rate of 0 has the full momentum

    def update_step(self, gradient, variable, learning_rate):
        momentum = self.momentum - (self.momentum - self.lowest_momentum) * learning_rate / self._peak
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, momentum * ops.convert_to_tensor(velocity) - learning_rate * gradient)
        self.assign_add(variable, velocity)

    def get_config(self):
        return super().get_config() | {"lowest_momentum": self.lowest_momentum}


@keras.saving.register_keras_serializable(package="lwcnn")
class ScheduleFreeAdamW(keras.optimizers.ScheduleFreeAdamW):
    """`keras.optimizers.ScheduleFreeAdamW` with the update of its authors (arXiv 2405.15682) on every backend.

    On TensorFlow, Keras 3.15 reads the momentum z only after changing it, and so does not recover the average x. The
    weight decay is Keras's: it shrinks the model's weights y, whereas the authors' shrinks z.
    """

    def update_step(self, gradient, variable, learning_rate):
        z = self._momentums[self._get_variable_index(variable)]
        old_z, y = ops.copy(z), ops.copy(variable)
        super().update_step(gradient, variable, learning_rate)  # which moves z
        beta, weight = self.beta_1, 1 / ops.cast(self.iterations + 1, variable.dtype)
        x = (y - (1 - beta) * old_z) / beta
        self.assign(variable, (1 - beta) * z + beta * ((1 - weight) * x + weight * z))


def with_lookahead(optimizer_class: type, period: int) -> type:
    """Returns a subclass that moves the weights halfway to the slow ones every `period` steps (arXiv 1907.08610)."""

    class Lookahead(optimizer_class):  # type: ignore[valid-type, misc]
        def build(self, variables: list) -> None:
            if self.built:
                return
            super().build(variables)
            (self._slow,) = self.add_optimizer_variables(variables, ["slow"])
            for slow, variable in zip(self._slow, variables, strict=True):
                self.assign(slow, ops.copy(variable))

        def apply(self, grads: list, trainable_variables: list | None = None) -> None:
            super().apply(grads, trainable_variables)
            is_due = ops.equal(self.iterations % period, 0)
            for slow, fast in zip(self._slow, self._trainable_variables, strict=True):
                before, now = ops.convert_to_tensor(slow), ops.convert_to_tensor(fast)
                mean = before + SLOW_SHARE * (now - before)
                self.assign(fast, ops.where(is_due, mean, now))
                self.assign(slow, ops.where(is_due, mean, before))

    return Lookahead


OPTIMIZERS: dict[str, type[optimizers.Optimizer]] = {
    "nadam": optimizers.Nadam,
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "sgd": optimizers.SGD,
    "rmsprop": optimizers.RMSprop,
    "lion": optimizers.Lion,
    "one_cycle": OneCycleSGD,
    "schedule_free": ScheduleFreeAdamW,
    "muon": PointwiseMuon,
}

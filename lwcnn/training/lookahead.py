"""Lookahead: slow weights that follow an optimizer's fast ones.

Source: Zhang et al. 2019, arXiv 1907.08610.
"""

from keras import ops

SLOW_SHARE = 0.5


def with_lookahead(optimizer_class: type, period: int) -> type:
    """Returns a subclass of a Keras optimizer that moves the weights halfway back to slow ones every `period` steps."""

    class Lookahead(optimizer_class):  # type: ignore[valid-type, misc]
        takes_pointwise_kernels = False  # the engine has no such step

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

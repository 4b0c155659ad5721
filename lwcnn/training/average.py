"""The moving average of a model's weights and of batch normalization's moments.

Keras's optimizers average weights with a fixed decay, so that after few steps the average is mostly the random start,
and leave out the moments of batch normalization. This average is held beside the optimizer, and its decay warms up.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np


class MovingAverage:
    """Exponential moving average of variables, updated after every training step.

    The first update takes the values themselves. Update t, from 1, keeps min(momentum, (1 + t) / (10 + t)) of the
    average: however few steps there are, the average spans about the last tenth of them.

    Args:
        variables: Variables to average.
        momentum: Largest fraction of the average that an update keeps, from 0 to 1.
        state: A `state()` to continue from; None or empty begins anew.
    """

    def __init__(self, variables: Sequence[keras.Variable], momentum: float, state: Sequence[np.ndarray] | None = None):
        self._variables, self._momentum = list(variables), momentum
        count, *values = state or (0,)
        self.num_updates = int(count)
        self.values = [np.array(value) for value in values]

    def update(self, value_of: Callable[[keras.Variable], np.ndarray] = keras.ops.convert_to_numpy) -> None:
        """Adds the variables' values after a step, read by `value_of`."""
        latest = [value_of(variable) for variable in self._variables]
        if not self.num_updates:
            self.values = [np.array(value) for value in latest]
        kept = min(self._momentum, (1 + self.num_updates) / (10 + self.num_updates))
        for average, value in zip(self.values, latest, strict=True):
            average += (1 - kept) * (value - average)
        self.num_updates += 1

    def assign(self) -> None:
        """Sets the variables to their averages."""
        for variable, value in zip(self._variables, self.values, strict=True):
            variable.assign(value.copy())  # JAX may use the array itself, and later updates change it

    def state(self) -> list[np.ndarray]:
        """The number of updates and the averages, for a checkpoint."""
        return [np.array(self.num_updates), *self.values]


def norm_moments(model: keras.Model) -> list[keras.Variable]:
    """The moving means and variances of a model's batch normalization, nested layers included."""
    norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    return [variable for norm in norms for variable in (norm.moving_mean, norm.moving_variance)]

"""Exponential moving average of weights and of batch normalization statistics.

Unlike the average of Keras's optimizers, it includes these statistics, and its decay warms up.
"""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from lwcnn.models.graph import flat_layers


class MovingAverage:
    """Exponential moving average of variables, updated after every training step.

    Update t, counted from 0, keeps min(momentum, (1 + t) / (10 + t)) of the average, so in short runs it spans
    about the last tenth of the steps. The average starts with the values after the first step; `JaxEpoch` starts it
    with those before this step, which keep a weight of a tenth. To resume, give what the method `state` returned.
    """

    def __init__(self, variables: Sequence[keras.Variable], momentum: float, state: Sequence[np.ndarray] | None = None):
        self.variables, self._momentum = list(variables), momentum
        count, *values = state or (0,)
        self.num_updates = int(count)
        self.values = [np.array(value) for value in values]

    def update(self, value_of: Callable[[keras.Variable], np.ndarray] = keras.ops.convert_to_numpy) -> None:
        """Updates the average after a training step; `value_of` returns the value of a variable."""
        latest = [value_of(variable) for variable in self.variables]
        if not self.num_updates:
            self.values = [np.array(value) for value in latest]
        share = self.next_share()
        with np.errstate(invalid="ignore", over="ignore"):  # a loss that is not finite ends the phase with advice
            for average, value in zip(self.values, latest, strict=True):
                average += share * (value - average)

    def next_share(self) -> float:
        """Counts an update; returns the weight of the latest values in it."""
        kept = min(self._momentum, (1 + self.num_updates) / (10 + self.num_updates))
        self.num_updates += 1
        return 1 - kept

    def assign(self) -> None:
        for variable, value in zip(self.variables, self.values, strict=True):
            variable.assign(value.copy())  # JAX may use the array itself, and later updates change it

    def state(self) -> list[np.ndarray]:
        """Returns the number of updates and the averages, for a checkpoint."""
        return [np.array(self.num_updates), *self.values]


def batch_norm_statistics(model: keras.Model) -> list[keras.Variable]:
    """Returns the moving means and variances of all batch normalization layers, nested ones included."""
    norms = [layer for layer in flat_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
    return [variable for norm in norms for variable in (norm.moving_mean, norm.moving_variance)]

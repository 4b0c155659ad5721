"""The moving average of batch normalisation's moments, for weights that are averaged.

Keras's optimisers average the weights. The moments of batch normalisation are none of theirs, and those of the
latest weights do not fit the averaged ones: at a constant rate that costs many points.
"""

from collections.abc import Callable

import keras
import numpy as np


class MomentsAverage:
    """Exponential moving average of the moving means and variances of a model's batch normalisation.

    Args:
        model: their owner, layers within layers included.
        momentum: the share of the average that a step leaves as it is, as of the weights' average.
        values: where the average stands; None or empty before the first step, whose moments begin it.
    """

    def __init__(self, model: keras.Model, momentum: float, values: list[np.ndarray] | None = None):
        norms = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
        self._variables = [variable for norm in norms for variable in (norm.moving_mean, norm.moving_variance)]
        self._momentum = momentum
        self.values = [np.array(value) for value in values or ()]

    def update(self, value_of: Callable[[keras.Variable], np.ndarray] = keras.ops.convert_to_numpy) -> None:
        """Takes in the moments as they are after a step, which `value_of` gives for their variables."""
        latest = [value_of(variable) for variable in self._variables]
        if not self.values:
            self.values = [np.array(value) for value in latest]
        for average, value in zip(self.values, latest, strict=True):
            average += (1 - self._momentum) * (value - average)

    def assign(self) -> None:
        """Gives the model the averages."""
        for variable, value in zip(self._variables, self.values, strict=True):
            variable.assign(value)

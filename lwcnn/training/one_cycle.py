"""SGD whose momentum falls while the learning rate rises, and rises while it falls.

Source: Smith 2018, arXiv 1803.09820.
"""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="lwcnn")
class OneCycleSGD(keras.optimizers.SGD):
    """SGD with `momentum` at a learning rate of zero, `lowest_momentum` at its peak, and linear between.

    Args:
        learning_rate: Peak learning rate, or a `CosineDecay` with a warm-up to it.
        momentum: Largest momentum.
        lowest_momentum: Smallest momentum.
        **arguments: Others of Keras's SGD.
    """

    def __init__(self, learning_rate=0.1, momentum=0.95, lowest_momentum=0.85, **arguments):
        super().__init__(learning_rate, momentum, **arguments)
        self.lowest_momentum = lowest_momentum
        self._peak = getattr(learning_rate, "warmup_target", learning_rate)

    def update_step(self, gradient, variable, learning_rate):
        momentum = self.momentum - (self.momentum - self.lowest_momentum) * learning_rate / self._peak
        velocity = self.momentums[self._get_variable_index(variable)]
        self.assign(velocity, momentum * ops.convert_to_tensor(velocity) - learning_rate * gradient)
        self.assign_add(variable, velocity)

    def get_config(self):
        return super().get_config() | {"lowest_momentum": self.lowest_momentum}

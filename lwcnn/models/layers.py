"""Custom Keras layers, and what all network builders need: shape checks and the channels-last format.

The layers are registered as "lwcnn>ChannelStatistics", "lwcnn>LearnedMix" and "lwcnn>SoftVoting": model files hold
these names.
"""

import contextlib
import math
from collections.abc import Iterator, Sequence

import keras
import numpy as np

from lwcnn.system.errors import wrong


@keras.saving.register_keras_serializable(package="lwcnn")
class ChannelStatistics(keras.layers.Layer):
    """Computes mean and maximum over the channels of each pixel: (n, h, w, c) -> (n, h, w, 2)."""

    def call(self, x):
        mean, largest = keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)
        return keras.ops.concatenate([mean, largest], axis=-1)


@keras.saving.register_keras_serializable(package="lwcnn")
class LearnedMix(keras.layers.Layer):
    """Mixes two feature maps with a learned weight per channel, initially 1/2 (Lee et al. 2016)."""

    def build(self, input_shape):
        self.alpha = self.add_weight(
            shape=(input_shape[0][-1],), initializer=keras.initializers.Constant(0.5), name="alpha"
        )

    def call(self, inputs):
        first, second = inputs
        return second + self.alpha * (first - second)


@keras.saving.register_keras_serializable(package="lwcnn")
class SoftVoting(keras.layers.Layer):
    """Averages the softmax probabilities of several logits, (n, classes) each, and returns their logarithm."""

    def call(self, inputs):
        log_shares = keras.ops.log_softmax(keras.ops.stack(inputs))
        return keras.ops.logsumexp(log_shares, axis=0) - math.log(len(inputs))


def check_shapes(input_shape: Sequence[int], num_classes: int, min_size: int, reason: str) -> None:
    """Checks image shape and number of classes of a new network; `reason` is a phrase such as "for a ResNet"."""
    sides = list(input_shape) if isinstance(input_shape, (tuple, list)) else []
    are_whole = len(sides) == 3 and all(isinstance(side, (int, np.integer)) for side in sides)
    if not are_whole or min(sides[:2]) < min_size or sides[2] < 1:
        advice = f"input_shape must be (height, width, channels) with height and width of at least {min_size} {reason}"
        raise wrong(advice, f"{input_shape!r}")
    if not isinstance(num_classes, (int, np.integer)) or num_classes < 2:
        raise wrong("num_classes must be an integer of at least 2", f"{num_classes!r}")


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Sets Keras's image data format for a block or, as a decorator, for the function that builds a network."""
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)

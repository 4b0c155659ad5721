"""Custom Keras layers, and what every builder of a network checks and assumes.

The layers are registered as "lwcnn>StochasticDepth" and "lwcnn>ChannelStatistics": model files hold these names.
"""

import contextlib
from collections.abc import Iterator, Sequence

import keras

from lwcnn.system.errors import LwcnnError


@keras.saving.register_keras_serializable(package="lwcnn")
class StochasticDepth(keras.layers.Layer):
    """Drops a residual branch per image with probability `rate` in training; scales survivors by 1 / (1 - rate).

    Args:
        rate: Float from 0 up to, but not including, 1. Fraction of the images whose values become zero.
        seed: Integer seed of the random numbers; None draws one.

    Raises:
        LwcnnError: The rate is out of range.

    Source: Huang et al. 2016; per image, as in "drop path".
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 <= rate < 1:
            raise LwcnnError(f"{self.name}: rate must be at least 0 and less than 1. Received: rate={rate}")
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def factors(self, count):
        """Draws the training factor of each of `count` images, 0 or 1 / (1 - rate): shape (count,)."""
        keep = keras.random.uniform((count,), seed=self.seed_generator) >= self.rate
        return keras.ops.cast(keep, "float32") / (1 - self.rate)

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        shape = (-1,) + (1,) * (len(x.shape) - 1)  # (n, 1, 1, 1) for feature maps
        return x * keras.ops.cast(keras.ops.reshape(self.factors(keras.ops.shape(x)[0]), shape), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras.saving.register_keras_serializable(package="lwcnn")
class ChannelStatistics(keras.layers.Layer):
    """Computes mean and maximum over the channels of each pixel: (n, h, w, c) -> (n, h, w, 2)."""

    def call(self, x):
        mean, largest = keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)
        return keras.ops.concatenate([mean, largest], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)


def check_shapes(input_shape: Sequence[int], num_classes: int, min_size: int, reason: str) -> None:
    """Checks the image shape and the number of classes of a new network.

    Args:
        input_shape: (height, width, channels) of one image.
        num_classes: Number of classes.
        min_size: Minimum height and width in pixels.
        reason: End of the sentence "height and width of at least 8 ...", such as "for MobileNetV2".

    Raises:
        LwcnnError: The image is too small or has no channels, or there are fewer than two classes.
    """
    if len(input_shape) != 3 or min(input_shape[:2]) < min_size or input_shape[2] < 1:
        raise LwcnnError(
            f"input_shape must be (height, width, channels) with height and width of at least {min_size} {reason}. "
            f"Received: {tuple(input_shape)}"
        )
    if num_classes < 2:
        raise LwcnnError(f"num_classes must be at least 2. Received: {num_classes}")


@contextlib.contextmanager
def channels_last() -> Iterator[None]:
    """Sets Keras's `image_data_format` to "channels_last" within a block or, as a decorator, within a builder.

    Layers read the setting when they are created, and `keras.applications` builds another network for each format.
    """
    before = keras.config.image_data_format()
    keras.config.set_image_data_format("channels_last")
    try:
        yield
    finally:
        keras.config.set_image_data_format(before)

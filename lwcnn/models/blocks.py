"""The building blocks of the residual networks: functions (x, ..., name) -> x on the functional API.

Every layer's name derives from the block's, so that it can be found for freezing, heat maps and conversion.
"""

import keras
from keras import layers

from lwcnn.models.configs import EPSILON, MOMENTUM
from lwcnn.system.errors import LwcnnError

ACTIVATIONS = ("relu", "hard_silu", "silu", "gelu", "leaky_relu")


def depthwise_block_layers(
    filters: int, channels: int, expansion: float, kernel_size: int, se_reduction: int | None, name: str
) -> dict[str, layers.Layer]:
    """The layers with weights of `depthwise_block`, by role, unbuilt."""
    hidden = hidden_width(channels, expansion)
    found = {
        "depthwise": layers.DepthwiseConv2D(kernel_size, padding="same", use_bias=False, name=f"{name}_depthwise"),
        "norm": layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=f"{name}_norm"),
        "expand": layers.Conv2D(hidden, 1, kernel_initializer="he_normal", name=f"{name}_expand"),
        "project": layers.Conv2D(filters, 1, name=f"{name}_project"),
    }
    if se_reduction:
        found |= squeeze_excite_layers(filters, se_reduction, name)
    return found


def hidden_width(channels: int, expansion: float) -> int:
    """The expanded width: a multiple of 8, which the CPU's vectors hold without a rest."""
    return max(8, round(channels * expansion / 8) * 8)


def squeeze_excite_layers(
    channels: int, reduction: int, name: str, use_bias: bool = True, initializer: str = "he_normal"
) -> dict[str, layers.Layer]:
    """The two dense layers of squeeze-and-excitation (Hu et al. 2018), by role, unbuilt.

    Raises:
        LwcnnError: if the reduction exceeds the channels, so that nothing would be left of them.
    """
    if not 1 <= reduction <= channels:
        raise LwcnnError(
            f"{name}: squeeze-and-excitation can reduce {channels} channels by 1 to {channels}. "
            f"Received: se_reduction={reduction}"
        )
    squeezed = max(1, channels // reduction)
    return {
        "squeeze": layers.Dense(
            squeezed, activation="relu", use_bias=use_bias, kernel_initializer=initializer, name=f"{name}_squeeze"
        ),
        "excite": layers.Dense(channels, activation="sigmoid", use_bias=use_bias, name=f"{name}_excite"),
    }


def squeeze_excite(x, found: dict[str, layers.Layer], name: str):
    """x (n, h, w, c), each channel times a factor in (0, 1) that depends on all channels' means."""
    factor = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)  # (n, 1, 1, c)
    factor = found["excite"](found["squeeze"](factor))
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def depthwise_block(
    x,
    filters: int,
    expansion: float = 2,
    kernel_size: int = 5,
    activation: str = "hard_silu",
    se_reduction: int | None = 16,
    drop_rate: float = 0.0,
    residual: bool = True,
    name: str = "block",
):
    """Depthwise convolution and batch norm, two pointwise convolutions, squeeze-and-excitation, plus the input.

    The order is that of ConvNeXt (Liu et al. 2022): the depthwise convolution works on the narrow side, so the
    wide maps see one activation and nothing else.

    Args:
        x: (n, h, w, c).
        filters: width of the output; the input is added only if it is c.
        expansion: the hidden width as a multiple of c, rounded to a multiple of 8.
        kernel_size: odd.
        activation: between the pointwise convolutions.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        drop_rate: of stochastic depth (Huang et al. 2016): the share of images for which the block is skipped.
        residual: whether to add the input.
        name: beginning of the layers' names.

    Returns:
        (n, h, w, filters).
    """
    channels = x.shape[-1]
    found = depthwise_block_layers(filters, channels, expansion, kernel_size, se_reduction, name)
    y = found["norm"](found["depthwise"](x))
    y = found["project"](layers.Activation(activation, name=f"{name}_activation")(found["expand"](y)))
    if se_reduction:
        y = squeeze_excite(y, found, name)
    if drop_rate:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    if residual and filters == channels:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


@keras.saving.register_keras_serializable(package="lwcnn")
class StochasticDepth(layers.Layer):
    """Sets all of an image's values to zero with probability `rate` in training, and scales the others up.

    Args:
        rate: 0 up to 1.
        seed: of the draws; None draws one.

    Source: Huang et al. 2016, per image as in "drop path".
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        _check_rate(self.name, rate)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def factors(self, count):
        """What each of `count` images is multiplied with in training: 0 or 1 / (1 - rate), shape (count,)."""
        keep = keras.random.uniform((count,), seed=self.seed_generator) >= self.rate
        return keras.ops.cast(keep, "float32") / (1 - self.rate)

    def call(self, x, training=False):
        if not training or not self.rate:
            return x
        shape = (-1,) + (1,) * (len(x.shape) - 1)
        return x * keras.ops.cast(keras.ops.reshape(self.factors(keras.ops.shape(x)[0]), shape), x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


def _check_rate(name: str, rate: float) -> None:
    if not 0 <= rate < 1:
        raise LwcnnError(f"{name}: rate must be from 0 up to 1. Received: rate={rate}")

"""Building blocks of the networks: functions (x, ..., name) -> x on feature maps (n, h, w, c).

Every layer's name starts with the block's, so that layers can be found for freezing, heatmaps and conversion.
"""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import keras
from keras import layers

from lwcnn.models.configs import EPSILON, MOMENTUM, ResidualSEConfig, Stage
from lwcnn.models.layers import ChannelStatistics, LearnedMix
from lwcnn.system.errors import wrong

ACTIVATIONS = ("relu", "hard_silu", "silu", "gelu", "leaky_relu", "prelu")
ATTENTIONS = ("se", "eca")
POOLINGS = ("max", "average", "hybrid")
LEAKY_SLOPE = 0.1  # the SE-ResNet's code; Keras's default is 0.2
PRELU_SLOPE = 0.25  # initial; He et al. 2015
ECA_KERNEL_SIZE = 5  # the rule of Wang et al. 2020 gives 3 for 16 to 127 channels
SPATIAL_KERNEL_SIZE = 7  # Woo et al. 2018
PER_IMAGE = (None, 1, 1, 1)  # of stochastic depth: one draw per image (Huang et al. 2016: one per batch)

Tensor: TypeAlias = keras.KerasTensor


def residual_block(x: Tensor, config: ResidualSEConfig, stage: Stage, name: str, drop_rate: float) -> Tensor:
    """Applies a block of the configured kind and adds its input where the widths are equal.

    In training, the output of a block with such a shortcut is dropped per image with probability `drop_rate`.
    """
    y = BLOCKS[config.block](x, config, stage, name)
    if not config.residual or x.shape[-1] != y.shape[-1]:
        return y
    if drop_rate:
        y = layers.Dropout(drop_rate, noise_shape=PER_IMAGE, name=f"{name}_drop")(y)
    return layers.Add(name=f"{name}_add")([x, y])


def depthwise_block(x: Tensor, config: ResidualSEConfig, stage: Stage, name: str, gated: bool = False) -> Tensor:
    """Applies a depthwise convolution, an expansion, a projection and channel attention.

    The order is that of ConvNeXt (Liu et al. 2022): the depthwise convolution works on the narrow feature maps, and
    only one activation works on the wide ones. If `gated`, a second expansion multiplies the activated one (gated
    linear unit: Shazeer 2020, arXiv 2002.05202).
    """
    hidden = hidden_width(x.shape[-1], stage.expansion)
    y = _depthwise_norm(x, stage.kernel_size, name)
    if config.branch_kernels:
        sizes = enumerate(config.branch_kernels, start=1)
        branches = [_depthwise_norm(x, size, f"{name}_branch{i}") for i, size in sizes]
        y = layers.Add(name=f"{name}_sum")([y, *branches])
    expanded = layers.Conv2D(hidden, 1, kernel_initializer="he_normal", name=f"{name}_expand")(y)  # (n, h, w, hidden)
    expanded = activate(expanded, config.activation, f"{name}_activation")
    if gated:
        gate = layers.Conv2D(hidden, 1, kernel_initializer="he_normal", name=f"{name}_gate")(y)
        expanded = layers.Multiply(name=f"{name}_gated")([expanded, gate])
    y = layers.Conv2D(stage.filters, 1, name=f"{name}_project")(expanded)  # (n, h, w, filters)
    return attend(y, config, name)


def _depthwise_norm(x: Tensor, kernel_size: int, name: str) -> Tensor:
    x = layers.DepthwiseConv2D(kernel_size, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    return batch_norm(f"{name}_norm")(x)


def hidden_width(channels: int, expansion: float) -> int:
    """Returns the expanded width, rounded to a multiple of 8, at least 8, to fill the vector registers of a CPU."""
    return max(8, round(channels * expansion / 8) * 8)


def plain_block(x: Tensor, config: ResidualSEConfig, stage: Stage, name: str) -> Tensor:
    """Applies a full convolution, batch norm, activation and channel attention."""
    y = activate(conv_norm(x, stage.filters, stage.kernel_size, name), config.activation, f"{name}_activation")
    return attend(y, config, name)


def cbam_block(x: Tensor, config: ResidualSEConfig, stage: Stage, name: str) -> Tensor:
    """Applies `depthwise_block` and spatial attention: CBAM whose channel attention has no max-pooling."""
    return spatial_attention(depthwise_block(x, config, stage, name), f"{name}_spatial")


BLOCKS: dict[str, Callable[..., Tensor]] = {
    "depthwise": depthwise_block,
    "plain": plain_block,
    "cbam": cbam_block,
    "glu": partial(depthwise_block, gated=True),
}


def attend(x: Tensor, config: ResidualSEConfig, name: str) -> Tensor:
    if config.attention == "eca":
        return efficient_channel_attention(x, name)
    return squeeze_excite(x, config.se_reduction, name) if config.se_reduction else x


def efficient_channel_attention(x: Tensor, name: str) -> Tensor:
    """Scales each channel by a factor computed from its mean and its four neighbors' (ECA-Net, arXiv 1910.03151)."""
    channels, excite = x.shape[-1], {"padding": "same", "use_bias": False, "activation": "sigmoid"}
    factor = layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)  # (n, c)
    factor = layers.Reshape((channels, 1), name=f"{name}_row")(factor)
    factor = layers.Conv1D(1, ECA_KERNEL_SIZE, name=f"{name}_excite", **excite)(factor)
    factor = layers.Reshape((1, 1, channels), name=f"{name}_factor")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def squeeze_excite(
    x: Tensor, reduction: int, name: str, use_bias: bool = True, initializer: str = "he_normal"
) -> Tensor:
    """Scales each channel by a factor computed from the means of all channels, in two dense layers (Hu et al. 2018)."""
    channels = x.shape[-1]
    if not 1 <= reduction <= channels:
        advice = f"{name}: squeeze-and-excitation can reduce {channels} channels by 1 to {channels}"
        raise wrong(advice, f"se_reduction={reduction}")
    factor = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)  # (n, 1, 1, c)
    squeeze = {"activation": "relu", "use_bias": use_bias, "kernel_initializer": initializer}
    factor = layers.Dense(channels // reduction, name=f"{name}_squeeze", **squeeze)(factor)
    factor = layers.Dense(channels, activation="sigmoid", use_bias=use_bias, name=f"{name}_excite")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def spatial_attention(x: Tensor, name: str) -> Tensor:
    """Scales each pixel by a factor computed from channel means and maxima around it."""
    factor = ChannelStatistics(name=f"{name}_statistics")(x)  # (n, h, w, 2)
    factor = layers.Conv2D(1, SPATIAL_KERNEL_SIZE, padding="same", activation="sigmoid", name=f"{name}_conv")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def conv_norm(
    x: Tensor,
    filters: int,
    kernel_size: int,
    name: str,
    strides: int = 1,
    use_bias: bool = False,
    initializer: str = "he_normal",
    momentum: float = MOMENTUM,
) -> Tensor:
    """Applies a "same" convolution and batch norm: (n, h, w, c) -> (n, h / strides, w / strides, filters)."""
    settings = {"padding": "same", "use_bias": use_bias, "kernel_initializer": initializer}
    x = layers.Conv2D(filters, kernel_size, strides, name=f"{name}_conv", **settings)(x)
    return batch_norm(f"{name}_norm", momentum)(x)


def batch_norm(name: str, momentum: float = MOMENTUM) -> layers.Layer:
    return layers.BatchNormalization(epsilon=EPSILON, momentum=momentum, name=name)


def activate(x: Tensor, activation: str, name: str) -> Tensor:
    """Applies an activation as a layer: "leaky_relu" with the slope `LEAKY_SLOPE`, "prelu" with one per channel."""
    if activation == "leaky_relu":
        return layers.LeakyReLU(LEAKY_SLOPE, name=name)(x)
    if activation == "prelu":
        slope = keras.initializers.Constant(PRELU_SLOPE)
        return layers.PReLU(alpha_initializer=slope, shared_axes=[1, 2], name=name)(x)
    return layers.Activation(activation, name=name)(x)


def pool(x: Tensor, kind: str, name: str, whole: bool = False) -> Tensor:
    """Halves the resolution by one of `POOLINGS`; with `whole`, pools all pixels to (n, 1, 1, c)."""
    if kind == "hybrid":
        return LearnedMix(name=name)([pool(x, one, f"{name}_{one}", whole) for one in ("max", "average")])
    if whole:
        layer = layers.GlobalMaxPooling2D if kind == "max" else layers.GlobalAveragePooling2D
        return layer(keepdims=True, name=name)(x)
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(2, name=name)(x)

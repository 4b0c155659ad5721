"""Building blocks of the residual squeeze-and-excitation network: functions (x, ..., name) -> x.

They call Keras layers on symbolic tensors. Every layer's name starts with the block's, so that layers can be found for
freezing, heatmaps and conversion.
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from lwcnn.models.configs import EPSILON, MOMENTUM
from lwcnn.models.layers import ChannelStatistics, LearnedMix, StochasticDepth
from lwcnn.system.errors import LwcnnError

ACTIVATIONS = ("relu", "hard_silu", "silu", "gelu", "leaky_relu", "prelu")
ATTENTIONS = ("se", "eca")
POOLINGS = ("max", "average", "hybrid")
LEAKY_SLOPE = 0.1  # the SE-ResNet's code; Keras's default is 0.2
PRELU_SLOPE = 0.25  # initial; He et al. 2015
ECA_KERNEL_SIZE = 5
SPATIAL_KERNEL_SIZE = 7  # Woo et al. 2018


def depthwise_block(
    x: keras.KerasTensor,
    filters: int,
    expansion: float = 2,
    kernel_size: int = 5,
    activation: str = "hard_silu",
    se_reduction: int | None = 16,
    drop_rate: float = 0.0,
    residual: bool = True,
    name: str = "block",
    attention: str = "se",
    branch_kernels: Sequence[int] = (),
    gated: bool = False,
) -> keras.KerasTensor:
    """Applies a depthwise convolution, an expansion and a projection, channel attention, and adds the input.

    The order is that of ConvNeXt (Liu et al. 2022): the depthwise convolution works on the narrow feature maps, and
    only one activation works on the wide ones.

    Args:
        x: Feature maps, shape (n, h, w, c).
        filters: Number of output channels.
        expansion: Hidden width as a multiple of c, rounded to a multiple of 8.
        kernel_size: Odd integer. Side of the depthwise kernel.
        activation: Activation between expansion and projection.
        se_reduction: Reduction ratio of squeeze-and-excitation; None omits it.
        drop_rate: Rate of stochastic depth, 0 up to 1.
        residual: Whether to add the input, where `filters` equals c.
        name: Prefix of the layers' names.
        attention: Kind of channel attention: "se", or "eca", which has no reduction.
        branch_kernels: Kernel sides of parallel depthwise convolutions, whose normalized outputs are added.
        gated: Whether a second expansion multiplies the activated one.
    """
    hidden = hidden_width(x.shape[-1], expansion)
    y = _depthwise_norm(x, kernel_size, name)
    if branch_kernels:
        branches = [_depthwise_norm(x, size, f"{name}_branch{i}") for i, size in enumerate(branch_kernels, start=1)]
        y = layers.Add(name=f"{name}_sum")([y, *branches])
    expanded = layers.Conv2D(hidden, 1, kernel_initializer="he_normal", name=f"{name}_expand")(y)  # (n, h, w, hidden)
    expanded = activate(expanded, activation, f"{name}_activation")
    if gated:
        gate = layers.Conv2D(hidden, 1, kernel_initializer="he_normal", name=f"{name}_gate")(y)
        expanded = layers.Multiply(name=f"{name}_gated")([expanded, gate])
    y = layers.Conv2D(filters, 1, name=f"{name}_project")(expanded)  # (n, h, w, filters)
    y = attend(y, attention, se_reduction, name)
    return _add_input(x, y, drop_rate, residual, name)


def _depthwise_norm(x: keras.KerasTensor, kernel_size: int, name: str) -> keras.KerasTensor:
    x = layers.DepthwiseConv2D(kernel_size, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    return batch_norm(f"{name}_norm")(x)


def glu_block(x: keras.KerasTensor, filters: int, **arguments: Any) -> keras.KerasTensor:
    """Applies `depthwise_block` with a gated linear unit as expansion; `arguments` are the block's others.

    Source: Shazeer 2020, arXiv 2002.05202.
    """
    return depthwise_block(x, filters, gated=True, **arguments)


def hidden_width(channels: int, expansion: float) -> int:
    """Returns the expanded width, rounded to a multiple of 8: whole vectors of a CPU."""
    return max(8, round(channels * expansion / 8) * 8)


def plain_block(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int = 3,
    activation: str = "hard_silu",
    se_reduction: int | None = 16,
    drop_rate: float = 0.0,
    residual: bool = True,
    name: str = "block",
    attention: str = "se",
) -> keras.KerasTensor:
    """Applies a full convolution, batch norm, activation and channel attention, and adds the input.

    Arguments are those of `depthwise_block`.
    """
    y = activate(conv_norm(x, filters, kernel_size, name=name), activation, f"{name}_activation")
    y = attend(y, attention, se_reduction, name)
    return _add_input(x, y, drop_rate, residual, name)


def cbam_block(
    x: keras.KerasTensor,
    filters: int,
    drop_rate: float = 0.0,
    residual: bool = True,
    name: str = "block",
    **arguments: Any,
) -> keras.KerasTensor:
    """Applies `depthwise_block` with the same arguments, then spatial attention ("CBAM-lite"), and adds the input.

    Source: Woo et al. 2018, without the max-pooled path of channel attention ("lite").
    """
    y = depthwise_block(x, filters, residual=False, name=name, **arguments)
    y = spatial_attention(y, f"{name}_spatial")
    return _add_input(x, y, drop_rate, residual, name)


def _add_input(
    x: keras.KerasTensor, y: keras.KerasTensor, drop_rate: float, residual: bool, name: str
) -> keras.KerasTensor:
    """Applies stochastic depth to the residual branch `y` and adds the input `x` where the widths are equal."""
    if drop_rate:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    if residual and x.shape[-1] == y.shape[-1]:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def attend(x: keras.KerasTensor, attention: str, se_reduction: int | None, name: str) -> keras.KerasTensor:
    """Applies channel attention: "eca", or "se" unless its reduction is None."""
    if attention == "eca":
        return efficient_channel_attention(x, name)
    return squeeze_excite(x, se_reduction, name) if se_reduction else x


def efficient_channel_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Scales each channel by a factor in (0, 1) computed from its mean and its four neighbors': shape unchanged.

    Source: Wang et al. 2020, arXiv 1910.03151, with a kernel of 5 for every width.
    """
    channels = x.shape[-1]
    factor = layers.GlobalAveragePooling2D(name=f"{name}_pool")(x)  # (n, c)
    factor = layers.Reshape((channels, 1), name=f"{name}_row")(factor)
    factor = layers.Conv1D(
        1, ECA_KERNEL_SIZE, padding="same", use_bias=False, activation="sigmoid", name=f"{name}_excite"
    )(factor)
    factor = layers.Reshape((1, 1, channels), name=f"{name}_factor")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def squeeze_excite(
    x: keras.KerasTensor, reduction: int, name: str, use_bias: bool = True, initializer: str = "he_normal"
) -> keras.KerasTensor:
    """Scales each channel by a factor in (0, 1) computed from the means of all channels: shape unchanged.

    Args:
        x: Feature maps, shape (n, h, w, c).
        reduction: Integer from 1 to c. The hidden layer has c // reduction units.
        name: Prefix of the layers' names.
        use_bias: Whether the two dense layers have biases.
        initializer: Initializer of the first dense kernel.

    Source: Hu et al. 2018.
    """
    channels = x.shape[-1]
    if not 1 <= reduction <= channels:
        raise LwcnnError(
            f"{name}: squeeze-and-excitation can reduce {channels} channels by 1 to {channels}. "
            f"Received: se_reduction={reduction}"
        )
    factor = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_pool")(x)  # (n, 1, 1, c)
    factor = layers.Dense(
        channels // reduction,
        activation="relu",
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=f"{name}_squeeze",
    )(factor)
    factor = layers.Dense(channels, activation="sigmoid", use_bias=use_bias, name=f"{name}_excite")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def spatial_attention(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Scales each pixel by a factor in (0, 1) computed from channel means and maxima around it: shape unchanged."""
    factor = ChannelStatistics(name=f"{name}_statistics")(x)  # (n, h, w, 2)
    factor = layers.Conv2D(1, SPATIAL_KERNEL_SIZE, padding="same", activation="sigmoid", name=f"{name}_conv")(factor)
    return layers.Multiply(name=f"{name}_scale")([x, factor])


def conv_norm(
    x: keras.KerasTensor,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    use_bias: bool = False,
    name: str = "conv",
    initializer: str = "he_normal",
    momentum: float = MOMENTUM,
) -> keras.KerasTensor:
    """Applies a "same" convolution and batch norm: (n, h, w, c) -> (n, h / strides, w / strides, filters)."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=f"{name}_conv",
    )(x)
    return batch_norm(f"{name}_norm", momentum)(x)


def batch_norm(name: str, momentum: float = MOMENTUM) -> layers.Layer:
    """Returns a batch normalization layer with the package's epsilon."""
    return layers.BatchNormalization(epsilon=EPSILON, momentum=momentum, name=name)


def activate(x: keras.KerasTensor, activation: str, name: str) -> keras.KerasTensor:
    """Applies an activation as a layer: "leaky_relu" with the slope `LEAKY_SLOPE`, "prelu" with one per channel."""
    if activation == "leaky_relu":
        return layers.LeakyReLU(LEAKY_SLOPE, name=name)(x)
    if activation == "prelu":
        slope = keras.initializers.Constant(PRELU_SLOPE)
        return layers.PReLU(alpha_initializer=slope, shared_axes=[1, 2], name=name)(x)
    return layers.Activation(activation, name=name)(x)


def pool(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Halves the resolution by one of `POOLINGS`: (n, h, w, c) -> (n, h / 2, w / 2, c)."""
    if kind == "hybrid":
        return LearnedMix(name=name)([pool(x, "max", f"{name}_max"), pool(x, "average", f"{name}_average")])
    layer = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
    return layer(2, name=name)(x)


def global_pool(x: keras.KerasTensor, kind: str, name: str) -> keras.KerasTensor:
    """Pools all pixels by one of `POOLINGS`: (n, h, w, c) -> (n, 1, 1, c)."""
    if kind == "hybrid":
        return LearnedMix(name=name)(
            [global_pool(x, "max", f"{name}_max"), global_pool(x, "average", f"{name}_average")]
        )
    layer = layers.GlobalMaxPooling2D if kind == "max" else layers.GlobalAveragePooling2D
    return layer(keepdims=True, name=name)(x)

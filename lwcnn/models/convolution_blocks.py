"""Residual blocks of full convolutions, and CBAM-lite: functions (x, ..., name) -> x on the functional API.

`basic_block` and `bottleneck_block` are those of the reference ResNets: they can halve the resolution and change
the width. `plain_block` and `cbam_block` stand beside `blocks.depthwise_block` in the network of `residual.py`.
"""

import keras
from keras import layers

from lwcnn.models.blocks import StochasticDepth, depthwise_block, squeeze_excite, squeeze_excite_layers
from lwcnn.models.configs import EPSILON, MOMENTUM
from lwcnn.system.errors import LwcnnError

LEAKY_SLOPE = 0.1  # the SE-ResNet's code; Keras's own default is 0.2
SPATIAL_KERNEL_SIZE = 7  # Woo et al. 2018


def conv_norm(
    x,
    filters: int,
    kernel_size: int,
    strides: int = 1,
    use_bias: bool = False,
    name: str = "conv",
    initializer: str = "he_normal",
    momentum: float = MOMENTUM,
):
    """Convolution ("same") and batch normalization, (n, h, w, c) -> (n, h / strides, w / strides, filters)."""
    x = layers.Conv2D(
        filters,
        kernel_size,
        strides,
        padding="same",
        use_bias=use_bias,
        kernel_initializer=initializer,
        name=f"{name}_conv",
    )(x)
    return layers.BatchNormalization(epsilon=EPSILON, momentum=momentum, name=f"{name}_norm")(x)


def activate(x, activation: str, name: str):
    """The activation as a layer; that of "leaky_relu" has the slope `LEAKY_SLOPE`."""
    if activation == "leaky_relu":
        return layers.LeakyReLU(LEAKY_SLOPE, name=name)(x)
    return layers.Activation(activation, name=name)(x)


def basic_block(
    x,
    filters: int,
    strides: int = 1,
    activation: str = "relu",
    se_reduction: int | None = None,
    se_bias: bool = True,
    use_bias: bool = False,
    dropout: float = 0.0,
    name: str = "block",
    initializer: str = "he_normal",
    momentum: float = MOMENTUM,
):
    """Two 3x3 convolutions with batch norm, squeeze-and-excitation, plus the input or its projection, activated.

    Args:
        x: (n, h, w, c).
        filters: width of the output.
        strides: of the first convolution and of the projection.
        activation: after the first convolution and after the addition.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        se_bias: whether its two dense layers have biases.
        use_bias: whether the convolutions have biases, the projection as well.
        dropout: share of whole channels that is dropped before the addition, 0 up to 1.
        name: beginning of the layers' names.
        initializer: of the kernels but for those of squeeze-and-excitation's second layer.
        momentum: of batch norm's moving statistics.

    Returns:
        (n, h / strides, w / strides, filters).

    Source: He et al. 2016; a projection is a 1x1 convolution with batch norm, where the shape changes.
    """
    drawn = {"use_bias": use_bias, "initializer": initializer, "momentum": momentum}
    y = conv_norm(x, filters, 3, strides, name=f"{name}_1", **drawn)
    y = conv_norm(activate(y, activation, f"{name}_1_activation"), filters, 3, name=f"{name}_2", **drawn)
    y = _attend_and_drop(y, se_reduction, se_bias, dropout, name, initializer)
    return _add_shortcut(x, y, strides, activation, name, **drawn)


def bottleneck_block(
    x,
    filters: int,
    inner: int,
    kernel_sizes: tuple[int, int, int] = (1, 3, 1),
    strides: int = 1,
    activation: str = "relu",
    se_reduction: int | None = None,
    se_bias: bool = True,
    use_bias: bool = False,
    dropout: float = 0.0,
    name: str = "block",
):
    """Three convolutions with batch norm, the first two `inner` wide; otherwise as `basic_block`.

    Args:
        x: (n, h, w, c).
        filters: width of the output.
        inner: width of the first two convolutions.
        kernel_sizes: of the three.
        strides: of the middle convolution and of the projection.
        activation: after the first two convolutions and after the addition.
        se_reduction, se_bias, use_bias, dropout, name: as of `basic_block`.

    Returns:
        (n, h / strides, w / strides, filters).

    Raises:
        LwcnnError: if there are not three kernel sizes.
    """
    if len(kernel_sizes) != 3:
        raise LwcnnError(f"{name}: a bottleneck block has three convolutions. Received: kernel_sizes={kernel_sizes}")
    y = x
    for i, (kernel_size, width) in enumerate(zip(kernel_sizes, (inner, inner, filters)), start=1):
        y = conv_norm(y, width, kernel_size, strides if i == 2 else 1, use_bias, f"{name}_{i}")
        if i < 3:
            y = activate(y, activation, f"{name}_{i}_activation")
    y = _attend_and_drop(y, se_reduction, se_bias, dropout, name)
    return _add_shortcut(x, y, strides, activation, name, use_bias=use_bias)


def _attend_and_drop(
    y, se_reduction: int | None, se_bias: bool, dropout: float, name: str, initializer: str = "he_normal"
):
    if se_reduction:
        y = squeeze_excite(y, squeeze_excite_layers(y.shape[-1], se_reduction, name, se_bias, initializer), name)
    if dropout:
        y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    return y


def _add_shortcut(x, y, strides: int, activation: str, name: str, **drawn):
    if strides != 1 or x.shape[-1] != y.shape[-1]:
        x = conv_norm(x, y.shape[-1], 1, strides, name=f"{name}_shortcut", **drawn)
    y = layers.Add(name=f"{name}_add")([x, y])
    return activate(y, activation, f"{name}_activation")


def plain_block(
    x,
    filters: int,
    kernel_size: int = 3,
    activation: str = "hard_silu",
    se_reduction: int | None = 16,
    drop_rate: float = 0.0,
    residual: bool = True,
    name: str = "block",
):
    """One full convolution with batch norm and activation, squeeze-and-excitation, plus the input.

    Args:
        x: (n, h, w, c).
        filters: width of the output; the input is added only if it is c.
        kernel_size: odd.
        activation: after the convolution.
        se_reduction: of squeeze-and-excitation; None leaves it out.
        drop_rate: of stochastic depth.
        residual: whether to add the input.
        name: beginning of the layers' names.

    Returns:
        (n, h, w, filters).
    """
    y = activate(conv_norm(x, filters, kernel_size, name=name), activation, f"{name}_activation")
    y = _attend_and_drop(y, se_reduction, True, 0.0, name)
    return _add_input(x, y, drop_rate, residual, name)


def cbam_block(
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
    """`blocks.depthwise_block` with CBAM-lite in place of squeeze-and-excitation; arguments as there.

    Source: Woo et al. 2018, less the channel attention's second, max-pooled path ("lite").
    """
    y = depthwise_block(x, filters, expansion, kernel_size, activation, se_reduction, residual=False, name=name)
    y = spatial_attention(y, f"{name}_spatial")
    return _add_input(x, y, drop_rate, residual, name)


def _add_input(x, y, drop_rate: float, residual: bool, name: str):
    if drop_rate:
        y = StochasticDepth(drop_rate, name=f"{name}_drop")(y)
    if residual and x.shape[-1] == y.shape[-1]:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y


def spatial_attention(x, name: str):
    """x (n, h, w, c), each pixel times a factor in (0, 1) that depends on the mean and maximum of those around it."""
    y = ChannelStatistics(name=f"{name}_statistics")(x)
    y = layers.Conv2D(1, SPATIAL_KERNEL_SIZE, padding="same", activation="sigmoid", name=f"{name}_conv")(y)
    return layers.Multiply(name=f"{name}_scale")([x, y])


@keras.saving.register_keras_serializable(package="lwcnn")
class ChannelStatistics(layers.Layer):
    """Mean and maximum over the channels of each pixel, (n, h, w, c) -> (n, h, w, 2)."""

    def call(self, x):
        mean, largest = keras.ops.mean(x, axis=-1, keepdims=True), keras.ops.max(x, axis=-1, keepdims=True)
        return keras.ops.concatenate([mean, largest], axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], 2)

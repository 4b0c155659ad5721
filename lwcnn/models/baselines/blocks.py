"""Residual blocks of the reference ResNets: they can reduce the resolution and change the width."""

from functools import partial

import keras
from keras import layers

from lwcnn.models.blocks import activate, conv_norm, squeeze_excite
from lwcnn.models.configs import MOMENTUM
from lwcnn.system.errors import LwcnnError


def basic_block(
    x: keras.KerasTensor,
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
) -> keras.KerasTensor:
    """Applies two 3x3 convolutions with batch norm and squeeze-and-excitation, adds the shortcut, and activates.

    Args:
        x: Feature maps, shape (n, h, w, c).
        filters: Number of output channels.
        strides: Stride of the first convolution and of the shortcut's projection.
        activation: Activation after the first convolution and after the addition.
        se_reduction: Reduction ratio of squeeze-and-excitation; None omits it.
        se_bias: Whether its two dense layers have biases.
        use_bias: Whether the convolutions, the projection included, have biases.
        dropout: Fraction of whole channels dropped before the addition, 0 up to 1.
        name: Prefix of the layers' names.
        initializer: Initializer of the kernels, except that of the second dense layer.
        momentum: Momentum of batch norm's moving statistics.

    Source: He et al. 2016. Where the shape changes, the shortcut is a 1x1 convolution with batch norm.
    """
    conv = partial(conv_norm, use_bias=use_bias, initializer=initializer, momentum=momentum)
    y = activate(conv(x, filters, 3, strides, name=f"{name}_1"), activation, f"{name}_1_activation")
    y = conv(y, filters, 3, name=f"{name}_2")
    if se_reduction:
        y = squeeze_excite(y, se_reduction, name, se_bias, initializer)
    if dropout:
        y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    if _needs_projection(x, y, strides):
        x = conv(x, filters, 1, strides, name=f"{name}_shortcut")
    return activate(layers.Add(name=f"{name}_add")([x, y]), activation, f"{name}_activation")


def bottleneck_block(
    x: keras.KerasTensor,
    filters: int,
    inner: int,
    kernel_sizes: tuple[int, int, int] = (1, 3, 1),
    strides: int = 1,
    activation: str = "relu",
    se_reduction: int | None = None,
    se_bias: bool = True,
    dropout: float = 0.0,
    name: str = "block",
) -> keras.KerasTensor:
    """Applies three convolutions, the first two `inner` channels wide; otherwise as `basic_block`.

    Args:
        kernel_sizes: Kernel sides of the three convolutions.
        strides: Stride of the second convolution and of the shortcut's projection.
    """
    if len(kernel_sizes) != 3:
        raise LwcnnError(f"{name}: a bottleneck block has three convolutions. Received: kernel_sizes={kernel_sizes}")
    y = activate(conv_norm(x, inner, kernel_sizes[0], name=f"{name}_1"), activation, f"{name}_1_activation")
    y = activate(conv_norm(y, inner, kernel_sizes[1], strides, name=f"{name}_2"), activation, f"{name}_2_activation")
    y = conv_norm(y, filters, kernel_sizes[2], name=f"{name}_3")
    if se_reduction:
        y = squeeze_excite(y, se_reduction, name, se_bias)
    if dropout:
        y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    if _needs_projection(x, y, strides):
        x = conv_norm(x, filters, 1, strides, name=f"{name}_shortcut")
    return activate(layers.Add(name=f"{name}_add")([x, y]), activation, f"{name}_activation")


def _needs_projection(x: keras.KerasTensor, y: keras.KerasTensor, strides: int) -> bool:
    return strides != 1 or x.shape[-1] != y.shape[-1]

"""Residual blocks of the reference ResNets: they can reduce the resolution and change the width."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import keras
from keras import layers

from lwcnn.models.blocks import activate, conv_norm, squeeze_excite
from lwcnn.models.configs import MOMENTUM
from lwcnn.system.errors import LwcnnError


def basic_block(x: keras.KerasTensor, filters: int, strides: int = 1, **arguments: Any) -> keras.KerasTensor:
    """Applies `residual_block` with two 3x3 convolutions; the first has the strides."""
    return residual_block(x, ((filters, 3, strides), (filters, 3, 1)), **arguments)


def bottleneck_block(
    x: keras.KerasTensor,
    filters: int,
    inner: int,
    kernel_sizes: tuple[int, int, int] = (1, 3, 1),
    strides: int = 1,
    **arguments: Any,
) -> keras.KerasTensor:
    """Applies `residual_block` with three convolutions, two of them `inner` wide; the second has the strides.

    Raises:
        LwcnnError: There are not three kernel sizes.
    """
    if len(kernel_sizes) != 3:
        raise LwcnnError(f"A bottleneck block has three convolutions. Received: kernel_sizes={kernel_sizes}")
    first, second, third = kernel_sizes
    return residual_block(x, ((inner, first, 1), (inner, second, strides), (filters, third, 1)), **arguments)


def residual_block(
    x: keras.KerasTensor,
    convolutions: Sequence[tuple[int, int, int]],
    activation: str = "relu",
    se_reduction: int | None = None,
    se_bias: bool = True,
    use_bias: bool = False,
    dropout: float = 0.0,
    name: str = "block",
    initializer: str = "he_normal",
    momentum: float = MOMENTUM,
) -> keras.KerasTensor:
    """Applies convolutions with batch norm and squeeze-and-excitation, adds the shortcut, and activates.

    Args:
        x: Feature maps, shape (n, h, w, c).
        convolutions: (filters, kernel size, strides) of each convolution.
        activation: Activation after each convolution but the last, and after the addition.
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
    y = x
    for i, (filters, kernel_size, strides) in enumerate(convolutions, start=1):
        y = conv(y, filters, kernel_size, strides, name=f"{name}_{i}")
        if i < len(convolutions):
            y = activate(y, activation, f"{name}_{i}_activation")
    if se_reduction:
        y = squeeze_excite(y, se_reduction, name, se_bias, initializer)
    if dropout:
        y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    strides = max(strides for _, _, strides in convolutions)
    if strides != 1 or x.shape[-1] != y.shape[-1]:
        x = conv(x, y.shape[-1], 1, strides, name=f"{name}_shortcut")
    return activate(layers.Add(name=f"{name}_add")([x, y]), activation, f"{name}_activation")

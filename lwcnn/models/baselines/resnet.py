"""Residual networks of full convolutions: one builder and one residual block for all configurations."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
from keras import layers

from lwcnn.models.blocks import activate, conv_norm, squeeze_excite
from lwcnn.models.configs import ResNetConfig, ResNetStage
from lwcnn.models.layers import channels_last, check_shapes
from lwcnn.system.errors import require_known


@channels_last()
def build_resnet(input_shape: Sequence[int], num_classes: int, config: ResNetConfig) -> keras.Model:
    """Builds a residual network of full convolutions; arguments and result as in `build_network`."""
    check_shapes(input_shape, num_classes, 8, "for a ResNet")
    require_known("block", config.block, ("basic", "bottleneck"))
    images = keras.Input(tuple(input_shape), name="images")
    x = _normalize(images, config.normalization)
    x = activate(conv_norm(x, config.stem, 3, "stem"), config.activation, "stem_activation")
    reduction = config.se_reduction
    attend = partial(squeeze_excite, reduction=reduction, use_bias=config.se_bias) if reduction else None
    for i, stage in enumerate(config.stages, start=1):
        for j in range(1, stage.blocks + 1):
            convolutions, name = _convolutions(config, stage, stage.stride if j == 1 else 1), f"stage{i}_block{j}"
            x = resnet_block(x, convolutions, name, config.activation, attend, config.block_dropout)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="head_dropout")(x)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="resnet")


def resnet_block(
    x: keras.KerasTensor,
    convolutions: Sequence[tuple[int, int, int]],
    name: str,
    activation: str = "relu",
    attend: Callable[..., keras.KerasTensor] | None = None,
    dropout: float = 0.0,
    conv: Callable[..., keras.KerasTensor] = conv_norm,
) -> keras.KerasTensor:
    """Applies convolutions with batch norm and channel attention, adds the shortcut, and activates.

    `convolutions` lists (filters, kernel size, strides). Where the shape changes, the shortcut is a 1x1 convolution.
    `conv` and `attend` are `conv_norm` and `squeeze_excite` with settings, or None for no attention. `dropout` drops
    whole channels before the addition. Source: He et al. 2016.
    """
    y = x
    for i, (filters, kernel_size, strides) in enumerate(convolutions, start=1):
        y = conv(y, filters, kernel_size, f"{name}_{i}", strides)
        if i < len(convolutions):
            y = activate(y, activation, f"{name}_{i}_activation")
    if attend:
        y = attend(y, name=name)
    if dropout:
        y = layers.SpatialDropout2D(dropout, name=f"{name}_dropout")(y)
    strides = max(strides for _, _, strides in convolutions)
    if strides != 1 or x.shape[-1] != y.shape[-1]:
        x = conv(x, y.shape[-1], 1, f"{name}_shortcut", strides)
    return activate(layers.Add(name=f"{name}_add")([x, y]), activation, f"{name}_activation")


def _convolutions(config: ResNetConfig, stage: ResNetStage, stride: int) -> tuple[tuple[int, int, int], ...]:
    """Returns (filters, kernel size, strides) of the convolutions of a block."""
    if config.block == "basic":
        return (stage.filters, 3, stride), (stage.filters, 3, 1)
    inner, (first, second, third) = int(stage.filters * config.inner), config.kernel_sizes
    return (inner, first, 1), (inner, second, stride), (stage.filters, third, 1)


def _normalize(images: keras.KerasTensor, normalization: tuple | None) -> keras.KerasTensor:
    if normalization is None:
        return layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(images)
    mean, std = (np.asarray(values, np.float64).tolist() for values in normalization)
    variance = [max(s, 1.0) ** 2 for s in std]  # a constant channel has a deviation of 0
    return layers.Normalization(mean=mean, variance=variance, name="normalization")(images)

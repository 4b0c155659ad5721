"""The reference ResNets under five million parameters: one builder for the three configurations."""

from collections.abc import Callable, Sequence
from functools import partial

import keras
import numpy as np
from keras import layers

from lwcnn.models.baselines.blocks import basic_block, bottleneck_block
from lwcnn.models.blocks import ACTIVATIONS, activate, conv_norm
from lwcnn.models.configs import NARROW_RESNET18, ResNetConfig, ResNetStage
from lwcnn.models.layers import builder
from lwcnn.system.errors import LwcnnError, unknown_name

BLOCKS = ("basic", "bottleneck")
MIN_IMAGE_SIZE = 8


@builder(MIN_IMAGE_SIZE, "for a ResNet")
def build_resnet(
    input_shape: Sequence[int],
    num_classes: int,
    config: ResNetConfig = NARROW_RESNET18,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
) -> keras.Model:
    """Builds a residual network of full convolutions; arguments and result as in `build_network`.

    Args:
        normalization: (mean, std) per channel in gray levels, 0 to 255, such as `channel_statistics` of the training
            images; None rescales 0..255 to -1..1.
    """
    _check(config)
    images = keras.Input(tuple(input_shape), name="images")
    x = _normalize(images, normalization)
    x = activate(conv_norm(x, config.stem, 3, name="stem"), config.activation, "stem_activation")
    for i, stage in enumerate(config.stages, start=1):
        for j in range(1, stage.blocks + 1):
            x = _block(config, stage)(
                x,
                strides=stage.stride if j == 1 else 1,
                activation=config.activation,
                se_reduction=config.se_reduction,
                se_bias=config.se_bias,
                dropout=config.block_dropout,
                name=f"stage{i}_block{j}",
            )
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="head_dropout")(x)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="resnet")


def _block(config: ResNetConfig, stage: ResNetStage) -> Callable[..., keras.KerasTensor]:
    """Returns the stage's block function with its widths."""
    if config.block == "basic":
        return partial(basic_block, filters=stage.filters)
    inner = int(stage.filters * config.inner)
    return partial(bottleneck_block, filters=stage.filters, inner=inner, kernel_sizes=config.kernel_sizes)


def _normalize(
    images: keras.KerasTensor, normalization: tuple[Sequence[float], Sequence[float]] | None
) -> keras.KerasTensor:
    if normalization is None:
        return layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(images)
    mean, std = (np.asarray(values, np.float64).tolist() for values in normalization)
    if not len(mean) == len(std) == images.shape[-1] or min(std) < 0:
        raise LwcnnError(
            f"normalization must be a mean and a standard deviation for each of {images.shape[-1]} channels. "
            f"Received: {normalization}"
        )
    variance = [max(s, 1.0) ** 2 for s in std]  # a constant channel has a deviation of 0
    return layers.Normalization(mean=mean, variance=variance, name="normalization")(images)


def _check(config: ResNetConfig) -> None:
    if config.block not in BLOCKS:
        raise unknown_name("block", config.block, BLOCKS)
    if config.activation not in ACTIVATIONS:
        raise LwcnnError(f"activation must be one of {ACTIVATIONS}. Received: {config.activation!r}")
    for stage in config.stages:
        narrowest = stage.filters if config.block == "basic" else int(stage.filters * config.inner)
        if narrowest < 1 or stage.blocks < 1 or stage.stride < 1:
            raise LwcnnError(f"A stage needs a width, blocks and a stride of at least 1. Received: {stage}")

"""The reference ResNets under five million parameters: one builder, and each of the three as data."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import layers

from lwcnn.models.blocks import ACTIVATIONS
from lwcnn.models.checks import channels_last, require_possible
from lwcnn.models.configs import NARROW_RESNET18, ResNetConfig
from lwcnn.models.convolution_blocks import activate, basic_block, bottleneck_block, conv_norm
from lwcnn.system.errors import LwcnnError, unknown_name

BLOCKS = ("basic", "bottleneck")
MIN_IMAGE_SIZE = 8


@channels_last()
def build_resnet(
    input_shape: Sequence[int],
    num_classes: int,
    description: ResNetConfig = NARROW_RESNET18,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
) -> keras.Model:
    """The network of a description.

    Args:
        input_shape: (height, width, channels) of one image, from 8x8.
        num_classes: at least 2.
        description: of the network.
        normalization: (mean, std) of each channel in gray levels, 0..255, as `lwcnn.channel_statistics` gives
            them for the training images; None scales 0..255 to -1..1.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the image is too small, a kind or activation unknown, or the normalization does not fit.
    """
    _check(input_shape, num_classes, description)
    images = keras.Input(tuple(input_shape), name="images")
    x = _normalize(images, normalization)
    x = activate(conv_norm(x, description.stem, 3, name="stem"), description.activation, "stem_activation")
    for i, stage in enumerate(description.stages, start=1):
        for j in range(1, stage.blocks + 1):
            arguments = {
                "filters": stage.filters,
                "strides": stage.stride if j == 1 else 1,
                "activation": description.activation,
                "se_reduction": description.se_reduction,
                "se_bias": description.se_bias,
                "dropout": description.block_dropout,
                "name": f"stage{i}_block{j}",
            }
            if description.block == "basic":
                x = basic_block(x, **arguments)
            else:
                inner = int(stage.filters * description.inner)
                x = bottleneck_block(x, inner=inner, kernel_sizes=description.kernel_sizes, **arguments)
    x = layers.GlobalAveragePooling2D(name="features")(x)
    if description.dropout:
        x = layers.Dropout(description.dropout, name="head_dropout")(x)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="resnet")


def _normalize(images, normalization):
    if normalization is None:
        return layers.Rescaling(1 / 127.5, offset=-1, name="rescaling")(images)
    mean, std = (np.asarray(values, np.float64).tolist() for values in normalization)
    if not len(mean) == len(std) == images.shape[-1] or min(std) < 0:
        raise LwcnnError(
            f"normalization must be a mean and a standard deviation for each of {images.shape[-1]} channels. "
            f"Received: {normalization}"
        )
    # A channel of one gray level has no deviation to divide by.
    variance = [max(s, 1.0) ** 2 for s in std]
    return layers.Normalization(mean=mean, variance=variance, name="normalization")(images)


def _check(input_shape: Sequence[int], num_classes: int, description: ResNetConfig) -> None:
    require_possible(input_shape, num_classes, MIN_IMAGE_SIZE, "for a ResNet")
    if description.block not in BLOCKS:
        raise unknown_name("block", description.block, BLOCKS)
    if description.activation not in ACTIVATIONS:
        raise LwcnnError(f"activation must be one of {ACTIVATIONS}. Received: {description.activation!r}")
    for stage in description.stages:
        narrowest = stage.filters if description.block == "basic" else int(stage.filters * description.inner)
        if narrowest < 1 or stage.blocks < 1 or stage.stride < 1:
            raise LwcnnError(f"A stage needs convolutions, blocks and a stride of at least 1. Received: {stage}")


COMPONENTS = ("stem", "blocks", "squeeze-and-excitation", "head")
SE_RESNET_PUBLISHED = {"stem": 27_648, "blocks": 4_512_320, "squeeze-and-excitation": 190_832, "head": 174_630}
"""The SE-ResNet's component table: its sum, 4,905,430, is that of the network, none of its parts is."""
RESNET_4443_PUBLISHED = {"stem": 864, "blocks": 4 * 18_432 + 4 * 73_728 + 4 * 294_912 + 3 * 1_179_648, "head": 2_560}
"""The terms of the ResNet [4,4,4,3]'s formula: said to sum to 4.87 million, they sum to 5,090,656."""


def component_counts(model: keras.Model) -> dict[str, int]:
    """Trainable parameters of a model of `build_resnet`, by component."""
    counts = dict.fromkeys(COMPONENTS, 0)
    for layer in model.layers:
        if layer.name.endswith(("_squeeze", "_excite")):
            component = "squeeze-and-excitation"
        else:
            component = {"stem": "stem", "head": "head"}.get(layer.name.split("_")[0], "blocks")
        counts[component] += sum(int(np.prod(weight.shape)) for weight in layer.trainable_weights)
    return counts


def published_and_built(published: dict[str, int], model: keras.Model) -> list[tuple[str, int, int]]:
    """(component, published, built) parameters of each published component, and of their sum: where they differ."""
    built = component_counts(model)
    rows = [(name, count, built[name]) for name, count in published.items()]
    return [*rows, ("total", sum(published.values()), sum(built.values()))]

"""The residual squeeze-and-excitation network: ours, under 30,000 parameters, from a description as data."""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.blocks import ACTIVATIONS, depthwise_block
from lwcnn.models.checks import channels_last, require_possible
from lwcnn.models.configs import EPSILON, MOMENTUM, ResidualSEConfig
from lwcnn.models.convolution_blocks import cbam_block, plain_block
from lwcnn.system.errors import LwcnnError, unknown_name

BLOCKS = {"depthwise": depthwise_block, "plain": plain_block, "cbam": cbam_block}


@channels_last()
def build_residual_se(
    input_shape: Sequence[int], num_classes: int, description: ResidualSEConfig = ResidualSEConfig()
) -> keras.Model:
    """The network of a description.

    Args:
        input_shape: (height, width, channels) of one image, from 8x8.
        num_classes: at least 2.
        description: of the network.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the image is too small for the poolings, or a width, reduction or name can't work.
    """
    _check(input_shape, num_classes, description)
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(4 / 255, offset=-2, name="rescaling")(images)  # about zero mean and unit deviation
    x = layers.ZeroPadding2D(1, name="stem_padding")(x)
    x = layers.Conv2D(description.stem, 3, activation="relu", kernel_initializer="he_normal", name="stem_conv")(x)
    x = layers.MaxPooling2D(2, name="stem_pool")(x)
    x = _norm("stem_norm")(x)
    total, done = sum(stage.blocks for stage in description.stages), 0
    for i, stage in enumerate(description.stages, start=1):
        if i > 1:
            x = layers.MaxPooling2D(2, name=f"stage{i}_pool")(x)
        if x.shape[-1] != stage.filters:
            x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"stage{i}_widen")(x)
            x = _norm(f"stage{i}_norm")(x)
        for j in range(1, stage.blocks + 1):
            done += 1
            arguments = {
                "filters": stage.filters,
                "expansion": stage.expansion,
                "kernel_size": stage.kernel_size,
                "activation": description.activation,
                "se_reduction": description.se_reduction,
                "drop_rate": description.drop_rate * done / total,
                "residual": description.residual,
                "name": f"stage{i}_block{j}",
            }
            if description.block == "plain":
                del arguments["expansion"]
            x = BLOCKS[description.block](x, **arguments)
    x = _norm("head_norm")(x)
    if description.head:
        x = layers.Conv2D(description.head, 1, activation=description.activation, name="head_conv")(x)
    x = layers.GlobalAveragePooling2D(keepdims=True, name="features")(x)
    dropout = layers.Dropout(0.5, name="head_dropout")  # with a rate of 0 it would have no generator to raise it later
    dropout.rate = description.dropout
    x = dropout(x)
    x = layers.Conv2D(num_classes, 1, dtype="float32", name="head_logits")(x)  # (n, 1, 1, num_classes)
    return keras.Model(images, layers.Flatten(dtype="float32", name="logits")(x), name="residual_se")


def _norm(name: str) -> layers.Layer:
    return layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=name)


def _check(input_shape: Sequence[int], num_classes: int, description: ResidualSEConfig) -> None:
    least = max(8, 2 ** (len(description.stages) + 1))
    require_possible(input_shape, num_classes, least, f"for {len(description.stages)} stages")
    if description.block not in BLOCKS:
        raise unknown_name("block", description.block, BLOCKS)
    if description.activation not in ACTIVATIONS:
        raise LwcnnError(f"activation must be one of {ACTIVATIONS}. Received: {description.activation!r}")
    for stage in description.stages:
        if stage.filters < 1 or stage.blocks < 1 or stage.kernel_size % 2 == 0 or stage.expansion <= 0:
            raise LwcnnError(
                f"A stage needs filters and blocks of at least 1, an odd kernel_size and a positive expansion. "
                f"Received: {stage}"
            )

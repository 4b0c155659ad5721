"""The improved network: residual blocks with squeeze-and-excitation."""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models import blocks
from lwcnn.models.configs import ResidualSEConfig
from lwcnn.models.layers import channels_last, check_shapes
from lwcnn.system.errors import require_known, wrong


@channels_last()
def build_residual_se(
    input_shape: Sequence[int], num_classes: int, config: ResidualSEConfig = ResidualSEConfig()
) -> keras.Model:
    """Builds a residual squeeze-and-excitation network; arguments and result as in `build_network`."""
    _check(input_shape, num_classes, config)
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(4 / 255, offset=-2, name="rescaling")(images)  # about zero mean and unit deviation
    x = layers.ZeroPadding2D(1, name="stem_padding")(x)
    x = layers.Conv2D(config.stem, 3, activation="relu", kernel_initializer="he_normal", name="stem_conv")(x)
    if config.stem_pooling:
        x = blocks.pool(x, config.pooling, "stem_pool")  # (n, h / 2, w / 2, stem)
    x = blocks.batch_norm("stem_norm")(x)
    num_blocks, block_number = sum(stage.blocks for stage in config.stages), 0
    for i, stage in enumerate(config.stages, start=1):
        if i > 1:
            x = blocks.pool(x, config.pooling, f"stage{i}_pool")
        if x.shape[-1] != stage.filters:
            x = layers.Conv2D(stage.filters, 1, use_bias=False, name=f"stage{i}_widen")(x)
            x = blocks.batch_norm(f"stage{i}_norm")(x)
        for j in range(1, stage.blocks + 1):
            block_number += 1
            drop_rate = config.drop_rate * block_number / num_blocks
            x = blocks.residual_block(x, config, stage, f"stage{i}_block{j}", drop_rate)
    return keras.Model(images, _head(x, num_classes, config), name="residual_se")


def _head(x: keras.KerasTensor, num_classes: int, config: ResidualSEConfig) -> keras.KerasTensor:
    """Pools the feature maps and classifies: (n, h, w, c) -> (n, num_classes)."""
    x = blocks.batch_norm("head_norm")(x)
    if config.head:
        x = layers.Conv2D(config.head, 1, name="head_conv")(x)
        x = blocks.activate(x, config.activation, "head_activation")
    x = blocks.pool(x, config.head_pooling, "features", whole=True)  # (n, 1, 1, c)
    if config.feature_noise:
        x = layers.GaussianNoise(config.feature_noise, name="features_noise")(x)
    # Created with a rate above 0: only then has the layer a random generator, which a dropout schedule needs later.
    dropout = layers.Dropout(config.dropout or 0.5, name="head_dropout")
    dropout.rate = config.dropout
    x = layers.Conv2D(num_classes, 1, dtype="float32", name="head_logits")(dropout(x))  # (n, 1, 1, num_classes)
    return layers.Flatten(dtype="float32", name="logits")(x)


def _check(input_shape: Sequence[int], num_classes: int, config: ResidualSEConfig) -> None:
    num_poolings = len(config.stages) + config.stem_pooling
    check_shapes(input_shape, num_classes, 2**num_poolings, "for its number of stages")
    choices = {"block": blocks.BLOCKS, "attention": blocks.ATTENTIONS, "activation": blocks.ACTIVATIONS}
    for field, known in (choices | dict.fromkeys(("pooling", "head_pooling"), blocks.POOLINGS)).items():
        require_known(field, getattr(config, field), known)
    for stage in config.stages:
        if stage.filters < 1 or stage.blocks < 1 or stage.kernel_size % 2 == 0 or stage.expansion <= 0:
            advice = "A stage needs filters and blocks of at least 1, an odd kernel_size and a positive expansion"
            raise wrong(advice, f"{stage}")
        if any(size % 2 == 0 or not 1 <= size <= stage.kernel_size for size in config.branch_kernels):
            advice = f"branch_kernels must be odd and at most the stage's kernel_size, {stage.kernel_size}"
            raise wrong(advice, f"{config.branch_kernels}")

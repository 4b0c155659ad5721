"""The networks of the CIFAR-10 reproduction and of its extension, as their notebooks' output shows them.

Both return logits, where the originals return probabilities. Initializers and momentum are Keras's defaults, as in the
originals.

Source: github.com/Shazer-Nadeem/lightweight-cnn-cifar10 and .../Improved-lightweight-cnn-cifar10.
"""

from collections.abc import Sequence
from functools import partial

import keras
from keras import layers

from lwcnn.models.baselines.resnet import resnet_block
from lwcnn.models.blocks import conv_norm, squeeze_excite
from lwcnn.models.configs import RepoResidualSEConfig
from lwcnn.models.layers import channels_last, check_shapes

MIN_IMAGE_SIZE = 8


@channels_last()
def build_repo_submodel(input_shape: Sequence[int], num_classes: int, name: str = "original") -> keras.Model:
    """Builds a submodel of the reproduction, as `build_submodel`; 167,358 parameters on 32x32x3 with 10 classes."""
    check_shapes(input_shape, num_classes, MIN_IMAGE_SIZE, "for this network")
    images = keras.Input(tuple(input_shape), name=f"{name}_images")
    x = layers.Rescaling(1 / 255, name=f"{name}_rescaling")(images)
    x = _features(x, name)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x), name=name)


@channels_last()
def build_repo_merged(input_shape: Sequence[int], num_classes: int, branches: Sequence[str]) -> keras.Model:
    """Builds the reproduction's merged model with random weights; 334,706 parameters on 32x32x3 with two branches."""
    check_shapes(input_shape, num_classes, MIN_IMAGE_SIZE, "for this network")
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    x = layers.Concatenate(name="features")([_features(x, name) for name in branches])
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="repo_merged")


def merge_repo_submodels(submodels: Sequence[keras.Model]) -> keras.Model:
    """Builds the merged model with the submodels' convolutions and first dense layers, and a random last layer."""
    shape, num_classes = submodels[0].input_shape[1:], submodels[0].output_shape[-1]
    merged = build_repo_merged(shape, num_classes, [submodel.name for submodel in submodels])
    for submodel in submodels:
        for layer in submodel.layers:
            if layer.weights and layer.name != f"{submodel.name}_logits":
                merged.get_layer(layer.name).set_weights(layer.get_weights())
    return merged


def _features(x: keras.KerasTensor, name: str) -> keras.KerasTensor:
    """Applies a branch up to its dropout: (n, h, w, c) -> (n, 128)."""
    for i, filters in enumerate((10, 20), start=1):
        x = _conv_relu_pool(x, filters, f"{name}_conv{i}", f"{name}_pool{i}")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(128, activation="relu", name=f"{name}_dense")(x)
    return layers.Dropout(0.3, name=f"{name}_dropout")(x)


def _conv_relu_pool(x: keras.KerasTensor, filters: int, name: str, pool_name: str) -> keras.KerasTensor:
    """Applies a 3x3 "same" convolution with ReLU and 2x2 max-pooling."""
    x = layers.ZeroPadding2D(1, name=f"{name}_padding")(x)
    x = layers.Conv2D(filters, 3, activation="relu", name=name)(x)
    return layers.MaxPooling2D(2, name=pool_name)(x)


@channels_last()
def build_repo_residual_se(
    input_shape: Sequence[int], num_classes: int, config: RepoResidualSEConfig = RepoResidualSEConfig()
) -> keras.Model:
    """Builds the extension's network; 83,920 parameters on 32x32x3 with 10 classes, 83,344 of them trainable."""
    check_shapes(input_shape, num_classes, MIN_IMAGE_SIZE, "for this network")
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    x = _conv_relu_pool(x, config.stem, "stem_conv", "stem_pool")
    initializer = config.initializer
    attend = partial(squeeze_excite, reduction=config.se_reduction, initializer=initializer)
    conv = partial(conv_norm, use_bias=True, initializer=initializer, momentum=config.momentum)
    for i, width in enumerate(config.widths, start=1):
        if i > 1:
            x = layers.MaxPooling2D(2, name=f"pool{i - 1}")(x)
        x = resnet_block(x, ((width, 3, 1), (width, 3, 1)), f"block{i}", attend=attend, conv=conv)
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dense(config.hidden, activation="relu", name="features")(x)
    x = layers.Dropout(config.dropout, name="head_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)
    return keras.Model(images, logits, name="repo_residual_se")

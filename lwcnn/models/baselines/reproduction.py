"""The networks of the CIFAR-10 reproduction and of its extension, as their notebook's output has them.

The reproduction ("repo_baseline"): submodels of two "same" convolutions with pooling and a dense layer of 128, whose
128 features each are joined under one last dense layer. The extension ("repo_residual_se"): two residual blocks with
squeeze-and-excitation. Both take images 0..255, scale inside and give logits.

Source: github.com/Shazer-Nadeem/lightweight-cnn-cifar10 and .../Improved-lightweight-cnn-cifar10. Layers start
as theirs do, from Keras's defaults: Glorot's uniform kernels and batch norm's momentum 0.99. Their softmax outputs are
logits here.
"""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.checks import channels_last, require_possible
from lwcnn.models.configs import RepoResidualSEConfig
from lwcnn.models.convolution_blocks import basic_block
from lwcnn.system.errors import LwcnnError

CONV_FILTERS = (10, 20)
FEATURES = 128
SUBMODEL_DROPOUT = 0.3
MIN_IMAGE_SIZE = 8


@channels_last()
def build_repo_submodel(input_shape: Sequence[int], num_classes: int, name: str = "original") -> keras.Model:
    """A submodel of the reproduction; 167,358 parameters on 32x32x3 with 10 classes.

    Args:
        input_shape: (height, width, channels) of one image, from 8x8.
        num_classes: at least 2.
        name: the branch's name; every layer's name begins with it.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the images are too small or there are fewer than two classes.
    """
    _check(input_shape, num_classes)
    images = keras.Input(tuple(input_shape), name=f"{name}_images")
    x = layers.Rescaling(1 / 255, name=f"{name}_rescaling")(images)
    x = _features(x, name)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x), name=name)


@channels_last()
def build_repo_merged(input_shape: Sequence[int], num_classes: int, branches: Sequence[str]) -> keras.Model:
    """The reproduction's joined model, drawn afresh; 334,706 parameters on 32x32x3 with two branches.

    Args:
        input_shape, num_classes: as of `build_repo_submodel`.
        branches: names of the branches, two or more.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: as `build_repo_submodel`, or if the branches' names are not different.
    """
    _check(input_shape, num_classes)
    if len(branches) < 2 or len(set(branches)) != len(branches):
        raise LwcnnError(f"branches must be two or more different names. Received: {tuple(branches)!r}")
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    x = layers.Concatenate(name="features")([_features(x, name) for name in branches])
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="repo_merged")


def merge_repo_submodels(submodels: Sequence[keras.Model]) -> keras.Model:
    """The joined model with the submodels' convolutions and dense layers, and a last layer drawn afresh."""
    shape, num_classes = submodels[0].input_shape[1:], submodels[0].output_shape[-1]
    merged = build_repo_merged(shape, num_classes, [submodel.name for submodel in submodels])
    for submodel in submodels:
        for layer in submodel.layers:
            if layer.weights and layer.name != f"{submodel.name}_logits":
                merged.get_layer(layer.name).set_weights(layer.get_weights())
    return merged


def _features(x, name: str):
    """A branch up to its dropout, (n, h, w, c) -> (n, 128)."""
    for i, filters in enumerate(CONV_FILTERS, start=1):
        x = _conv_relu_pool(x, filters, f"{name}_conv{i}", f"{name}_pool{i}")
    x = layers.Flatten(name=f"{name}_flatten")(x)
    x = layers.Dense(FEATURES, activation="relu", name=f"{name}_dense")(x)
    return layers.Dropout(SUBMODEL_DROPOUT, name=f"{name}_dropout")(x)


def _conv_relu_pool(x, filters: int, name: str, pool_name: str):
    """A 3x3 "same" convolution with ReLU and 2x2 max-pooling."""
    x = layers.ZeroPadding2D(1, name=f"{name}_padding")(x)
    x = layers.Conv2D(filters, 3, activation="relu", name=name)(x)
    return layers.MaxPooling2D(2, name=pool_name)(x)


@channels_last()
def build_repo_residual_se(
    input_shape: Sequence[int], num_classes: int, description: RepoResidualSEConfig = RepoResidualSEConfig()
) -> keras.Model:
    """The extension's network; 83,920 parameters on 32x32x3 with 10 classes, 83,344 of them trainable.

    Args:
        input_shape: (height, width, channels) of one image, from 8x8.
        num_classes: at least 2.
        description: of the network.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the images are too small, there are fewer than two classes, or a reduction can't work.
    """
    _check(input_shape, num_classes)
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    x = _conv_relu_pool(x, description.stem, "stem_conv", "stem_pool")
    for i, width in enumerate(description.widths, start=1):
        if i > 1:
            x = layers.MaxPooling2D(2, name=f"pool{i - 1}")(x)
        x = basic_block(
            x,
            width,
            se_reduction=description.se_reduction,
            use_bias=True,
            name=f"block{i}",
            initializer=description.initializer,
            momentum=description.momentum,
        )
    x = layers.GlobalAveragePooling2D(name="global_pool")(x)
    x = layers.Dense(description.hidden, activation="relu", name="features")(x)
    x = layers.Dropout(description.dropout, name="head_dropout")(x)
    return keras.Model(
        images, layers.Dense(num_classes, dtype="float32", name="head_logits")(x), name="repo_residual_se"
    )


def _check(input_shape: Sequence[int], num_classes: int) -> None:
    require_possible(input_shape, num_classes, MIN_IMAGE_SIZE, "for three poolings")

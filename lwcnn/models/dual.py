"""The paper's networks: the submodel, the dual-input-output model and the merged model.

Source: Isong, "Building Efficient Lightweight CNN Models", arXiv 2501.15547, and the author's notebook.
All of them take images as the data sets have them (0..255), scale inside, and give logits.

Every layer that is frozen, merged or looked at has a name derived from its branch: a branch called
"original" has "original_conv1", "original_conv2" and, as a submodel, "original_logits", or, in the merged
model, "original_dense_as_conv". The merged model's own layers are "features", "head_dense",
"head_dropout" and "head_logits".
"""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.checks import channels_last, require_possible
from lwcnn.models.configs import BRANCHES
from lwcnn.system.errors import LwcnnError

CONV_FILTERS = (10, 20)  # paper, section on the submodel
HIDDEN_UNITS = 32  # paper: the new head
MIN_IMAGE_SIZE = 10  # two valid 3x3 convolutions, each followed by a 2x2 pooling, leave 1x1


@channels_last()
def build_submodel(input_shape: Sequence[int], num_classes: int, name: str = "original") -> keras.Model:
    """A submodel: two convolutions of 10 and 20 filters, each with pooling, then one dense layer.

    Args:
        input_shape: (height, width, channels) of one image; height and width at least 10.
        num_classes: number of classes, at least 2.
        name: the branch's name; every layer's name begins with it.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the images are too small or there are fewer than two classes.

    Source: paper, "Submodel"; counts checked against the paper's own.
    """
    _check(input_shape, num_classes)
    images = keras.Input(tuple(input_shape), name=f"{name}_images")
    x = layers.Rescaling(1 / 255, name=f"{name}_rescaling")(images)
    x = _convolutions(x, name)  # (n, h', w', 20)
    x = layers.Flatten(name=f"{name}_flatten")(x)
    logits = layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x)
    return keras.Model(images, logits, name=name)


def build_dual_model(submodels: Sequence[keras.Model]) -> keras.Model:
    """The dual-input-output model: the submodels side by side, each with its own input and output.

    It shares its layers with the submodels, so training it trains them. One submodel alone gives a model
    of one input and one output.

    Args:
        submodels: models of `build_submodel` with different names.

    Returns:
        A model from a list of image batches, one a submodel, to the list of their logits.

    Source: paper, "Dual-input-output model"; 13,860 parameters on 28x28x1.
    """
    inputs = [submodel.inputs[0] for submodel in submodels]
    outputs = [submodel.outputs[0] for submodel in submodels]
    if len(submodels) == 1:
        inputs, outputs = inputs[0], outputs[0]
    return keras.Model(inputs, outputs, name="dual")


@channels_last()
def build_merged_model(
    input_shape: Sequence[int],
    num_classes: int,
    branches: Sequence[str] = BRANCHES,
    dropout: float = 0.5,
) -> keras.Model:
    """The merged model, with weights drawn afresh: all branches read the same image, under one new head.

    Each branch ends in the 1x1 convolution, with ReLU, that stands for its submodel's dense layer; the
    outputs are concatenated and go through Dense(32, ReLU), Dropout and Dense(num_classes).
    `lwcnn.merge_submodels` builds the same model with trained weights.

    Args:
        input_shape: (height, width, channels) of one image; height and width at least 10.
        num_classes: number of classes, at least 2.
        branches: names of the branches; the paper has two.
        dropout: rate of the head's dropout, 0 up to 1.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: as in `build_submodel`, or if a branch's name is empty or comes twice.

    Source: paper, "Merge"; 14,862 parameters on 28x28x1 and 19,622 on 32x32x3.
    """
    _check(input_shape, num_classes)
    if not branches or len(set(branches)) != len(branches) or not all(branches):
        raise LwcnnError(f"branches must be different, non-empty names. Received: {tuple(branches)!r}")
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    features = []
    for name in branches:
        y = _convolutions(x, name)  # (n, h', w', 20)
        y = layers.Reshape((1, 1, -1), name=f"{name}_flatten")(y)  # (n, 1, 1, F)
        y = layers.Conv2D(num_classes, 1, activation="relu", name=f"{name}_dense_as_conv")(y)
        features.append(layers.Flatten(name=f"{name}_features")(y))  # (n, num_classes)
    x = layers.Concatenate(name="features")(features) if len(features) > 1 else _rename(features[0])
    x = layers.Dense(HIDDEN_UNITS, activation="relu", kernel_initializer="he_normal", name="head_dense")(x)
    x = layers.Dropout(dropout, name="head_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)
    return keras.Model(images, logits, name="merged")


HEAD_LAYERS = ("head_dense", "head_dropout", "head_logits")
FEATURES_LAYER = "features"


def _rename(x):
    """`x` under the name that the head expects, where there is only one branch to concatenate."""
    return layers.Identity(name=FEATURES_LAYER)(x)


def _convolutions(x, name: str):
    """Both convolutions of a branch with their pooling, (n, h, w, c) -> (n, h', w', 20)."""
    for i, filters in enumerate(CONV_FILTERS, start=1):
        x = layers.Conv2D(filters, 3, activation="relu", kernel_initializer="he_normal", name=f"{name}_conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"{name}_pool{i}")(x)
    return x


def _check(input_shape: Sequence[int], num_classes: int) -> None:
    require_possible(input_shape, num_classes, MIN_IMAGE_SIZE, "for two 3x3 convolutions with 2x2 pooling")

"""The paper's networks: the submodel, the dual-input-output model and the merged model.

    submodel      image -> conv1 -> pool1 -> conv2 -> pool2 -> flatten -> logits
    dual          one submodel per input: originals through one, augmented images through the other
    merged        image -> [conv1 ... flatten -> 1x1 conv, ReLU] per branch -> concatenate -> head -> logits

Phases, the merge and heatmaps find layers by their names, which begin with that of their branch or with "head".

Source: Isong, "Building Efficient Lightweight CNN Models", arXiv 2501.15547, and the author's notebook.
"""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.configs import BRANCHES, CONV_FILTERS
from lwcnn.models.layers import channels_last, check_shapes
from lwcnn.system.errors import require_sequence, wrong

HIDDEN_UNITS = 32  # paper, the new head
MIN_IMAGE_SIZE = 10  # two valid 3x3 convolutions, each followed by 2x2 pooling, reduce 10x10 to 1x1


@channels_last()
def build_submodel(
    input_shape: Sequence[int], num_classes: int, name: str = "original", filters: Sequence[int] = CONV_FILTERS
) -> keras.Model:
    """Builds a submodel: two convolutions, each with 2x2 max-pooling, and one dense layer.

    Args:
        input_shape: (height, width, channels) of one image; height and width at least 10.
        num_classes: Number of classes, at least 2.
        name: Name of the branch and prefix of its layers' names.
        filters: Numbers of filters of the two convolutions; the paper has 10 and 20.

    Returns:
        A model that maps images (n, height, width, channels), 0 to 255, to logits (n, num_classes).

    Raises:
        LwcnnError: The images are too small, there are fewer than two classes, or `filters` are not two numbers.

    Examples:
        >>> submodel = build_submodel((28, 28, 1), num_classes=10)
        >>> submodel.count_params()
        6930
        >>> [layer.name for layer in submodel.layers if layer.weights]
        ['original_conv1', 'original_conv2', 'original_logits']

    Source: arXiv 2501.15547.
    """
    check_shapes(input_shape, num_classes, MIN_IMAGE_SIZE, "for two 3x3 convolutions with 2x2 pooling")
    images = keras.Input(tuple(input_shape), name=f"{name}_images")
    x = layers.Rescaling(1 / 255, name=f"{name}_rescaling")(images)
    x = _convolutions(x, name, filters)  # (n, h', w', filters)
    x = layers.Flatten(name=f"{name}_flatten")(x)  # (n, F), F = h' * w' * filters
    logits = layers.Dense(num_classes, dtype="float32", name=f"{name}_logits")(x)  # (n, num_classes)
    return keras.Model(images, logits, name=name)


def build_dual_model(submodels: Sequence[keras.Model]) -> keras.Model:
    """Builds the dual-input-output model: the submodels side by side, each with its own input and output.

    The model shares its layers with the submodels, so training it trains them.

    Args:
        submodels: Models from `build_submodel` with different names. The paper has two; with one,
            the model has one input and one output.

    Returns:
        A model that maps a list of image batches, one per submodel, to the list of their logits.

    Raises:
        LwcnnError: There is no submodel, two have the same name, or a model does not have one input and one output.

    Examples:
        >>> submodels = [build_submodel((28, 28, 1), 10, name) for name in ("original", "augmented")]
        >>> dual = build_dual_model(submodels)
        >>> dual.count_params()
        13860
        >>> dual.output_shape
        [(None, 10), (None, 10)]

    Source: arXiv 2501.15547.
    """
    require_submodels(submodels)
    names = [submodel.name for submodel in submodels]
    if not names or len(set(names)) != len(names):
        raise wrong("Give one or more submodels with different names", names)
    inputs = [submodel.inputs[0] for submodel in submodels]
    outputs = [submodel.outputs[0] for submodel in submodels]
    if len(submodels) == 1:
        return keras.Model(inputs[0], outputs[0], name="dual")
    return keras.Model(inputs, outputs, name="dual")


def require_submodels(submodels: Sequence[keras.Model]) -> None:
    """Checks that the argument is a sequence of models with one input and one output each."""
    if isinstance(submodels, keras.Model):
        raise wrong("Give a list of submodels, as build_submodel returns them", f"the model {submodels.name!r}")
    for model in submodels:
        inputs, outputs = getattr(model, "inputs", None) or [], getattr(model, "outputs", None) or []
        if (len(inputs), len(outputs)) != (1, 1):
            found = f"{getattr(model, 'name', model)!r} with {len(inputs)} inputs and {len(outputs)} outputs"
            raise wrong("Give submodels, as build_submodel returns them", found)


@channels_last()
def build_merged_model(
    input_shape: Sequence[int],
    num_classes: int,
    branches: Sequence[str] = BRANCHES,
    dropout: float = 0.5,
    filters: Sequence[int] = CONV_FILTERS,
) -> keras.Model:
    """Builds the merged model with random weights: all branches read the same image and share one new head.

    Each branch ends in a 1x1 convolution with ReLU in place of its submodel's dense layer. Their outputs are
    concatenated and go through Dense(32, ReLU), Dropout and Dense(num_classes). `merge_submodels` builds the same
    model with the weights of trained submodels.

    Args:
        input_shape: (height, width, channels) of one image; height and width at least 10.
        num_classes: Number of classes, at least 2.
        branches: Names of the branches, one or more; the paper has two.
        dropout: Float between 0 and 1. Fraction of the head's units to drop.
        filters: Numbers of filters of each branch's two convolutions.

    Returns:
        A model that maps images (n, height, width, channels), 0 to 255, to logits (n, num_classes).

    Raises:
        LwcnnError: The images are too small, there are fewer than two classes, a branch's name is empty or appears
            twice, or `filters` are not two numbers.

    Examples:
        >>> build_merged_model((28, 28, 1), num_classes=10).count_params()
        14862
        >>> build_merged_model((32, 32, 3), num_classes=10).count_params()
        19622

    Source: arXiv 2501.15547.
    """
    check_shapes(input_shape, num_classes, MIN_IMAGE_SIZE, "for two 3x3 convolutions with 2x2 pooling")
    require_sequence("branches", branches)
    if not branches or len(set(branches)) != len(branches) or not all(branches):
        raise wrong("branches must be different, non-empty names", repr(tuple(branches)))
    images = keras.Input(tuple(input_shape), name="images")
    x = layers.Rescaling(1 / 255, name="rescaling")(images)
    features = [_branch(x, num_classes, name, filters) for name in branches]  # (n, num_classes) each
    x = layers.Concatenate(name="features")(features)  # (n, branches * num_classes)
    x = layers.Dense(HIDDEN_UNITS, activation="relu", kernel_initializer="he_normal", name="head_dense")(x)  # (n, 32)
    x = layers.Dropout(dropout, name="head_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)  # (n, num_classes)
    return keras.Model(images, logits, name="merged")


def _branch(x: keras.KerasTensor, num_classes: int, name: str, filters: Sequence[int]) -> keras.KerasTensor:
    """Applies a branch of the merged model: (n, h, w, c) -> (n, num_classes)."""
    x = _convolutions(x, name, filters)  # (n, h', w', filters)
    x = layers.Reshape((1, 1, -1), name=f"{name}_flatten")(x)  # (n, 1, 1, F), F = h' * w' * filters
    x = layers.Conv2D(num_classes, 1, activation="relu", name=f"{name}_dense_as_conv")(x)  # (n, 1, 1, num_classes)
    return layers.Flatten(name=f"{name}_features")(x)


def _convolutions(x: keras.KerasTensor, name: str, filters: Sequence[int]) -> keras.KerasTensor:
    """Applies a branch's two convolutions with pooling: (n, h, w, c) -> (n, h', w', filters)."""
    is_pair = isinstance(filters, Sequence) and len(filters) == len(CONV_FILTERS)
    if not is_pair or not all(type(number) is int and number > 0 for number in filters):
        raise wrong("Give filters as two whole numbers of 1 or more", repr(filters))
    for i, number in enumerate(filters, start=1):
        x = layers.Conv2D(number, 3, activation="relu", kernel_initializer="he_normal", name=f"{name}_conv{i}")(x)
        x = layers.MaxPooling2D(2, name=f"{name}_pool{i}")(x)
    return x

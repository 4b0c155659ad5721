"""The merge: trained submodels become one model, and their dense layers become 1x1 convolutions.

A dense layer on F flattened values computes `x @ W + b` with a kernel W of shape (F, classes). A 1x1 convolution on a
feature map of shape (1, 1, F) computes the same with the same numbers, as a kernel of shape (1, 1, F, classes). So a
submodel's logits are the inputs of the ReLU that ends its branch in the merged model. `check_merge` measures this.

Source: arXiv 2501.15547. The author's code uses a kernel as large as the map, which computes the same
function.
"""

from collections.abc import Sequence
from typing import NamedTuple

import keras
import numpy as np

from lwcnn.models.dual import build_merged_model, require_submodels
from lwcnn.system.errors import require_known, require_sequence, wrong


def merge_submodels(
    submodels: Sequence[keras.Model], dropout: float = 0.5, reuse_dense_weights: Sequence[str] | None = None
) -> keras.Model:
    """Builds the merged model from trained submodels; the submodels stay unchanged.

    Convolutions are copied, dense layers are converted to 1x1 convolutions, and the new head has random weights.

    Args:
        submodels: Models from `build_submodel` with equal input shapes, class counts and filters and different names.
        dropout: Float between 0 and 1. Fraction of the new head's units to drop.
        reuse_dense_weights: Names of the submodels whose dense weights are converted; the 1x1 convolutions of the
            others keep random weights. None converts all.

    Returns:
        A new model with the architecture of `build_merged_model`.

    Raises:
        LwcnnError: The input shapes, class counts or filters differ, two names are equal, `reuse_dense_weights` has an
            unknown name, or a model is not one that `build_submodel` returns.

    Examples:
        >>> import lwcnn
        >>> submodels = [lwcnn.build_submodel((28, 28, 1), 10, name) for name in ("original", "augmented")]
        >>> merged = merge_submodels(submodels)  # after training `submodels`
        >>> merged.count_params()
        14862
        >>> dense_kernel, _ = submodels[0].get_layer("original_logits").get_weights()
        >>> conv_kernel, _ = merged.get_layer("original_dense_as_conv").get_weights()
        >>> dense_kernel.shape, conv_kernel.shape
        ((500, 10), (1, 1, 500, 10))
        >>> bool((conv_kernel[0, 0] == dense_kernel).all())
        True

    Source: arXiv 2501.15547.
    """
    input_shape, num_classes = _common_shapes(submodels)
    names = [submodel.name for submodel in submodels]
    reused = names if reuse_dense_weights is None else reuse_dense_weights
    require_sequence("reuse_dense_weights", reused)
    for name in reused:
        require_known("submodel", name, names)
    filters = _common_filters(submodels)
    merged = build_merged_model(input_shape, num_classes, names, dropout, filters)
    for submodel in submodels:
        for layer in (f"{submodel.name}_conv1", f"{submodel.name}_conv2"):
            merged.get_layer(layer).set_weights(_layer(submodel, layer).get_weights())
        if submodel.name in reused:
            kernel, bias = _layer(submodel, f"{submodel.name}_logits").get_weights()  # (F, classes), (classes,)
            converted = kernel[np.newaxis, np.newaxis]  # (1, 1, F, classes)
            merged.get_layer(f"{submodel.name}_dense_as_conv").set_weights([converted, bias])
    return merged


class MergeCheck(NamedTuple):
    """Comparison of a branch with its submodel: whether weights are bit-identical, and how far logits differ."""

    name: str
    same_weights: bool
    largest_difference: float
    largest_logit: float


def check_merge(submodels: Sequence[keras.Model], merged: keras.Model, images: np.ndarray) -> list[MergeCheck]:
    """Compares each submodel with its branch of the merged model, before the branch's ReLU.

    Args:
        submodels: Models from `build_submodel`.
        merged: Model that `merge_submodels` built from them.
        images: Images, shape (n, height, width, channels), 0 to 255.

    Returns:
        One comparison per submodel: `name`, `same_weights` (bit-identical), `largest_difference` of its logits from the
        output of the branch's 1x1 convolution, and `largest_logit` for scale.

    Raises:
        LwcnnError: The merged model has no branch for one of the submodels, or the images do not have their shape.

    Examples:
        >>> import lwcnn
        >>> import numpy as np
        >>> submodels = [lwcnn.build_submodel((28, 28, 1), 10, name) for name in ("original", "augmented")]
        >>> checks = check_merge(submodels, merge_submodels(submodels), np.zeros((2, 28, 28, 1), "uint8"))
        >>> [check.same_weights for check in checks]
        [True, True]
    """
    (height, width, channels), _ = _common_shapes(submodels)
    images = np.asarray(images)
    if images.shape[1:] != (height, width, channels) or not len(images):
        raise wrong(f"Give images of shape (n, {height}, {width}, {channels})", images.shape)
    return [_check_branch(submodel, merged, images) for submodel in submodels]


def _check_branch(submodel: keras.Model, merged: keras.Model, images: np.ndarray) -> MergeCheck:
    """Compares a submodel with its branch: conv1, conv2 and dense, kernel and bias each."""
    name = submodel.name
    converted = _layer(merged, f"{name}_dense_as_conv")
    logits = submodel.predict(images, batch_size=500, verbose=0)  # (n, classes)
    without_relu = keras.layers.Conv2D(logits.shape[1], 1, data_format="channels_last", name=f"{name}_without_relu")
    branch = keras.Model(merged.inputs, without_relu(_layer(merged, f"{name}_flatten").output))  # (n, 1, 1, classes)
    without_relu.set_weights(converted.get_weights())
    outputs = branch.predict(images, batch_size=500, verbose=0)[:, 0, 0]  # (n, classes)
    pairs = zip(submodel.get_weights(), branch.get_weights(), strict=True)
    same_weights = all(np.array_equal(a.ravel(), b.ravel()) for a, b in pairs)
    return MergeCheck(name, same_weights, float(np.abs(outputs - logits).max()), float(np.abs(logits).max()))


def _layer(model: keras.Model, name: str) -> keras.Layer:
    try:
        return model.get_layer(name)
    except ValueError:
        advice = "Use submodels from build_submodel, and the model that merge_submodels built from them"
        raise wrong(advice, f"{model.name!r}, which has no layer {name!r}") from None


def _common_shapes(submodels: Sequence[keras.Model]) -> tuple[tuple[int, ...], int]:
    """Returns the input shape and the class count that all submodels have."""
    require_submodels(submodels)
    shapes = {(submodel.input_shape[1:], submodel.output_shape[-1]) for submodel in submodels}
    if len(shapes) != 1:
        found = ", ".join(f"{m.name}: {m.input_shape[1:]} -> {m.output_shape[-1]}" for m in submodels)
        raise wrong("submodels must agree in input shape and class count", found or "none")
    return shapes.pop()


def _common_filters(submodels: Sequence[keras.Model]) -> tuple[int, ...]:
    """Returns the numbers of filters of the two convolutions that all submodels have."""
    filters = {m.name: tuple(_layer(m, f"{m.name}_conv{i}").filters for i in (1, 2)) for m in submodels}
    if len(set(filters.values())) != 1:
        raise wrong("submodels must have equally many filters", filters)
    return filters[submodels[0].name]

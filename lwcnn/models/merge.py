"""From trained submodels to the merged model, and back: the dense layers become 1x1 convolutions."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np

from lwcnn.models.dual import HEAD_LAYERS, build_merged_model, build_submodel
from lwcnn.system.errors import LwcnnError, unknown_name


def merge_submodels(
    submodels: Sequence[keras.Model],
    dropout: float = 0.5,
    reuse_dense_weights: Sequence[str] | None = None,
) -> keras.Model:
    """The merged model with the submodels' weights; the submodels stay as they are.

    A submodel's Dense of weights (F, classes) becomes a 1x1 convolution of weights (1, 1, F, classes) on the
    flattened map seen as 1x1xF: before its activation it gives what the Dense gave. The head is drawn afresh.

    Args:
        submodels: models of `build_submodel`, of one input shape and class count and with
            different names.
        dropout: rate of the new head's dropout, 0 up to 1.
        reuse_dense_weights: Names of the submodels whose dense weights are converted; the 1x1 convolutions of the
            others keep their random draw. None converts all.

    Returns:
        A new model as of `build_merged_model`.

    Raises:
        LwcnnError: if the submodels' shapes or class counts differ, their names are equal, or a name in
            `reuse_dense_weights` is none of theirs.

    Source: paper, "Merge". The author's code has a kernel as large as the map; the function is the same.
    """
    shapes = {submodel.input_shape[1:] for submodel in submodels}
    classes = {submodel.output_shape[-1] for submodel in submodels}
    if len(shapes) != 1 or len(classes) != 1:
        raise LwcnnError(
            "submodels must agree in input shape and class count. Received: "
            + ", ".join(f"{m.name}: {m.input_shape[1:]} -> {m.output_shape[-1]}" for m in submodels)
        )
    names = [submodel.name for submodel in submodels]
    reused = names if reuse_dense_weights is None else reuse_dense_weights
    for name in reused:
        if name not in names:
            raise unknown_name("submodel", name, names)
    merged = build_merged_model(shapes.pop(), classes.pop(), names, dropout)
    for submodel in submodels:
        name = submodel.name
        for conv in (f"{name}_conv1", f"{name}_conv2"):
            merged.get_layer(conv).set_weights(submodel.get_layer(conv).get_weights())
        if name in reused:
            kernel, bias = submodel.get_layer(f"{name}_logits").get_weights()  # (F, classes), (classes,)
            merged.get_layer(f"{name}_dense_as_conv").set_weights([kernel[np.newaxis, np.newaxis], bias])
    return merged


def split_merged(merged: keras.Model) -> list[keras.Model]:
    """The submodels that a merged model stands for: the 1x1 convolutions as dense layers again, without the head.

    Args:
        merged: as of `build_merged_model` or `merge_submodels`, trained or not.

    Raises:
        LwcnnError: another kind of model.
    """
    endings = [layer.name for layer in merged.layers if layer.name.endswith("_dense_as_conv")]
    if not endings or any(name not in [layer.name for layer in merged.layers] for name in HEAD_LAYERS):
        raise LwcnnError(f"Give a merged model of the paper's kind. Received: {merged.name!r}")
    submodels = []
    for name in (ending.removesuffix("_dense_as_conv") for ending in endings):
        submodel = build_submodel(merged.input_shape[1:], merged.output_shape[-1], name)
        for conv in (f"{name}_conv1", f"{name}_conv2"):
            submodel.get_layer(conv).set_weights(merged.get_layer(conv).get_weights())
        kernel, bias = merged.get_layer(f"{name}_dense_as_conv").get_weights()  # (1, 1, F, classes), (classes,)
        submodel.get_layer(f"{name}_logits").set_weights([kernel[0, 0], bias])
        submodels.append(submodel)
    return submodels


@dataclass(frozen=True)
class MergeCheck:
    """How a merged model's branch compares with its submodel on images.

    Attributes:
        name: the branch's.
        same_weights: whether every weight is the same to the bit.
        largest_difference: between the logits of the dense layer and those of the 1x1 convolution before its ReLU.
        largest_logit: the largest of the dense layer's, by magnitude.
    """

    name: str
    same_weights: bool
    largest_difference: float
    largest_logit: float


def check_merge(submodels: Sequence[keras.Model], merged: keras.Model, images: np.ndarray) -> list[MergeCheck]:
    """Compares each submodel with its branch of the merged model, before the branch's ReLU.

    Args:
        submodels: models of `build_submodel`.
        merged: what `merge_submodels` made of them.
        images: (n, h, w, c), 0..255.
    """
    checks = []
    for submodel in submodels:
        name = submodel.name
        convolution = merged.get_layer(f"{name}_dense_as_conv")
        linear = keras.layers.Conv2D(submodel.output_shape[-1], 1, name=f"{name}_linear")  # without the ReLU
        branch = keras.Model(merged.inputs, linear(merged.get_layer(f"{name}_flatten").output))
        linear.set_weights(convolution.get_weights())
        expected = submodel.predict(images, batch_size=500, verbose=0)
        logits = branch.predict(images, batch_size=500, verbose=0).reshape(expected.shape)
        kernels = [merged.get_layer(f"{name}_conv{i}").get_weights() for i in (1, 2)] + [convolution.get_weights()]
        pairs = zip(submodel.get_weights(), [weight for layer in kernels for weight in layer], strict=True)
        same = all(np.array_equal(own.ravel(), taken.ravel()) for own, taken in pairs)
        difference = float(np.abs(logits - expected).max())
        checks.append(MergeCheck(name, same, difference, float(np.abs(expected).max())))
    return checks

"""From trained submodels to the merged model: the dense layers become 1x1 convolutions."""

from collections.abc import Sequence

import keras
import numpy as np

from lwcnn.errors import LwcnnError
from lwcnn.models.submodel import build_merged_model


def merge_submodels(
    submodels: Sequence[keras.Model], dropout: float = 0.5, fused: bool = False, converted: bool = True
) -> keras.Model:
    """The merged model with the submodels' weights; the submodels stay as they are.

    A submodel's Dense of weights (F, classes) becomes a 1x1 convolution of weights (1, 1, F, classes) on the
    flattened map seen as 1x1xF: before its activation it gives what the Dense gave. The head is drawn afresh.

    Args:
        submodels: models of `build_submodel` (fused or not), of one input shape and class count and with
            different names.
        dropout: rate of the new head's dropout, 0 up to 1.
        fused: whether the merged model is built of fused layers (`lwcnn.fused`).
        converted: False leaves the 1x1 convolutions as they were drawn (for the ablation `fresh_merge`).

    Returns:
        A new model as of `build_merged_model`.

    Raises:
        LwcnnError: if the submodels' shapes or class counts differ or their names are equal.

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
    merged = build_merged_model(shapes.pop(), classes.pop(), names, dropout, fused)
    for submodel in submodels:
        name = submodel.name
        for conv in (f"{name}_conv1", f"{name}_conv2"):
            merged.get_layer(conv).set_weights(submodel.get_layer(conv).get_weights())
        if converted:
            kernel, bias = submodel.get_layer(f"{name}_logits").get_weights()  # (F, classes), (classes,)
            merged.get_layer(f"{name}_dense_as_conv").set_weights([kernel[np.newaxis, np.newaxis], bias])
    return merged

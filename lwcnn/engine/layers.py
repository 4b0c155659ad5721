"""Maps each Keras layer to the operation that computes it."""

import keras
from keras import layers

from lwcnn.engine.operations import activations, convolution, depthwise, dropout, merging, normalization, pooling
from lwcnn.engine.operations.base import Operation
from lwcnn.models.layers import SoftVoting, StochasticDepth

OPERATIONS: dict[type[keras.Layer], type[Operation]] = {
    SoftVoting: merging.SoftVoting,
    StochasticDepth: dropout.Dropout,
    layers.Activation: activations.Activation,
    layers.Add: merging.Add,
    layers.Average: merging.Average,
    layers.AveragePooling2D: pooling.AveragePool,
    layers.BatchNormalization: normalization.BatchNorm,
    layers.Concatenate: merging.Concatenate,
    layers.Conv1D: convolution.Convolution1D,
    layers.Conv2D: convolution.Convolution,
    layers.Dense: convolution.Linear,
    layers.DepthwiseConv2D: depthwise.DepthwiseConvolution,
    layers.Dropout: dropout.Dropout,
    layers.Flatten: merging.Reshape,
    layers.GlobalAveragePooling2D: pooling.GlobalAverage,
    layers.GlobalMaxPooling2D: pooling.GlobalMax,
    layers.Identity: merging.Identity,
    layers.LeakyReLU: activations.Activation,
    layers.MaxPooling2D: pooling.MaxPool,
    layers.Multiply: merging.Multiply,
    layers.Normalization: normalization.Normalize,
    layers.PReLU: activations.PReLU,
    layers.ReLU: activations.Activation,
    layers.Rescaling: normalization.Rescale,
    layers.Reshape: merging.Reshape,
    layers.SeparableConv2D: depthwise.SeparableConvolution,
    layers.Softmax: activations.Activation,
    layers.SpatialDropout2D: dropout.Dropout,
    layers.ZeroPadding2D: merging.ZeroPadding,
}


def unsupported(layer: keras.Layer) -> str | None:
    """Returns why a layer has no operation, such as "conv1 (Conv2D) has groups=2"; None if it has one."""
    title = f"{layer.name} ({type(layer).__name__})"
    found = OPERATIONS.get(type(layer))
    if found is None:
        return f"{title} has no operation"
    if layer.compute_dtype != "float32":
        return f"{title} has dtype={layer.compute_dtype!r}"
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        return f"{title} has data_format={layer.data_format!r}"
    setting = found.unsupported_setting(layer)
    return setting and f"{title} has {setting}"

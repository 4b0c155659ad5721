"""Rewrites models into operations with few int8 rounding steps: convolution, pooling, addition."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers

from lwcnn.models.graph import source, sources

AFFINE = (layers.BatchNormalization, layers.Rescaling)

Weights = list[np.ndarray]
Replacement = tuple[keras.Layer, Weights] | Callable
"""Replaces an operation in a copy of a model: a layer with its weights, or a function with the same arguments."""


def simplify(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy of a model without shared layers that rounds fewer results in int8.

    Batch normalization or rescaling after a linear convolution is folded into it. Any other becomes a 1x1 depthwise
    convolution, which rounds once, not twice. A dense layer on a feature map (squeeze-and-excitation) or a
    convolution over pooled channels (ECA) becomes a 1x1 convolution: the converter creates eleven operations for it.
    """
    model = _with_dense_attention(model)
    followers = _followers(model)
    replaced: dict[str, Replacement] = {}
    for layer in model.layers:
        if _is_affine(layer):
            factor, offset = _affine(layer)
            (before,) = sources(layer)
            if is_convolution(before) and is_linear(before) and len(followers[before.name]) == 1:
                kernel, *bias = before.get_weights()
                scaled = [scale_outputs(before, kernel, factor), sum(bias) * factor + offset]
                replaced[before.name], replaced[layer.name] = (same(before, use_bias=True), scaled), _identity
            else:
                pointwise = layers.DepthwiseConv2D(1, data_format="channels_last", name=layer.name)
                replaced[layer.name] = pointwise, [factor.reshape(1, 1, -1, 1), offset]
        elif isinstance(layer, layers.Dense) and len(layer.input.shape) == 4:
            kernel, *bias = layer.get_weights()
            settings = {"activation": layer.activation, "use_bias": layer.use_bias, "name": layer.name}
            convolution = layers.Conv2D(layer.units, 1, data_format="channels_last", **settings)
            replaced[layer.name] = convolution, [kernel[np.newaxis, np.newaxis], *bias]
    return rewrite(model, replaced)


def _with_dense_attention(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy in which a convolution over pooled channels, between reshapes, is a dense layer."""
    followers = _followers(model)
    replaced: dict[str, Replacement] = {}
    for layer in model.layers:
        if not isinstance(layer, layers.Conv1D) or layer.input.shape[-1] != 1:
            continue
        if layer.filters != 1 or layer.padding != "same":
            continue
        (row,), after = sources(layer), followers[layer.name]
        pool, channels = sources(row)[0], layer.input.shape[1]
        alone = len(after) == len(followers[row.name]) == len(followers[pool.name]) == 1
        if not (alone and isinstance(pool, layers.GlobalAveragePooling2D)):
            continue
        (column,) = (operation for operation in model.operations if operation.name == after[0])
        if column.output.shape[1:] == (1, 1, channels):
            kernel, *bias = layer.get_weights()
            impulses = np.eye(channels, dtype=np.float32)[..., np.newaxis]  # the response to each is a matrix row
            settings = {"data_format": "channels_last", "dilation_rate": layer.dilation_rate}
            matrix = keras.ops.conv(impulses, kernel, padding="same", **settings)
            dense = layers.Dense(channels, activation=layer.activation, use_bias=layer.use_bias, name=layer.name)
            replaced[layer.name] = dense, [np.asarray(matrix)[..., 0], *(np.repeat(part, channels) for part in bias)]
            replaced[pool.name] = same(pool, keepdims=True), []
            replaced[row.name] = replaced[column.name] = _identity
    return rewrite(model, replaced)


def split_hard_swish(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy in which hard swish, x * relu6(x + 3) / 6, is an addition and a multiplication.

    The factor 1/6 is folded into the convolutions that follow; before other layers, hard swish is kept. LiteRT's CPU
    delegate, XNNPACK, does not support HARD_SWISH in int8, so it splits the graph at each one.
    """
    followers, outputs = _followers(model), {source(tensor).name for tensor in model.outputs}
    convolutions = {layer.name: layer for layer in model.layers if is_convolution(layer)}
    replaced: dict[str, Replacement] = {}
    for layer in model.layers:
        is_hard_swish = isinstance(layer, layers.Activation) and layer.activation is keras.activations.hard_silu
        if is_hard_swish and layer.name not in outputs and set(followers[layer.name]) <= convolutions.keys():
            replaced[layer.name] = _six_hard_swish
            for name in followers[layer.name]:
                kernel, *bias = convolutions[name].get_weights()
                replaced[name] = same(convolutions[name]), [kernel / 6, *bias]
    return rewrite(model, replaced)


def _six_hard_swish(x):
    return keras.ops.multiply(x, keras.ops.relu6(keras.ops.add(x, 3.0)))


def _identity(x):
    return x


def rewrite(model: keras.Model, replaced: Mapping[str, Replacement]) -> keras.Model:
    """Returns a copy of a model with some operations replaced, by name."""
    weights: dict[str, Weights] = {}

    def clone(operation: keras.Operation) -> keras.Operation:
        found = replaced.get(operation.name)
        if isinstance(found, tuple):
            layer, weights[operation.name] = found
            return layer
        if isinstance(operation, keras.Layer):
            weights[operation.name] = operation.get_weights()
        return same(operation)

    def call(operation, *arguments, **options):
        options.pop("mask", None)  # passed to normalization layers; always None for images
        found = replaced.get(operation.name)
        return operation(*arguments, **options) if found is None or isinstance(found, tuple) else found(*arguments)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        layer.set_weights([np.asarray(weight, np.float32) for weight in weights.get(layer.name, [])])
    return copy


def same(operation: keras.Operation, **changes: object) -> keras.Operation:
    """Returns a copy of a layer or operation, without its weights, and with other settings."""
    return type(operation).from_config(operation.get_config() | changes)


def is_convolution(operation: keras.Operation) -> bool:
    """Returns whether an operation is a full or depthwise convolution, without groups or depth multiplier."""
    if isinstance(operation, layers.DepthwiseConv2D):
        return operation.depth_multiplier == 1
    return isinstance(operation, layers.Conv2D) and operation.groups == 1


def is_linear(layer: keras.Layer) -> bool:
    return layer.activation is keras.activations.linear


def scale_outputs(layer: keras.Layer, kernel: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """Multiplies each output channel of a convolution's kernel by its factor, shape (channels,)."""
    return kernel * (factors[:, np.newaxis] if isinstance(layer, layers.DepthwiseConv2D) else factors)


def _followers(model: keras.Model) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {operation.name: [] for operation in model.operations}
    for operation in model.operations:
        if not isinstance(operation, layers.InputLayer):
            for source in sources(operation):
                found[source.name].append(operation.name)
    return found


def _is_affine(layer: keras.Layer) -> bool:
    """Returns whether a layer is a fixed affine map per channel of a feature map (n, h, w, c)."""
    return isinstance(layer, AFFINE) and len(layer.input.shape) == 4 and getattr(layer, "axis", -1) in (-1, 3)


def _affine(layer: keras.Layer) -> tuple[np.ndarray, np.ndarray]:
    """Returns the factor and offset of an affine layer, each of shape (channels,)."""
    channels = layer.input.shape[-1]
    if isinstance(layer, layers.Rescaling):
        return np.broadcast_to(layer.scale, channels), np.broadcast_to(layer.offset, channels)
    gamma = layer.gamma.numpy() if layer.scale else 1.0
    beta = layer.beta.numpy() if layer.center else 0.0
    factor = gamma / np.sqrt(layer.moving_variance.numpy().astype(np.float64) + layer.epsilon)
    return factor, beta - layer.moving_mean.numpy() * factor

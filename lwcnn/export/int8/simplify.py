"""Rewrites models with operations that int8 computes with few rounding steps: convolution, pooling, addition."""

from collections.abc import Callable, Mapping

import keras
import numpy as np
from keras import layers

from lwcnn.engine.keras_internals import sources

AFFINE = (layers.BatchNormalization, layers.Rescaling)

Weights = list[np.ndarray]


def simplify(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy of a model, without shared layers, of which int8 rounds fewer results.

    Batch normalization after a linear convolution is folded into it. Any other, and each rescaling, becomes a 1x1
    depthwise convolution, which rounds once, not twice. A dense layer on a feature map (squeeze-and-excitation) or a
    convolution over pooled channels (ECA) becomes a 1x1 convolution: the converter creates eleven operations for it.
    """
    model = _with_dense_attention(model)
    followers = _followers(model)
    folded = {}  # batch normalization to fold, by name of the convolution
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and _is_affine(layer):
            (before,) = sources(layer)
            if is_convolution(before) and is_linear(before) and len(followers[before.name]) == 1:
                folded[before.name] = layer
    removed = {layer.name: _identity for layer in folded.values()}

    def replace(layer: keras.Operation) -> tuple[keras.Layer, Weights] | None:
        if isinstance(layer, AFFINE) and _is_affine(layer) and layer.name not in removed:
            factor, offset = _affine(layer)
            pointwise = layers.DepthwiseConv2D(1, data_format="channels_last", name=layer.name)
            return pointwise, [factor.reshape(1, 1, -1, 1), offset]
        if isinstance(layer, layers.Dense) and len(layer.input.shape) == 4:
            kernel, *bias = layer.get_weights()
            settings = {"activation": layer.activation, "use_bias": layer.use_bias, "name": layer.name}
            convolution = layers.Conv2D(layer.units, 1, data_format="channels_last", **settings)
            return convolution, [kernel[np.newaxis, np.newaxis], *bias]
        if layer.name in folded:
            factor, offset = _affine(folded[layer.name])
            kernel, *bias = layer.get_weights()
            return same(layer, use_bias=True), [scale_outputs(layer, kernel, factor), sum(bias) * factor + offset]
        return None

    return rewrite(model, replace, removed)


def _with_dense_attention(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy in which a convolution over pooled channels, between reshapes, is a dense layer."""
    followers = _followers(model)
    convolutions, pools, reshapes = set(), set(), set()
    for layer in model.layers:
        if not (isinstance(layer, layers.Conv1D) and _keeps_shape(layer) and layer.input.shape[-1] == 1):
            continue
        (row,), after = sources(layer), followers[layer.name]
        pool = sources(row)[0]
        alone = len(after) == len(followers[row.name]) == len(followers[pool.name]) == 1
        if alone and isinstance(pool, layers.GlobalAveragePooling2D) and not pool.keepdims:
            column = next(operation for operation in model.operations if operation.name == after[0])
            if column.output.shape[1:] == (1, 1, layer.input.shape[1]):
                convolutions.add(layer.name)
                pools.add(pool.name)
                reshapes |= {row.name, column.name}

    def replace(layer: keras.Operation) -> tuple[keras.Layer, Weights] | None:
        if layer.name in pools:
            return same(layer, keepdims=True), []
        if layer.name not in convolutions:
            return None
        kernel, *bias = layer.get_weights()
        units = layer.input.shape[1]
        impulses = np.eye(units, dtype=np.float32)[..., np.newaxis]  # the answer to each is a row of the matrix
        matrix = keras.ops.conv(impulses, kernel, padding="same", dilation_rate=layer.dilation_rate)
        dense = layers.Dense(units, activation=layer.activation, use_bias=layer.use_bias, name=layer.name)
        return dense, [np.asarray(matrix)[..., 0], *(np.repeat(part, units) for part in bias)]

    return rewrite(model, replace, dict.fromkeys(reshapes, _identity))


def _keeps_shape(layer: layers.Conv1D) -> bool:
    return layer.filters == 1 and layer.padding == "same" and layer.strides == (1,)


def split_hard_swish(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy in which hard swish, x * relu6(x + 3) / 6, is an addition and a multiplication.

    The factor 1/6 is folded into the convolutions that follow; before other layers, hard swish is kept. LiteRT's CPU
    delegate, XNNPACK, does not support HARD_SWISH in int8, so that it splits the graph at each one.
    """
    followers = _followers(model)
    convolutions = {layer.name for layer in model.layers if is_convolution(layer)}
    split = {
        layer.name
        for layer in model.layers
        if isinstance(layer, layers.Activation)
        and layer.activation is keras.activations.hard_silu
        and set(followers[layer.name]) <= convolutions
    }
    divided = {name for one in split for name in followers[one]}

    def replace(layer: keras.Operation) -> tuple[keras.Layer, Weights] | None:
        if layer.name not in divided:
            return None
        kernel, *bias = layer.get_weights()
        return same(layer), [kernel / 6, *bias]

    def six_fold(x):
        return keras.ops.multiply(x, keras.ops.relu6(keras.ops.add(x, 3.0)))

    return rewrite(model, replace, dict.fromkeys(split, six_fold))


def rewrite(
    model: keras.Model,
    replace: Callable[[keras.Operation], tuple[keras.Layer, Weights] | None],
    calls: Mapping[str, Callable] = {},
) -> keras.Model:
    """Returns a copy of a model with other layers and weights where `replace` gives them; `calls` replace layers."""
    weights: dict[str, Weights] = {}

    def clone(operation: keras.Operation) -> keras.Operation:
        if (found := replace(operation)) is not None:
            layer, weights[operation.name] = found
            return layer
        if isinstance(operation, keras.Layer):
            weights[operation.name] = operation.get_weights()
        return same(operation)

    def call(operation, *arguments, **options):
        options.pop("mask", None)  # passed to normalization layers; always None for images
        return calls[operation.name](*arguments) if operation.name in calls else operation(*arguments, **options)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        layer.set_weights([np.asarray(weight, np.float32) for weight in weights.get(layer.name, [])])
    return copy


def same(operation: keras.Operation, **changes: object) -> keras.Operation:
    """Returns a copy of a layer or operation, without its weights, and with other settings."""
    return type(operation).from_config(operation.get_config() | changes)


def _identity(x):
    return x


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

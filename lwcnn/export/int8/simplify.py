"""Rewrites models with operations that int8 computes with few rounding steps: convolution, pooling, addition."""

import keras
import numpy as np
from keras import layers

from lwcnn.engine.keras_internals import sources

AFFINE = (layers.BatchNormalization, layers.Rescaling)


def simplify(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy of a model without batch normalization and without dense layers on feature maps.

    Batch normalization after a linear convolution is folded into it. Any other, and each rescaling, becomes a 1x1
    depthwise convolution, which rounds once in int8, not twice. A dense layer on a feature map, as in
    squeeze-and-excitation, becomes a 1x1 convolution, because the converter creates eleven operations for it; so does a
    convolution over the pooled channels, as in efficient channel attention. Layer names stay. Shared layers are not
    supported.
    """
    model = _with_dense_attention(model)
    followers = _followers(model)
    folded = {}  # batch normalization to fold, by name of the convolution
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization) and _is_affine(layer):
            (before,) = sources(layer)
            if is_convolution(before) and is_linear(before) and len(followers[before.name]) == 1:
                folded[before.name] = layer
    removed = {layer.name for layer in folded.values()}
    weights: dict[str, list[np.ndarray]] = {}

    def clone(layer: keras.Operation) -> keras.Operation:
        if not isinstance(layer, keras.Layer):
            return type(layer).from_config(layer.get_config())
        config = layer.get_config()
        if _is_affine(layer) and layer.name not in removed:
            factor, offset = _affine(layer)
            weights[layer.name] = [factor.reshape(1, 1, -1, 1), offset]
            return layers.DepthwiseConv2D(1, data_format="channels_last", name=layer.name)
        if isinstance(layer, layers.Dense) and len(layer.input.shape) == 4:
            kernel, *bias = layer.get_weights()
            weights[layer.name] = [kernel[np.newaxis, np.newaxis], *bias]
            return layers.Conv2D(
                layer.units,
                1,
                data_format="channels_last",
                activation=layer.activation,
                use_bias=layer.use_bias,
                name=layer.name,
            )
        weights[layer.name] = layer.get_weights()
        if layer.name in folded:
            factor, offset = _affine(folded[layer.name])
            kernel, *bias = weights[layer.name]
            weights[layer.name] = [scale_outputs(layer, kernel, factor), sum(bias) * factor + offset]
            config["use_bias"] = True
        return type(layer).from_config(config)

    def call(operation, *arguments, **options):
        options.pop("mask", None)  # passed to normalization layers; always None for images
        return arguments[0] if operation.name in removed else operation(*arguments, **options)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        layer.set_weights([np.asarray(weight, np.float32) for weight in weights.get(layer.name, [])])
    return copy


def _with_dense_attention(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy in which each convolution over pooled channels is a dense layer on (n, 1, 1, c).

    The two reshapes around the convolution go: equalization cannot pass them.
    """
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
    weights: dict[str, list[np.ndarray]] = {}

    def clone(layer: keras.Operation) -> keras.Operation:
        config = layer.get_config()
        if layer.name in convolutions:
            kernel, *bias = layer.get_weights()
            units = layer.input.shape[1]
            impulses = np.eye(units, dtype=np.float32)[..., np.newaxis]  # the answer to each is a row of the matrix
            matrix = keras.ops.conv(impulses, kernel, padding="same", dilation_rate=layer.dilation_rate)
            weights[layer.name] = [np.asarray(matrix)[..., 0], *(np.repeat(part, units) for part in bias)]
            return layers.Dense(units, activation=layer.activation, use_bias=layer.use_bias, name=layer.name)
        if isinstance(layer, keras.Layer):
            weights[layer.name] = layer.get_weights()
        if layer.name in pools:
            config["keepdims"] = True
        return type(layer).from_config(config)

    def call(operation, *arguments, **options):
        return arguments[0] if operation.name in reshapes else operation(*arguments, **options)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=call)
    for layer in copy.layers:
        layer.set_weights(weights.get(layer.name, []))
    return copy


def _keeps_shape(layer: layers.Conv1D) -> bool:
    return layer.filters == 1 and layer.padding == "same" and layer.strides == (1,)


def split_hard_swish(model: keras.Model) -> keras.Model:
    """Returns an equivalent copy of a simplified model in which hard swish is an addition and a multiplication.

    hard_silu(x) = x * relu6(x + 3) / 6. The factor 1/6 is folded into the convolutions that follow; if another layer
    follows, hard swish is kept. XNNPACK, LiteRT's CPU delegate, does not support HARD_SWISH in int8, so each one splits
    the delegated graph, and LiteRT's own implementation is slow.
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

    def call(operation, *arguments, **options):
        if operation.name not in split:
            return operation(*arguments, **options)
        (x,) = arguments
        return keras.ops.multiply(x, keras.ops.relu6(keras.ops.add(x, 3.0)))

    copy = keras.models.clone_model(model, call_function=call)
    for layer in model.layers:
        kernel_and_bias = layer.get_weights()
        if layer.name in divided:
            kernel_and_bias[0] = kernel_and_bias[0] / 6
        if kernel_and_bias:
            copy.get_layer(layer.name).set_weights(kernel_and_bias)
    return copy


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

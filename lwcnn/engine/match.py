"""Finds the operations that compute a model: fast patterns of layers first, then one operation per layer.

A pattern is a function that takes the graph and the call at which the pattern may start. It returns the operation and
the calls that it covers, or None. No other call may read the values inside a pattern, because they are never stored.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
from keras import layers
from keras.activations import linear, relu, sigmoid

from lwcnn.engine.keras_internals import Call, Graph, Unsupported, title
from lwcnn.engine.operations import activations, convolution, depthwise, normalization, numpy_layers, pooling
from lwcnn.engine.operations.base import Bind, Operation, first_difference
from lwcnn.engine.operations.depthwise_block import DepthwiseBlock
from lwcnn.models.blocks import PER_IMAGE
from lwcnn.models.layers import SoftVoting

OPERATIONS: dict[type[keras.Layer], type[Operation]] = {
    SoftVoting: numpy_layers.SoftVoting,
    **dict.fromkeys(activations.ACTIVATIONS, activations.Activation),
    layers.Add: numpy_layers.Add,
    layers.Average: numpy_layers.Average,
    layers.AveragePooling2D: pooling.AveragePool,
    layers.BatchNormalization: normalization.BatchNorm,
    layers.Concatenate: numpy_layers.Concatenate,
    layers.Conv1D: convolution.Convolution1D,
    layers.Conv2D: convolution.Convolution,
    layers.Dense: convolution.Linear,
    layers.DepthwiseConv2D: depthwise.DepthwiseConvolution,
    layers.Dropout: numpy_layers.Dropout,
    layers.Flatten: numpy_layers.Reshape,
    layers.GlobalAveragePooling2D: pooling.GlobalAverage,
    layers.GlobalMaxPooling2D: pooling.GlobalMax,
    layers.MaxPooling2D: pooling.MaxPool,
    layers.Multiply: numpy_layers.Multiply,
    layers.Normalization: numpy_layers.Normalize,
    layers.PReLU: activations.PReLU,
    layers.Rescaling: numpy_layers.Rescale,
    layers.Reshape: numpy_layers.Reshape,
    layers.SeparableConv2D: depthwise.SeparableConvolution,
    layers.SpatialDropout2D: numpy_layers.Dropout,
    layers.ZeroPadding2D: numpy_layers.ZeroPadding,
}

PLAIN = {"compute_dtype": "float32", "data_format": "channels_last", "quantization_mode": None, "lora_enabled": False}
"""Values that these settings must have in every layer that has them."""


def unsupported_layer(layer: keras.Layer) -> str | None:
    """Returns why a layer has no operation, such as "conv1 (Conv2D) has groups=2"; None if it has one."""
    found = OPERATIONS.get(type(layer))
    if found is None:
        return f"{title(layer)} is not supported"
    setting = first_difference(layer, **PLAIN) or found.unsupported_setting(layer)
    return setting and f"{title(layer)} has {setting}"


class Match(NamedTuple):
    """A matched pattern: a function that builds its operation, and the calls that the operation replaces."""

    build: Callable[[Bind], Operation]
    calls: tuple[Call, ...]


def match_layers(graph: Graph) -> list[Match]:
    """Returns matches that cover every call of a graph, in order of computation."""
    matches: list[Match] = []
    covered: set[Call] = set()
    for call in graph.calls:
        if call in covered:
            continue
        found = next((match for pattern in PATTERNS if (match := pattern(graph, call))), None) or _one_layer(call)
        covered.update(found.calls)
        matches.append(found)
    return matches


def _one_layer(call: Call) -> Match:
    if reason := unsupported_layer(call.layer):
        raise Unsupported(reason)
    return Match(partial(OPERATIONS[type(call.layer)], call.layer), (call,))


class _Chain:
    """A chain of calls, each the only reader of the previous one."""

    def __init__(self, graph: Graph, first: Call):
        self.graph, self.calls = graph, [first]

    @property
    def output(self) -> int:
        return self.calls[-1].output

    def then(self, is_wanted: Callable[[keras.Layer], bool], *others: int) -> keras.Layer | None:
        """Appends the next call, if its layer satisfies a condition, and returns the layer; else returns None.

        `others` are the values that the call must read besides that of the previous call.
        """
        reader = self.graph.only_reader(self.output)
        if reader is None or not is_wanted(reader.layer) or sorted(reader.inputs) != sorted((self.output, *others)):
            return None
        self.calls.append(reader)
        return reader.layer


def conv_relu_max_pool(graph: Graph, call: Call) -> Match | None:
    """Matches a 3x3 convolution with ReLU, followed by 2x2 max-pooling."""
    chain = _Chain(graph, call)
    if not _is_conv_3x3(call.layer):
        return None
    activation = _activation(call.layer) or _activation(chain.then(_is_activation))
    if activation is relu and chain.then(_is_pooling_by_two):
        return Match(partial(convolution.ConvReluMaxPool, call.layer), tuple(chain.calls))
    return None


def normalized_activation(graph: Graph, call: Call) -> Match | None:
    """Matches batch normalization followed by an activation."""
    if type(call.layer) is not layers.BatchNormalization or unsupported_layer(call.layer):
        return None
    chain = _Chain(graph, call)
    activation = chain.then(_is_known_activation)
    return activation and Match(partial(normalization.BatchNorm, call.layer, activation=activation), tuple(chain.calls))


def depthwise_block(graph: Graph, call: Call) -> Match | None:
    """Matches `lwcnn.models.blocks.depthwise_block`, with or without channel attention, dropout and shortcut."""
    if not _is_depthwise(call.layer):
        return None
    chain, parts = _Chain(graph, call), {"depthwise": call.layer}
    parts["norm"] = chain.then(_is_norm)
    parts["expand"] = chain.then(_is_pointwise)
    activation = _activation(parts["expand"]) or _activation(chain.then(_is_activation))
    parts["project"] = chain.then(_is_pointwise)
    if None in parts.values() or _activation(parts["project"]) or not DepthwiseBlock.fits(parts, activation):
        return None
    parts |= _channel_attention(chain)
    parts["drop"] = chain.then(_is_stochastic_depth)
    is_as_wide = _width(call.layer) == _width(parts["project"])  # else the addition broadcasts
    residual = is_as_wide and chain.then(_is_addition, call.inputs[0]) is not None
    if not parts["norm"].trainable and chain.output in graph.with_gradient:
        return None  # the kernel's gradient assumes statistics of the batch
    return Match(partial(DepthwiseBlock, parts, activation, residual), tuple(chain.calls))


def _channel_attention(chain: _Chain) -> dict[str, keras.Layer]:
    """Extends the chain by one of `lwcnn.models.blocks.ATTENTIONS`; returns its layers with weights, by role."""
    maps, readers = chain.output, chain.graph.readers(chain.output)
    pool = next((call for call in readers if _is_global_average(call.layer)), None)
    if len(readers) != 2 or pool is None or maps in chain.graph.outputs:
        return {}
    side, width = _Chain(chain.graph, pool), _width(pool.layer)
    if pool.layer.keepdims:
        parts = {"squeeze": side.then(_is_squeeze), "excite": side.then(_is_excite)}
    else:
        row = side.then(partial(_is_reshape, shape=(width, 1)))
        neighbors = side.then(_is_convolution_of_means)
        factor = side.then(partial(_is_reshape, shape=(1, 1, width)))
        parts = {"neighbors": neighbors if row and factor else None}
    if None in parts.values() or _width(side.calls[-1].layer) != width or not side.then(_is_product, maps):
        return {}
    chain.calls += side.calls
    return parts


PATTERNS = (depthwise_block, conv_relu_max_pool, normalized_activation)


def _has(layer, **settings) -> bool:
    """Returns whether a layer has these settings and those of `PLAIN`."""
    return first_difference(layer, **PLAIN, **settings) is None


def _matcher(cls: type, **settings) -> Callable[[keras.Layer], bool]:
    """Returns a function that checks whether a layer is of a class and has these settings."""
    return lambda layer: type(layer) is cls and _has(layer, **settings)


_UNIT = {"strides": (1, 1), "dilation_rate": (1, 1)}
_is_conv_3x3 = _matcher(layers.Conv2D, kernel_size=(3, 3), groups=1, **_UNIT)
_is_pointwise = _matcher(layers.Conv2D, kernel_size=(1, 1), groups=1, **_UNIT)
_is_depthwise = _matcher(
    layers.DepthwiseConv2D, padding="same", depth_multiplier=1, use_bias=False, activation=linear, **_UNIT
)
_is_pooling_by_two = _matcher(layers.MaxPooling2D, pool_size=(2, 2), strides=(2, 2), padding="valid")
_is_squeeze, _is_excite = (_matcher(layers.Dense, activation=function) for function in (relu, sigmoid))
_is_convolution_of_means = _matcher(
    layers.Conv1D, filters=1, strides=(1,), dilation_rate=(1,), padding="same", use_bias=False, activation=sigmoid
)
_is_global_average = _matcher(layers.GlobalAveragePooling2D)
_is_product, _is_addition = _matcher(layers.Multiply), _matcher(layers.Add)
_is_relu = _matcher(layers.ReLU, max_value=None, negative_slope=0.0, threshold=0.0)


def _is_known_activation(layer) -> bool:
    return OPERATIONS.get(type(layer)) is activations.Activation and unsupported_layer(layer) is None


def _is_norm(layer) -> bool:
    is_known = type(layer) is layers.BatchNormalization and unsupported_layer(layer) is None
    return is_known and layer.center and layer.scale and layer.epsilon > 0  # appended channels have variance 0


def _is_stochastic_depth(layer) -> bool:
    return type(layer) is layers.Dropout and layer.noise_shape == PER_IMAGE and unsupported_layer(layer) is None


def _width(layer: keras.Layer) -> int:
    return layer.output.shape[-1]


def _is_reshape(layer, shape: tuple[int, ...]) -> bool:
    return type(layer) is layers.Reshape and _has(layer) and tuple(layer.output.shape[1:]) == shape


def _is_activation(layer) -> bool:
    return (type(layer) is layers.Activation and _has(layer)) or _is_relu(layer)


def _activation(layer: keras.Layer | None) -> Callable | None:
    """Returns the activation function of a layer; None for the identity and for a missing layer."""
    found = relu if type(layer) is layers.ReLU else getattr(layer, "activation", None)
    return None if found is linear else found

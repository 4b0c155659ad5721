"""Channels of like range: int8 gives all channels of a map one scale, so a small channel keeps few of its 256 steps."""

import keras
import numpy as np
from keras import layers

from lwcnn.data.checks import images_at_once
from lwcnn.export.int8.simplify import is_convolution, is_linear, scale_outputs, sources
from lwcnn.models.layers import StochasticDepth

_BATCH_SIZE = 100  # memory only
_LEAST = 1e-3  # range of a channel as a share of the widest; below it noise would be magnified
_PASSING = (
    layers.Add,
    layers.MaxPooling2D,
    layers.GlobalAveragePooling2D,
    layers.ZeroPadding2D,
    layers.Dropout,
    StochasticDepth,
)  # a positive factor on a channel of their inputs comes out as it went in


def equalize_channels(model: keras.Model, images: np.ndarray) -> keras.Model:
    """A copy of the model, of the same results up to rounding, whose maps have channels of like range.

    A factor that one convolution divides a channel by, the next multiplies it with again. Maps that an addition
    or a pooling joins share their factors: the geometric mean of their channels' ranges, globally pooled maps left
    out. A layer whose channels are all zero on the images gives a constant that nothing reads, for LiteRT refuses
    the empty range.

    Args:
        model: as of `simplify`.
        images: uint8, shape (n, height, width, channels).

    Returns:
        A new functional model; `model` stays as it is.

    Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv 1906.04721,
    with the ranges of the maps in place of the weights'.
    """
    groups = _groups(model)
    factors = _factors(model, groups, images)
    copy = keras.models.clone_model(model)
    for layer in model.layers:
        if not is_convolution(layer):
            copy.get_layer(layer.name).set_weights(layer.get_weights())
            continue
        kernel, *bias = layer.get_weights()
        (before,) = sources(layer)
        read = factors.get(groups.get(before.name))
        written = factors.get(groups.get(layer.name))
        if read is not None:
            kernel = kernel * read[:, np.newaxis]
        if written is not None and written.any():
            kernel, bias = scale_outputs(layer, kernel, 1 / written), [part / written for part in bias]
        elif written is not None:
            kernel, bias = np.zeros_like(kernel), [np.ones_like(part) for part in bias]
        copy.get_layer(layer.name).set_weights([kernel, *bias])
    return copy


def _groups(model: keras.Model) -> dict[str, str]:
    """Layers' names to the name of one of the layers with which they must share factors; others are left out."""
    parents = {operation.name: operation.name for operation in model.operations}

    def find(name: str) -> str:
        while parents[name] != name:
            name = parents[name]
        return name

    fixed = {tensor._keras_history.operation.name for tensor in model.outputs}
    for operation in model.operations:
        name = operation.name
        if isinstance(operation, layers.InputLayer):
            fixed.add(name)
            continue
        before = [source.name for source in sources(operation)]
        if is_convolution(operation):
            if not is_linear(operation) and operation.activation is not keras.activations.relu:
                fixed.add(name)
        elif isinstance(operation, _PASSING):
            for source in before:
                parents[find(source)] = find(name)
        elif isinstance(operation, layers.Multiply):  # a map and its squeeze-and-excitation
            parents[find(before[0])] = find(name)
            fixed.update(before[1:])
        else:
            fixed.update([name, *before])
    fixed = {find(name) for name in fixed}
    return {name: find(name) for name in parents if find(name) not in fixed}


def _factors(model: keras.Model, groups: dict[str, str], images: np.ndarray) -> dict[str, np.ndarray]:
    """What the channels of each group are divided by, shape (channels,), at most 1; zeros for a group of zeros."""
    pooled = layers.GlobalAveragePooling2D
    maps = {
        layer.name: layer.output for layer in model.layers if layer.name in groups and not isinstance(layer, pooled)
    }
    probe = keras.Model(model.inputs[0], maps)
    ranges = dict.fromkeys(maps, 0.0)
    batch_size = images_at_once(images.shape[1:], _BATCH_SIZE)
    for start in range(0, len(images), batch_size):
        found = probe(images[start : start + batch_size].astype(np.float32), training=False)
        ranges = {name: np.maximum(old, np.abs(found[name].numpy()).max((0, 1, 2))) for name, old in ranges.items()}
    factors = {}
    for group in set(groups.values()):
        shares = [_shares(own) for name, own in ranges.items() if groups[name] == group and own.any()]
        channels = model.get_layer(group).output.shape[-1]
        factors[group] = np.exp(np.mean(np.log(shares), axis=0)) if shares else np.zeros(channels)
    return factors


def _shares(ranges: np.ndarray) -> np.ndarray:
    """Ranges as shares of the widest; 1 for channels that are zero, which need no steps."""
    return np.where(ranges > 0, np.maximum(ranges / ranges.max(), _LEAST), 1)

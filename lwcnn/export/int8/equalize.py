"""Channel equalization: int8 uses one scale for all channels, so channels of small range lose precision."""

import keras
import numpy as np
from keras import layers
from scipy.cluster.hierarchy import DisjointSet
from scipy.optimize import minimize
from scipy.special import logsumexp

from lwcnn.data.checks import images_at_once
from lwcnn.export.formats import require_tensorflow
from lwcnn.export.int8.simplify import Replacement, is_convolution, is_linear, rewrite, same, scale_outputs
from lwcnn.models.graph import source, sources

_BATCH_SIZE = 100  # affects memory only
_MIN_RELATIVE_RANGE = 1e-3  # of a channel, relative to the widest; smaller ones would amplify noise
_SHARPNESS = 20.0  # of the smooth maximum over channels; its relative error is log(channels) / 20 at most
_SCALE_EQUIVARIANT = (
    layers.Add,
    layers.MaxPooling2D,
    layers.GlobalAveragePooling2D,
    layers.ZeroPadding2D,
    layers.Dropout,
)  # a positive factor on an input channel scales the output channel equally


def equalize_channels(model: keras.Model, images: np.ndarray) -> keras.Model:
    """Returns an equivalent copy of a simplified model whose feature maps have channels of similar range on the images.

    A convolution divides each output channel by a factor, and the next one multiplies by it (arXiv 1906.04721, with
    ranges of maps instead of weights, and their influence). A layer whose output is zero on all images becomes an
    unused constant, because LiteRT rejects an empty range.
    """
    groups = _groups(model)
    factors = _factors(model, groups, images)
    replaced: dict[str, Replacement] = {}
    for layer in filter(is_convolution, model.layers):
        kernel, *bias = layer.get_weights()
        (before,) = sources(layer)
        read = factors.get(groups.get(before.name, ""))
        written = factors.get(groups.get(layer.name, ""))
        if read is not None:
            kernel = kernel * read[:, np.newaxis]
        if written is not None and written.any():
            kernel, bias = scale_outputs(layer, kernel, 1 / written), [part / written for part in bias]
        elif written is not None:
            kernel, bias = np.zeros_like(kernel), [np.ones_like(part) for part in bias]
        replaced[layer.name] = same(layer), [kernel, *bias]
    return rewrite(model, replaced)


def _groups(model: keras.Model) -> dict[str, str]:
    """Maps layer names to a representative of the layers that must share factors; other layers are omitted."""
    joined = DisjointSet(operation.name for operation in model.operations)
    fixed = {source(tensor).name for tensor in model.outputs}
    for operation in model.operations:
        name = operation.name
        if isinstance(operation, layers.InputLayer):
            fixed.add(name)
            continue
        before = [each.name for each in sources(operation)]
        if is_convolution(operation):
            if not is_linear(operation) and operation.activation is not keras.activations.relu:
                fixed.add(name)
        elif isinstance(operation, _SCALE_EQUIVARIANT) and all(_keep_channels(operation)):
            for each in before:
                joined.merge(each, name)
        elif isinstance(operation, layers.Multiply) and _keep_channels(operation)[0]:  # a map and its attention
            joined.merge(before[0], name)
            fixed.update(before[1:])
        else:
            fixed.update([name, *before])
    fixed = {joined[name] for name in fixed}
    return {name: joined[name] for name in joined if joined[name] not in fixed}


def _keep_channels(operation: keras.Operation) -> list[bool]:
    """Returns whether each input of an operation has as many channels as its output: an `Add` may broadcast."""
    return [each.output.shape[-1] == operation.output.shape[-1] for each in sources(operation)]


def _factors(model: keras.Model, groups: dict[str, str], images: np.ndarray) -> dict[str, np.ndarray]:
    """Computes the divisors of each group, shape (channels,), at most 1; zeros if all outputs are zero."""
    pooled = layers.GlobalAveragePooling2D
    maps = {
        layer.name: layer.output for layer in model.layers if layer.name in groups and not isinstance(layer, pooled)
    }
    if not maps:
        return {}
    probe = keras.Model(model.inputs[0], maps)
    ranges: dict[str, np.ndarray] = dict.fromkeys(maps, np.zeros(()))
    batch_size = images_at_once(images.shape[1:], _BATCH_SIZE)
    for start in range(0, len(images), batch_size):
        found = probe(images[start : start + batch_size].astype(np.float32), training=False)
        ranges = {name: np.maximum(old, np.abs(found[name].numpy()).max((0, 1, 2))) for name, old in ranges.items()}
    sensitivities = _sensitivities(model, maps, images[:batch_size])
    factors = {}
    for group in set(groups.values()):
        used = [name for name in maps if groups[name] == group and ranges[name].any()]
        if used:
            found = np.stack([ranges[name] for name in used])
            factors[group] = _quietest(found, np.stack([sensitivities[name] for name in used]))
        else:
            factors[group] = np.zeros(model.get_layer(group).output.shape[-1])
    return factors


def _sensitivities(model: keras.Model, maps: dict, images: np.ndarray) -> dict[str, np.ndarray]:
    """Returns, by map, the sums of squared gradients of the outputs with respect to each channel, (channels,)."""
    tf = require_tensorflow()
    probe = keras.Model(model.inputs[0], [maps, model.outputs[0]])
    inputs = tf.constant(images.astype(np.float32))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        found, outputs = probe(inputs, training=False)
        # With random signs, the mean square of one gradient is the sum over all outputs.
        signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), outputs.shape)
        total = tf.reduce_sum(outputs * signs)
    gradients = tape.gradient(total, found, unconnected_gradients="zero")
    return {name: np.square(one.numpy()).sum((0, 1, 2)) for name, one in gradients.items()}


def _quietest(ranges: np.ndarray, sensitivities: np.ndarray) -> np.ndarray:
    """Returns the divisors, shape (channels,), at most 1, that minimize the rounding noise of the outputs.

    A map's rounding step is proportional to its widest channel after division, and a channel's noise to the step times
    its divisor: a convex function of the logarithms. `ranges` and `sensitivities` of the outputs have shape (maps,
    channels).
    """
    widest = ranges.max(axis=1, keepdims=True)
    relative = np.log(np.where(ranges > 0, np.maximum(ranges / widest, _MIN_RELATIVE_RANGE), 1))
    best = relative.mean(axis=0)
    if sensitivities.any() and not np.allclose(relative, best):  # the maps disagree
        weights = np.square(widest) * sensitivities

        def noise(logs: np.ndarray) -> float:
            steps = logsumexp(_SHARPNESS * (relative - logs), axis=1, keepdims=True) / _SHARPNESS
            return float(logsumexp(2 * (steps + logs), b=weights))

        best = minimize(noise, best, method="L-BFGS-B").x
    return np.exp(best - best.max())

"""The costs of a model: parameters, multiply-accumulates (MACs) and memory, counted from its layers' shapes."""

import math
from collections.abc import Iterator

import keras
from keras import layers

from lwcnn.models.graph import layer_calls, layer_outputs
from lwcnn.system.errors import wrong

MEBIBYTE = 2**20
FLOAT_BYTES = 4

# Their output is the image, another view of their input, or overwrites it: nothing is stored for the backward pass.
_NOT_STORED = (
    layers.InputLayer, layers.Rescaling, layers.Normalization, layers.Flatten, layers.Reshape, layers.Identity,
    layers.Activation, layers.ReLU, layers.LeakyReLU,
)  # fmt: skip


def count_macs(model: keras.Model) -> int:
    """Returns the multiply-accumulates of a model for one image.

    Convolutions and dense layers count. Biases, activations, pooling and other elementwise operations do not, as is
    common practice. A layer that is called several times counts each time.

    Args:
        model: Functional or sequential model with a fixed image shape. Nested models count too.

    Returns:
        Number of multiply-accumulates.

    Raises:
        LwcnnError: The model is neither functional nor sequential, a shape is not fixed, or a layer with weights of two
            or more dimensions is of an unknown kind.

    Examples:
        >>> import lwcnn
        >>> count_macs(lwcnn.build_submodel((28, 28, 1), num_classes=10))
        283640
    """
    return sum(
        _count_layer(layer, tensors[0][1])
        for layer, calls in layer_calls(model)
        for tensors in calls
        if isinstance(layer, keras.Layer) and tensors
    )


_COUNTED = (layers.Dense, layers.Conv1D, layers.Conv2D, layers.DepthwiseConv2D, layers.SeparableConv2D)


def _count_layer(layer: keras.Layer, input_shape: tuple[int | None, ...]) -> int:
    if isinstance(layer, keras.Model):
        return count_macs(layer)
    kernels = [weight for weight in layer.weights if len(weight.shape) >= 2]
    if isinstance(layer, _COUNTED):  # each kernel is applied once at each output position
        shape = layer.compute_output_shape(input_shape)
        is_channels_first = getattr(layer, "data_format", "channels_last") == "channels_first"
        positions = _product(layer, shape[2:] if is_channels_first else shape[1:-1])
        return positions * sum(math.prod(kernel.shape) for kernel in kernels)
    if kernels and not isinstance(layer, (layers.Embedding, layers.PReLU)):  # a lookup; an elementwise operation
        advice = "Multiply-accumulates of this layer class are unknown: add it to lwcnn/models/cost.py"
        raise wrong(advice, f"{type(layer).__name__} {layer.name!r} with weights {[kernel.path for kernel in kernels]}")
    return 0


def _product(layer: keras.Layer, sizes: tuple[int | None, ...]) -> int:
    known = [size for size in sizes if size is not None]
    if len(known) != len(sizes):
        raise wrong("Give a model with a fixed image shape", f"{sizes} at {layer.name!r}")
    return math.prod(known)


def memory(model: keras.Model) -> dict[str, float]:
    """Returns the memory of a training step on one image as "torchsummary" counts it, in float32.

    In MB of 2^20 bytes: `input` (the image), `passes` (layers' outputs with gradients), `params` (trainable parameters)
    and `total`. It reproduces the published figures of the ResNet [4,4,4,3] (0.01, 10.16, 18.14, 28.31 MB). The
    SE-ResNet's 59.35 and 78.08 MB include the outputs of activations, which here overwrite their input.
    """
    stored = sum(_product(layer, shape) for layer, shape in _called_once(model) if not isinstance(layer, _NOT_STORED))
    inputs = sum(math.prod(tensor.shape[1:]) for tensor in model.inputs)
    counts = {"input": inputs, "passes": 2 * stored, "params": trainable_params(model)}
    used = {name: FLOAT_BYTES * count / MEBIBYTE for name, count in counts.items()}
    return used | {"total": sum(used.values())}


def trainable_params(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


def _called_once(model: keras.Model) -> Iterator[tuple[keras.Layer, tuple[int | None, ...]]]:
    """Yields a model's layers in order, with the shape of an output; a nested model is replaced by its layers."""
    outputs = layer_outputs(model)
    for layer, calls in layer_calls(model):
        if len(calls) > 1:
            raise wrong("Give a model that calls each layer once", f"{layer.name!r}, called several times")
        if isinstance(layer, keras.Model):
            yield from _called_once(layer)
        elif isinstance(layer, keras.Layer):
            yield layer, tuple(outputs[layer.name].shape[1:])


def costs(model: keras.Model) -> dict:
    """Returns a model's costs, ready for JSON: parameters, bytes, MACs, and memory in MB of 2^20 bytes."""
    return {
        "input_shape": list(model.inputs[0].shape[1:]),
        "num_classes": model.outputs[0].shape[-1],
        "params": model.count_params(),
        "trainable_params": trainable_params(model),
        "float32_bytes": FLOAT_BYTES * model.count_params(),
        "macs": count_macs(model),
        "memory_mb": memory(model),
    }


def summary_text(model: keras.Model) -> str:
    """Returns a table of a model's layers, followed by its parameters, MACs and memory."""
    table = [("layer", "kind", "output", "parameters")]
    for layer, shape in _called_once(model):
        table.append((layer.name, type(layer).__name__, " x ".join(map(str, shape)), f"{layer.count_params():,}"))
    names, kinds, shapes, params = (max(map(len, column)) for column in zip(*table))
    lines = [f"{a:<{names}}  {b:<{kinds}}  {c:<{shapes}}  {d:>{params}}" for a, b, c, d in table]
    used = memory(model)
    lines += [
        "",
        f"parameters            {model.count_params():>14,}  ({trainable_params(model):,} trainable)",
        f"multiply-accumulates  {count_macs(model):>14,}  for one image",
        f"memory, input         {used['input']:>14.2f} MB",
        f"memory, passes        {used['passes']:>14.2f} MB  activations forward and backward",
        f"memory, parameters    {used['params']:>14.2f} MB",
        f"memory, total         {used['total']:>14.2f} MB",
    ]
    return "\n".join(lines)

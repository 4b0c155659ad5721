"""What a model consists of: its layers, parameters, multiply-accumulates, and memory.

Command: `lwcnn summary MODEL`.
"""

import math
from dataclasses import dataclass

import keras
from keras import layers

from lwcnn.models.cost import count_macs
from lwcnn.system.errors import LwcnnError

MEBIBYTE = 2**20
FLOAT_BYTES = 4

# They hold the image, or show the same numbers in another shape: nothing of their own is kept for the way back.
_WITHOUT_OUTPUT = (
    layers.InputLayer,
    layers.Rescaling,
    layers.Normalization,
    layers.Flatten,
    layers.Reshape,
    layers.Identity,
)
_ACTIVATIONS = (layers.Activation, layers.ReLU, layers.LeakyReLU)


@dataclass(frozen=True)
class LayerRow:
    """One layer.

    Attributes:
        name, kind: its own and its class's name.
        output_shape: of one image, without the batch.
        params: number of its weights' values, those that do not train as well.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int


@dataclass(frozen=True)
class Memory:
    """Memory in MB of 2^20 bytes, in float32.

    Attributes:
        input: the images.
        passes: the outputs of the layers and, once more, their gradients.
        params: the trainable parameters, without gradients or an optimizer's state.
    """

    input: float
    passes: float
    params: float

    @property
    def total(self) -> float:
        """All three together."""
        return self.input + self.passes + self.params


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """The model's layers in their order, those of models inside it as well.

    Raises:
        LwcnnError: if the model is of another kind, calls a layer twice, or has no fixed image shape.
    """
    return [
        LayerRow(layer.name, type(layer).__name__, _output_shape(layer), layer.count_params())
        for layer in _flat_layers(model)
    ]


def memory(model: keras.Model, batch_size: int = 1, in_place: bool = True) -> Memory:
    """The memory of a training step as "torchsummary" counts it.

    The reading under which the ResNet [4,4,4,3] has its published figures (0.01, 10.16, 18.14, 28.31 MB): one
    image; the output of every convolution, batch norm, addition, pooling and dense layer twice, for the way there
    and the way back; activations in place; trainable parameters only. The SE-ResNet's 59.35 and 78.08 MB count the
    activations' outputs as well.

    Args:
        model: a functional or built sequential model with a fixed image shape.
        batch_size: images, 1 or more.
        in_place: whether activation layers overwrite their input, and so take no memory.

    Raises:
        LwcnnError: as `layer_rows`.
    """
    values = sum(math.prod(_output_shape(layer)) for layer in _kept(model, in_place))
    inputs = sum(math.prod(tensor.shape[1:]) for tensor in model.inputs)
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return Memory(
        *(FLOAT_BYTES * count / MEBIBYTE for count in (batch_size * inputs, 2 * batch_size * values, trainable))
    )


def _kept(model: keras.Model, in_place: bool):
    """The layers whose output is kept, twice where an activation inside makes an output of its own."""
    for layer in _flat_layers(model):
        if isinstance(layer, _ACTIVATIONS):
            if not in_place:
                yield layer
        elif not isinstance(layer, _WITHOUT_OUTPUT):
            yield layer
            if not in_place and getattr(layer, "activation", None) not in (None, keras.activations.linear):
                yield layer


def _flat_layers(model: keras.Model):
    """The model's layers, in place of models inside it their layers."""
    if not getattr(model, "inputs", None):
        raise LwcnnError(f"Give a functional or a built sequential model. Received: {type(model)} {model.name!r}")
    config = {} if isinstance(model, keras.Sequential) else model.get_config()
    calls = {entry["name"]: len(entry["inbound_nodes"]) for entry in config.get("layers", ())}
    for layer in model.layers:
        if calls.get(layer.name, 1) > 1:
            raise LwcnnError(f"Give a model that calls each layer once. Received: {layer.name!r}, called several times")
        if isinstance(layer, keras.Model):
            yield from _flat_layers(layer)
        else:
            yield layer


def _output_shape(layer: keras.Layer) -> tuple[int, ...]:
    output = layer.output
    output = output[0] if isinstance(output, (list, tuple)) else output
    shape = tuple(output.shape[1:])
    if None in shape:
        raise LwcnnError(f"Give a model with a fixed image shape. Received: {shape} at {layer.name!r}")
    return shape


def summary_text(model: keras.Model) -> str:
    """A table of the model's layers, and under it parameters, multiply-accumulates and memory."""
    table = [("layer", "kind", "output", "parameters")]
    table += [
        (row.name, row.kind, " x ".join(map(str, row.output_shape)), f"{row.params:,}") for row in layer_rows(model)
    ]
    widths = [max(len(row[k]) for row in table) for k in range(4)]
    lines = [
        f"{name:<{widths[0]}}  {kind:<{widths[1]}}  {shape:<{widths[2]}}  {params:>{widths[3]}}"
        for name, kind, shape, params in table
    ]
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    used = memory(model)
    lines += [
        "",
        f"parameters            {model.count_params():>14,}  ({trainable:,} trainable)",
        f"multiply-accumulates  {count_macs(model):>14,}  for one image",
        f"memory, input         {used.input:>14.2f} MB",
        f"memory, passes        {used.passes:>14.2f} MB  activations forward and backward",
        f"memory, parameters    {used.params:>14.2f} MB",
        f"memory, total         {used.total:>14.2f} MB",
    ]
    return "\n".join(lines)


def costs(model: keras.Model) -> dict:
    """What a model costs, ready for JSON: parameters, bytes, multiply-accumulates, and memory in MB of 2^20 bytes."""
    used = memory(model)
    return {
        "input_shape": list(model.input_shape[1:]),
        "num_classes": model.output_shape[-1],
        "params": model.count_params(),
        "trainable_params": sum(math.prod(weight.shape) for weight in model.trainable_weights),
        "float32_bytes": FLOAT_BYTES * model.count_params(),
        "macs": count_macs(model),
        "memory_mb": {"input": used.input, "passes": used.passes, "params": used.params, "total": used.total},
    }

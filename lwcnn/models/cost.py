"""Multiply-accumulates of a model, counted from its layers' shapes."""

import math

import keras
from keras import layers

from lwcnn.system.errors import LwcnnError


def count_macs(model: keras.Model) -> int:
    """Returns the multiply-accumulates of the model's layers for one image.

    Convolutions and dense layers count; biases, activations, pooling and other elementwise work do not, as
    usual. A layer that is called several times counts each time.

    Args:
        model: a functional or sequential model with a fixed image shape; models inside it count too.

    Raises:
        LwcnnError: a model of another kind, a shape that is not fixed, or a layer with weights of two or more
            dimensions whose multiplications are not known here.
    """
    if isinstance(model, keras.Sequential):
        return _count_sequential(model)
    config = model.get_config() if isinstance(model, keras.Model) else {}
    if "input_layers" not in config:
        raise LwcnnError(
            f"Give a functional or sequential model: others do not tell their shapes. Received: {type(model)}"
        )
    by_name = {layer.name: layer for layer in model.layers}
    # The configuration holds each call of each layer in this model, and nothing of its calls in other models.
    return sum(
        _count_layer(by_name[entry["name"]], _first_tensor_shape(call["args"]))
        for entry in config["layers"]
        for call in entry["inbound_nodes"]
        if entry["name"] in by_name  # not a bare operation, such as an addition
    )


def _count_sequential(model: keras.Sequential) -> int:
    if not model.built or model.inputs is None:
        raise LwcnnError(f"Build the model first, with its image shape. Received: {model.name}, not built")
    shape, total = tuple(model.inputs[0].shape), 0
    for layer in model.layers:
        total += _count_layer(layer, shape)
        shape = layer.compute_output_shape(shape)
    return total


def _count_layer(layer: keras.Layer, input_shape: tuple | None) -> int:
    if isinstance(layer, keras.Model):
        return count_macs(layer)
    if isinstance(layer, layers.Dense):
        return _product(layer, input_shape[1:-1]) * math.prod(layer.kernel.shape)
    if isinstance(layer, layers.SeparableConv2D):
        return _positions(layer, input_shape) * (
            math.prod(layer.depthwise_kernel.shape) + math.prod(layer.pointwise_kernel.shape)
        )
    if isinstance(layer, (layers.Conv2D, layers.DepthwiseConv2D)):
        return _positions(layer, input_shape) * math.prod(layer.kernel.shape)
    unknown = [weight.path for weight in layer.weights if len(weight.shape) >= 2]
    if unknown and not isinstance(layer, layers.Embedding):  # an embedding looks up, it does not multiply
        raise LwcnnError(
            f"The multiply-accumulates of this kind of layer are not known: add it to lwcnn/models/cost.py. "
            f"Received: {type(layer).__name__} {layer.name!r} with weights {unknown}"
        )
    return 0


def _positions(layer: keras.Layer, input_shape: tuple) -> int:
    """Number of pixels of a convolution's output, at each of which its kernel is applied once."""
    shape = layer.compute_output_shape(input_shape)
    return _product(layer, shape[1:3] if layer.data_format == "channels_last" else shape[2:4])


def _product(layer: keras.Layer, sides: tuple) -> int:
    if any(side is None for side in sides):
        raise LwcnnError(f"Give a model with a fixed image shape. Received: {sides} at {layer.name!r}")
    return math.prod(sides)


def _first_tensor_shape(arguments) -> tuple | None:
    """Shape, with the batch in front, of the first tensor among the stored arguments of a call."""
    if isinstance(arguments, dict) and arguments.get("class_name") == "__keras_tensor__":
        return tuple(arguments["config"]["shape"])
    if isinstance(arguments, (list, tuple)):
        for argument in arguments:
            shape = _first_tensor_shape(argument)
            if shape is not None:
                return shape
    return None

"""Layers of a model and the connections between them."""

from collections.abc import Iterator

import keras

from lwcnn.system.errors import wrong


def flat_layers(model: keras.Operation) -> Iterator[keras.Operation]:
    """Yields a model's layers in order; a model within it is replaced by its layers."""
    if not isinstance(model, keras.Model):
        yield model
        return
    for layer in model.layers:
        yield from flat_layers(layer)


def as_functional(model: keras.Model) -> keras.Model:
    """Returns a built Sequential model as a functional one with the same layers; any other model as it is."""
    if isinstance(model, keras.Sequential) and model.built:
        return keras.Model(model.inputs, model.outputs, name=model.name)
    return model


def layer_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Returns the output of each layer that has one, in a functional or built Sequential model, by the layer's name.

    A layer's own attribute `output` is that of its first call, which may be in another model. If a model calls a layer
    several times, the output is that of its last call.
    """
    nodes_by_depth = as_functional(model)._nodes_by_depth
    calls = [node for depth in sorted(nodes_by_depth, reverse=True) for node in nodes_by_depth[depth]]
    return {node.operation.name: node.outputs[0] for node in calls if len(node.outputs) == 1}


def ends_in_softmax(model: keras.Model) -> bool:
    """Returns whether the last layer is, or applies, a softmax."""
    *_, last = flat_layers(model)
    name = getattr(getattr(last, "activation", None), "__name__", "")
    return isinstance(last, keras.layers.Softmax) or name == "softmax"


Tensor = tuple[str, tuple[int | None, ...]]
"""Name of the layer that made a tensor, and its shape."""


def layer_calls(model: keras.Model) -> list[tuple[keras.Operation, list[list[Tensor]]]]:
    """Returns each layer and bare operation of a model, in order, with the tensors that each of its calls reads.

    Calls in other models do not count.
    """
    model = as_functional(model)
    config = model.get_config() if isinstance(model, keras.Model) else {}
    if "input_layers" not in config:
        found = f"{type(model).__name__} {getattr(model, 'name', model)!r}"
        raise wrong("Give a functional or a built sequential model", found)
    by_name = {operation.name: operation for operation in model.operations}
    return [
        (by_name[entry["name"]], [_tensors((call["args"], call["kwargs"])) for call in entry["inbound_nodes"]])
        for entry in config["layers"]
    ]


def _tensors(arguments: object) -> list[Tensor]:
    if isinstance(arguments, dict):
        if arguments.get("class_name") == "__keras_tensor__":
            config = arguments["config"]
            return [(config["keras_history"][0], tuple(config["shape"]))]
        return [tensor for value in arguments.values() for tensor in _tensors(value)]
    if isinstance(arguments, (list, tuple)):
        return [tensor for value in arguments for tensor in _tensors(value)]
    return []

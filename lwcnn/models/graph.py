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


def source(tensor: keras.KerasTensor) -> keras.Operation:
    """Returns the layer or operation that produces a tensor."""
    return tensor._keras_history.operation


def sources(operation: keras.Operation) -> list[keras.Operation]:
    """Returns the layers and operations that produce the inputs of an operation, in order."""
    return [source(tensor) for tensor in keras.tree.flatten(operation.input)]


def layer_outputs(model: keras.Model) -> dict[str, keras.KerasTensor]:
    """Returns the output of each layer that has one, in a functional or built Sequential model, by the layer's name.

    A layer's own attribute `output` is that of its first call, which may be in another model. If a model calls a layer
    several times, the output is that of its last call.
    """
    return {node.operation.name: node.outputs[0] for node in _calls(model) if len(node.outputs) == 1}


def ends_in_softmax(model: keras.Model) -> bool:
    """Returns whether the last layer is, or applies, a softmax."""
    *_, last = flat_layers(model)
    name = getattr(getattr(last, "activation", None), "__name__", "")
    return isinstance(last, keras.layers.Softmax) or name == "softmax"


NamedShape = tuple[str, tuple[int | None, ...]]
"""Name of the layer that made a tensor, and its shape."""


def layer_calls(model: keras.Model) -> list[tuple[keras.Operation, list[list[NamedShape]]]]:
    """Returns each layer and bare operation of a model, in order, with the tensors that each of its calls reads.

    Calls in other models do not count.
    """
    nodes = _calls(model)
    calls: dict[keras.Operation, list[list[NamedShape]]] = {each: [] for each in as_functional(model).operations}
    for node in nodes:
        if not node.is_input:
            read = [(source(tensor).name, tuple(tensor.shape)) for tensor in node.arguments.keras_tensors]
            calls[node.operation].append(read)
    return list(calls.items())


def _calls(model: keras.Model) -> list:
    """Returns Keras's record of each call of a layer in a model, in the order of computation."""
    by_depth = getattr(as_functional(model), "_nodes_by_depth", None)
    if by_depth is None:
        found = f"{type(model).__name__} {getattr(model, 'name', model)!r}"
        raise wrong("Give a functional or a built sequential model", found)
    return [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]

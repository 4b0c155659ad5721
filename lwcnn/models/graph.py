"""Connections between the layers of a functional model."""

import keras

from lwcnn.system.errors import LwcnnError


def layers_with_inputs(model: keras.Model) -> list[tuple[keras.Layer, list[list[str]]]]:
    """Returns each layer of a functional model, in order, with the names of its input layers for each of its calls.

    Raises:
        LwcnnError: The model is not functional.
    """
    config = model.get_config()
    if "input_layers" not in config:
        raise LwcnnError(f"Give a functional model: the connections in others are unknown. Received: {type(model)}")
    return [
        (model.get_layer(entry["name"]), [_input_layers(call["args"]) for call in entry["inbound_nodes"]])
        for entry in config["layers"]
    ]


def _input_layers(arguments: object) -> list[str]:
    """Returns the names of the layers whose outputs are in the arguments of a serialized call."""
    if isinstance(arguments, dict):
        if arguments.get("class_name") == "__keras_tensor__":
            return [arguments["config"]["keras_history"][0]]
        return [name for value in arguments.values() for name in _input_layers(value)]
    if isinstance(arguments, (list, tuple)):
        return [name for value in arguments for name in _input_layers(value)]
    return []

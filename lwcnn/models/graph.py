"""How the layers of a functional model connect."""

import keras

from lwcnn.system.errors import LwcnnError


def layers_with_inputs(model: keras.Model) -> list[tuple[keras.Layer, list[list[str]]]]:
    """Each layer of a functional model, in order, and for each of its calls the names of the layers that it reads.

    Raises:
        LwcnnError: another kind of model.
    """
    config = model.get_config()
    if "input_layers" not in config:
        raise LwcnnError(f"Give a functional model: others do not tell how they connect. Received: {type(model)}")
    return [
        (model.get_layer(entry["name"]), [_layers_read(call["args"]) for call in entry["inbound_nodes"]])
        for entry in config["layers"]
    ]


def _layers_read(arguments) -> list[str]:
    """Names of the layers whose tensors are among the stored arguments of a call."""
    if isinstance(arguments, dict):
        if arguments.get("class_name") == "__keras_tensor__":
            return [arguments["config"]["keras_history"][0]]
        return [name for value in arguments.values() for name in _layers_read(value)]
    if isinstance(arguments, (list, tuple)):
        return [name for value in arguments for name in _layers_read(value)]
    return []

"""Gives a trained network a new head: the start of fine-tuning."""

from collections.abc import Sequence

import keras

from lwcnn.system.errors import LwcnnError


def replace_head(model: keras.Model, num_classes: int, input_shape: Sequence[int] | None = None) -> keras.Model:
    """Returns a copy of a network for other classes, and images of `input_shape`: its last layer has random weights."""
    config = model.get_config()
    head = layers_with_weights(model)[-1]
    for layer in config["layers"]:
        layer.pop("build_config", None)  # the shapes follow from the input
        if layer["class_name"] == "InputLayer" and input_shape is not None:
            layer["config"]["batch_shape"] = (None, *input_shape)
        if layer["config"]["name"] == head:
            size = next((key for key in ("filters", "units") if key in layer["config"]), None)
            if size is None:
                raise LwcnnError(f"Give a model that ends in a dense layer or a convolution. Received: {model.name!r}")
            layer["config"][size] = num_classes
    copy = keras.Model.from_config(config)
    for layer in model.layers:
        try:
            if layer.name != head:
                copy.get_layer(layer.name).set_weights(layer.get_weights())
        except ValueError as error:
            raise LwcnnError(
                f"Keep the image shape {tuple(model.input_shape[1:])} of {model.name!r}, which {layer.name!r} needs. "
                f"Received: {tuple(input_shape or ())}"
            ) from error
    return copy


def layers_with_weights(model: keras.Model) -> list[str]:
    """Returns the names of the layers that have weights, in the model's order."""
    return [layer.name for layer in model.layers if layer.weights]

"""Networks of `keras.applications` for comparison: with random weights, their stem unchanged, for small images."""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.checks import channels_last, require_possible
from lwcnn.models.configs import Application
from lwcnn.system.errors import unknown_name

MIN_IMAGE_SIZE = 32
"""They halve the image five times."""


def _mobilenet_v2(images):
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(images)
    return keras.applications.MobileNetV2(input_tensor=scaled, include_top=False, weights=None)


def _efficientnet_b0(images):
    return keras.applications.EfficientNetB0(input_tensor=images, include_top=False, weights=None)  # scales inside


APPLICATIONS = {"mobilenet_v2": _mobilenet_v2, "efficientnet_b0": _efficientnet_b0}


@channels_last()
def build_application(input_shape: Sequence[int], num_classes: int, description: Application) -> keras.Model:
    """The network of a description.

    Args:
        input_shape: (height, width, channels) of one image, from 32x32.
        num_classes: at least 2.
        description: of the network.

    Returns:
        A model from images (n, height, width, channels), 0..255, to logits (n, num_classes).

    Raises:
        LwcnnError: if the image is too small, there are too few classes, or the name is unknown.
    """
    require_possible(input_shape, num_classes, MIN_IMAGE_SIZE, f"for {description.name}")
    if description.name not in APPLICATIONS:
        raise unknown_name("application", description.name, APPLICATIONS)
    images = keras.Input(tuple(input_shape), name="images")
    base = APPLICATIONS[description.name](images)
    x = layers.GlobalAveragePooling2D(name="features")(base.output)
    if description.dropout:
        x = layers.Dropout(description.dropout, name="head_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)
    return _adapted(keras.Model(images, logits, name=description.name), description.momentum)


def _adapted(model: keras.Model, momentum: float | None) -> keras.Model:
    """The model built anew, numbered anew where Keras numbers layers by all it has built so far, with that momentum."""
    found: dict[str, int] = {}

    def adapted(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        kind = type(layer).__name__.lower()
        if isinstance(layer, layers.Rescaling | layers.Normalization):
            found[kind] = found.get(kind, 0) + 1
            config["name"] = kind if found[kind] == 1 else f"{kind}_{found[kind]}"
        if isinstance(layer, layers.BatchNormalization) and momentum is not None:
            config["momentum"] = momentum
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=adapted)

"""Networks of `keras.applications` for comparison, with random weights and optional strides for small images."""

from collections.abc import Sequence

import keras
from keras import layers

from lwcnn.models.configs import ApplicationConfig
from lwcnn.models.layers import channels_last, check_shapes

APPLICATIONS = {
    "mobilenet_v2": keras.applications.MobileNetV2,
    "efficientnet_b0": keras.applications.EfficientNetB0,  # rescales inside
}

CIFAR_STRIDES: dict[str, dict] = {
    "Conv1": {"strides": 1},
    "block_1_pad": {"padding": 0},
    "block_1_depthwise": {"strides": 1, "padding": "same"},
    "stem_conv_pad": {"padding": 0},
    "stem_conv": {"strides": 1, "padding": "same"},
    "block2a_dwconv_pad": {"padding": 0},
    "block2a_dwconv": {"strides": 1, "padding": "same"},
}
"""Settings of layers, by name, that keep the resolution in the first two strided convolutions of both networks."""


@channels_last()
def build_application(input_shape: Sequence[int], num_classes: int, config: ApplicationConfig) -> keras.Model:
    """Builds a network of `keras.applications` with a new classifier; arguments and result as in `build_network`."""
    # They halve the resolution five times.
    check_shapes(input_shape, num_classes, 32, "for a network of keras.applications")
    images = keras.Input(tuple(input_shape), name="images")
    scaled = layers.Rescaling(1 / 127.5, offset=-1)(images) if config.name == "mobilenet_v2" else images
    base = APPLICATIONS[config.name](input_tensor=scaled, include_top=False, weights=None)
    x = layers.GlobalAveragePooling2D(name="features")(base.output)
    if config.dropout:
        x = layers.Dropout(config.dropout, name="head_dropout")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="head_logits")(x)
    return _rebuilt(keras.Model(images, logits, name=config.name), config)


def _rebuilt(model: keras.Model, settings: ApplicationConfig) -> keras.Model:
    """Rebuilds a model with the given momentum and strides, and with names that do not depend on earlier models."""
    counts: dict[str, int] = {}

    def rebuilt(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        kind = type(layer).__name__.lower()
        if isinstance(layer, layers.Rescaling | layers.Normalization):
            counts[kind] = counts.get(kind, 0) + 1
            config["name"] = kind if counts[kind] == 1 else f"{kind}_{counts[kind]}"
        if isinstance(layer, layers.BatchNormalization) and settings.momentum is not None:
            config["momentum"] = settings.momentum
        if settings.cifar_strides:
            config |= CIFAR_STRIDES.get(layer.name, {})
        return type(layer).from_config(config)

    return keras.models.clone_model(model, clone_function=rebuilt)

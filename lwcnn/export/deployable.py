"""The form of a model that converters turn into the smallest graph."""

import keras
from keras import layers, ops

from lwcnn.system.errors import LwcnnError


def build_deployable(model: keras.Model, short_names: bool = False) -> keras.Model:
    """A copy of the model with the same weights and results whose every shape but the batch is a constant.

    Keras's Reshape and Flatten ask for the batch size while they run. Converted, that is three operations on
    int32 each, which cost bytes and which small runtimes may not have; a reshape to (-1, ...) is none.

    Args:
        model: a functional or sequential model, images (n, height, width, channels) to logits (n, classes).
        short_names: whether layers are called l00, l01 and so on. Each tensor of a LiteRT file is named after all
            operations that were fused into it, several kilobytes in sum; the default keeps them readable.

    Returns:
        A new functional model; `model` stays as it is.

    Raises:
        LwcnnError: a model of several inputs or outputs, of no fixed image shape, or of another kind.
    """
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    if not hasattr(model, "operations") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise LwcnnError(
            "Give a functional or sequential model of one input and one output, such as the merged model. "
            f"Received: {type(model).__name__} {getattr(model, 'name', '')!r}"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise LwcnnError(f"Give a model with a fixed image shape. Received: {shape}")
    # The converter orders branches by name (seen with TensorFlow 2.21). Numbers in the names' old order keep the
    # layers of a branch together; numbered across branches, both run in turn and need more memory at once.
    names = sorted(layer.name for layer in model.layers)
    short = {name: f"l{number:0{len(str(len(names)))}d}" for number, name in enumerate(names)}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if short_names:
            config["name"] = short[layer.name]
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=_call)
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs, copy.outputs, name="m") if short_names else copy


def input_signature(model: keras.Model) -> list[keras.InputSpec]:
    """What Keras's exporters are told of the input: images (None, height, width, channels), float32, 0..255."""
    return [keras.InputSpec(shape=(None, *model.inputs[0].shape[1:]), dtype="float32", name="images")]


def _call(layer, *arguments, **options):
    if isinstance(layer, (layers.Reshape, layers.Flatten)):
        return ops.reshape(arguments[0], (-1, *layer.compute_output_shape(arguments[0].shape)[1:]))
    return layer(*arguments, **options)

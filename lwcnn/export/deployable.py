"""Rewrites models for converters, and exports them by Keras as ONNX and SavedModel files."""

import tempfile
import warnings
from pathlib import Path

import keras
from keras import layers, ops

from lwcnn.export.extras import require, require_tensorflow
from lwcnn.system.environment import quiet_native_output
from lwcnn.system.errors import LwcnnError


def build_deployable(model: keras.Model, short_names: bool = False) -> keras.Model:
    """Returns an equivalent copy of a model in which all shapes but the batch size are constant.

    Keras's Reshape and Flatten compute the batch size at run time: three additional int32 operations each, which take
    space and may be missing in small runtimes. A reshape to (-1, ...) needs none of them. With `short_names`, layers
    are called l00, l01, ...: a LiteRT file names each tensor after all operations fused into it, several kilobytes in
    total.
    """
    if isinstance(model, keras.Sequential) and model.built:
        model = keras.Model(model.inputs, model.outputs, name=model.name)
    if not hasattr(model, "operations") or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise LwcnnError(
            "Give a functional or sequential model with one input and one output, such as the merged model. "
            f"Received: {type(model).__name__} {getattr(model, 'name', '')!r}"
        )
    shape = tuple(model.inputs[0].shape[1:])
    if None in shape:
        raise LwcnnError(f"Give a model with a fixed image shape. Received: {shape}")
    # The converter orders branches by layer name (observed with TensorFlow 2.21). Numbering in the order of the
    # original names keeps the layers of a branch together; interleaved branches need more memory.
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


def export(deployable: keras.Model, path: str | Path, format_name: str) -> None:
    """Exports by Keras with float32 images between 0 and 255 as input, in batches of any size."""
    images = keras.InputSpec(shape=(None, *deployable.inputs[0].shape[1:]), dtype="float32", name="images")
    with quiet_native_output():
        deployable.export(path, format=format_name, verbose=False, input_signature=[images])


def to_onnx(model: keras.Model) -> bytes:
    """Converts a model to a float32 ONNX file, from images between 0 and 255 to logits, for any batch size."""
    require_tensorflow()
    for module in ("onnx", "tf2onnx"):
        require(module)
    deployable = build_deployable(model)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # raised by Keras's patch of tf2onnx
            path = Path(folder) / "model.onnx"
            export(deployable, path, "onnx")
            return path.read_bytes()
    except Exception as error:  # tf2onnx can raise any error
        raise LwcnnError(
            f"Give a model that can be converted to ONNX ({type(error).__name__}: {error}). Received: {model.name!r}"
        ) from error


def to_saved_model(model: keras.Model) -> dict[str, bytes]:
    """Converts a model to the files of a float32 SavedModel, from images (0 to 255) to logits, for any batch size."""
    require_tensorflow()
    with tempfile.TemporaryDirectory() as folder:
        export(build_deployable(model), folder, "tf_saved_model")
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _call(layer, *arguments, **options):
    if isinstance(layer, (layers.Reshape, layers.Flatten)):
        return ops.reshape(arguments[0], (-1, *layer.compute_output_shape(arguments[0].shape)[1:]))
    return layer(*arguments, **options)

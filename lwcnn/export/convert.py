"""Converts models to LiteRT (float32 or int8), ONNX and SavedModel files."""

import contextlib
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from lwcnn.export.formats import FORMATS, LitertModel, require_tensorflow
from lwcnn.export.int8.equalize import equalize_channels
from lwcnn.export.int8.files import correct_biases, restore_relu6_ranges, share_vectors
from lwcnn.export.int8.simplify import same, simplify, split_hard_swish
from lwcnn.models.graph import as_functional, layer_calls
from lwcnn.system.environment import quiet_native_output
from lwcnn.system.errors import LwcnnError, wrong

INPUT_QUANTIZATION = (1.0, -128)  # scale and zero point: the int8 input is the uint8 image minus 128
REWRITTEN = (layers.BatchNormalization, layers.DepthwiseConv2D)  # models with these layers are rewritten for int8
NUM_RANGE_IMAGES = 200  # for rewritten models: more images add rare extremes, which make quantization coarser


def convert(model: keras.Model, format_name: str, calibration_images: np.ndarray | None = None):
    """Converts a model to one of `FORMATS`; returns the content of a file, or of a folder's files by name."""
    with conversion_errors_told(model, format_name):
        if FORMATS[format_name].quantized:
            assert calibration_images is not None
            return to_litert_int8(model, calibration_images, split=format_name != "c-array")
        return {"litert": to_litert, "onnx": to_onnx, "saved_model": to_saved_model}[format_name](model)


@contextlib.contextmanager
def conversion_errors_told(model: keras.Model, format_name: str) -> Iterator[None]:
    """Converts any error of the block to an LwcnnError that names the model's layers."""
    try:
        yield
    except (LwcnnError, OSError, MemoryError):  # the latter two of this machine
        raise
    except Exception as error:  # converters and runtimes can raise any error
        kinds = ", ".join(sorted({type(layer).__name__ for layer in model.layers}))
        reason = " ".join(str(error).split())[:300]
        advice = f"Give a model that can be converted to {format_name} ({type(error).__name__}: {reason})"
        raise wrong(advice, f"{model.name!r} with {kinds}") from error


def to_litert(model: keras.Model) -> bytes:
    """Converts a model to a float32 LiteRT file, from images between 0 and 255 to logits, for any batch size."""
    return convert_deployable(build_deployable(model), None)


def to_litert_int8(model: keras.Model, images: np.ndarray, split: bool = True) -> bytes:
    """Converts a model to a LiteRT file with int8 weights, activations, input (the uint8 image minus 128) and output.

    Ranges are measured on the images, or on 200 of them for rewritten models. Depthwise convolutions compute
    differences of neighboring pixels, which amplify rounding errors: models with them or with batch normalization are
    simplified and equalized, and their biases corrected where that reduces the error. With `split`, hard swish becomes
    two operations: twice as fast on CPUs, but more memory on microcontrollers.
    """
    # Layer names are short because they are a significant part of an int8 file; in float32, weights dominate.
    deployable = build_deployable(model, short_names=True)
    kept = any(len(calls) > 1 or isinstance(layer, keras.Model) for layer, calls in layer_calls(deployable))
    if not kept and any(isinstance(layer, REWRITTEN) for layer in deployable.layers):
        content = convert_rewritten(rewrite_for_int8(deployable, images, split), images)
    else:
        content = convert_deployable(deployable, images)
    found = LitertModel(content).input_quantization
    if found != INPUT_QUANTIZATION:
        scale, zero_point = found or (None, None)
        advice = "Calibrate on images that contain both 0 and 255, so that the int8 input is the uint8 image minus 128"
        raise wrong(advice, f"scale {scale}, zero point {zero_point}, from images of {images.min()} to {images.max()}")
    return content


def rewrite_for_int8(deployable: keras.Model, images: np.ndarray, split: bool = True) -> keras.Model:
    """Returns an equivalent copy of a model from `build_deployable`, simplified and equalized on the images."""
    deployable = simplify(deployable)
    return equalize_channels(split_hard_swish(deployable) if split else deployable, images)


def convert_rewritten(rewritten: keras.Model, images: np.ndarray) -> bytes:
    """Converts a model from `rewrite_for_int8` to an int8 file, with corrected biases if they reduce the error."""
    few = draw_calibration_images(images, NUM_RANGE_IMAGES)
    content = restore_relu6_ranges(convert_deployable(rewritten, few))
    reference = convert_deployable(rewritten, None)
    candidates = (correct_biases(content, reference, few), content)  # correction harms some deep models
    expected = LitertModel(reference)(few)
    return share_vectors(min(candidates, key=lambda one: np.square(LitertModel(one)(few) - expected).mean()))


def draw_calibration_images(images: np.ndarray, num_images: int = 1000) -> np.ndarray:
    """Draws up to `num_images` images at random; if none has a value 0 or 255, which int8 needs, a corner gets it."""
    order = np.random.default_rng(0).permutation(len(images))[:num_images]
    drawn = images[order]
    if drawn.min() > 0:
        drawn[0, 0, 0] = 0
    if drawn.max() < 255:
        drawn[-1, -1, -1] = 255
    return drawn


def convert_deployable(deployable: keras.Model, images: np.ndarray | None) -> bytes:
    """Converts a model returned by `build_deployable` to LiteRT: int8 with calibration images, float32 without."""
    tf = require_tensorflow()
    # Through a SavedModel: converting a function leaves the weights in uninitialized variables.
    with tempfile.TemporaryDirectory() as folder, quiet_native_output():
        _export(deployable, folder, "tf_saved_model")
        converter = tf.lite.TFLiteConverter.from_saved_model(folder)
        if images is not None:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.representative_dataset = lambda: ([image[np.newaxis].astype(np.float32)] for image in images)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())


def build_deployable(model: keras.Model, short_names: bool = False) -> keras.Model:
    """Returns an equivalent copy of a classifier of one image size; all shapes but the batch size are constant.

    Keras's Reshape and Flatten compute the batch size at run time, by operations that small runtimes may lack. With
    `short_names`, layers are called l00, l01, ...: a LiteRT file names each tensor after all operations fused into it.
    """
    model = as_functional(model)
    # The converter orders branches by layer name (observed with TensorFlow 2.21). Numbering in the order of the
    # original names keeps the layers of a branch together; interleaved branches need more memory.
    names = sorted(operation.name for operation in model.operations)
    short = {name: f"l{number:0{len(str(len(names)))}d}" for number, name in enumerate(names)}

    def clone(layer: keras.Layer) -> keras.Layer:
        return same(layer, name=short[layer.name]) if short_names else same(layer)

    copy = keras.models.clone_model(model, clone_function=clone, call_function=_call)
    copy.set_weights(model.get_weights())
    return keras.Model(copy.inputs, copy.outputs, name="m") if short_names else copy


def to_onnx(model: keras.Model) -> bytes:
    """Converts a model to a float32 ONNX file, from images between 0 and 255 to logits, for any batch size."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        _export(build_deployable(model), path, "onnx")
        return path.read_bytes()


def to_saved_model(model: keras.Model) -> dict[str, bytes]:
    """Converts a model to the files of a float32 SavedModel, from images (0 to 255) to logits, for any batch size."""
    with tempfile.TemporaryDirectory() as folder:
        _export(build_deployable(model), folder, "tf_saved_model")
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _export(deployable: keras.Model, path: str | Path, format_name: str) -> None:
    """Exports by Keras with float32 images between 0 and 255 as input, in batches of any size."""
    images = keras.InputSpec(shape=(None, *deployable.inputs[0].shape[1:]), dtype="float32", name="images")
    with quiet_native_output(), warnings.catch_warnings(action="ignore", category=FutureWarning):  # Keras's tf2onnx
        deployable.export(path, format=format_name, verbose=False, input_signature=[images])


def _call(layer, *arguments, **options):
    name, first = type(layer).__name__, arguments[0]
    if name.startswith("Random") and layer.compute_output_shape(first.shape) == first.shape:
        return first  # augmentation, which inference skips
    if isinstance(layer, (layers.Reshape, layers.Flatten)):
        return ops.reshape(first, (-1, *layer.compute_output_shape(first.shape)[1:]))
    return layer(*arguments, **options)

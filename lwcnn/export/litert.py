"""Converts models to LiteRT files (.tflite) in float32 or int8."""

import tempfile

import keras
import numpy as np
from keras import layers

from lwcnn.engine.keras_internals import is_shared
from lwcnn.export.deployable import build_deployable, export
from lwcnn.export.extras import require_tensorflow
from lwcnn.export.formats import LitertModel
from lwcnn.export.int8.bias_correction import correct_biases
from lwcnn.export.int8.compact import share_vectors
from lwcnn.export.int8.equalize import equalize_channels
from lwcnn.export.int8.simplify import simplify, split_hard_swish
from lwcnn.system.environment import quiet_native_output
from lwcnn.system.errors import LwcnnError

INPUT_QUANTIZATION = (1.0, -128)  # scale and zero point: the int8 input is the uint8 image minus 128
REWRITTEN = (layers.BatchNormalization, layers.DepthwiseConv2D)  # models with these layers are rewritten for int8
NUM_RANGE_IMAGES = 200  # for rewritten models: more images add rare extremes, which make quantization coarser


def to_litert(model: keras.Model) -> bytes:
    """Converts a model to a float32 LiteRT file, from images between 0 and 255 to logits, for any batch size."""
    return convert_deployable(build_deployable(model), None)


def to_litert_int8(model: keras.Model, images: np.ndarray, split: bool = True) -> bytes:
    """Converts a model to a LiteRT file with int8 weights, activations, input (the uint8 image minus 128) and output.

    Weights are quantized per output channel and activations per tensor, to their range on the images, which
    `draw_calibration_images` gives. Models with batch normalization or depthwise convolutions are simplified, their
    channels equalized and, where that reduces the error of the logits, their biases corrected, unless a layer is
    shared: depthwise convolutions compute differences of neighboring pixels, which amplify rounding errors. With
    `split`, hard swish becomes two operations in simplified models, which more than doubles the speed on CPUs; on
    microcontrollers, the single operation needs less memory.
    """
    # Layer names are short because they are a significant part of an int8 file; in float32, weights dominate.
    deployable = build_deployable(model, short_names=True)
    shared = any(is_shared(operation) for operation in deployable.operations)
    if not shared and any(isinstance(layer, REWRITTEN) for layer in deployable.layers):
        deployable = simplify(deployable)
        deployable = equalize_channels(split_hard_swish(deployable) if split else deployable, images)
        few = draw_calibration_images(images, NUM_RANGE_IMAGES)
        content, reference = convert_deployable(deployable, few), convert_deployable(deployable, None)
        candidates = (correct_biases(content, reference, few), content)  # correction harms some deep models
        expected = LitertModel(reference)(few)
        content = share_vectors(min(candidates, key=lambda one: np.square(LitertModel(one)(few) - expected).mean()))
    else:
        content = convert_deployable(deployable, images)
    found = LitertModel(content).input_quantization
    if found != INPUT_QUANTIZATION:
        scale, zero_point = found or (None, None)
        raise LwcnnError(
            "Calibrate on images that contain both 0 and 255, so that the int8 input is the uint8 image minus 128. "
            f"Received: scale {scale}, zero point {zero_point}, from images of {images.min()} to {images.max()}"
        )
    return content


def draw_calibration_images(images: np.ndarray, num_images: int, seed: int = 0) -> np.ndarray:
    """Draws up to `num_images` calibration images at random, regardless of class, and returns a copy.

    The calibrated input range must be 0..255: if no image has the value 0 or 255, a corner pixel is set to it, which
    affects other ranges less than an additional image would.
    """
    if num_images < 1:
        raise LwcnnError(f"Give at least one calibration image. Received: {num_images}")
    order = np.random.default_rng(seed).permutation(len(images))[:num_images]
    drawn = images[order]
    if drawn.min() > 0:
        drawn[0, 0, 0] = 0
    if drawn.max() < 255:
        drawn[-1, -1, -1] = 255
    return drawn


def convert_deployable(deployable: keras.Model, images: np.ndarray | None) -> bytes:
    """Converts a model returned by `build_deployable` to LiteRT: int8 with calibration images, float32 without."""
    tf = require_tensorflow()
    try:
        # Through a SavedModel: converting a function leaves the weights in uninitialized variables.
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            export(deployable, folder, "tf_saved_model")
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if images is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([image[np.newaxis].astype(np.float32)] for image in images)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            return bytes(converter.convert())
    except Exception as error:  # the converter can raise any error
        kinds = sorted({type(layer).__name__ for layer in deployable.layers})
        reason = (str(error).strip().splitlines() or [""])[0]
        raise LwcnnError(
            f"Give a model that LiteRT can convert{' to int8' if images is not None else ''} "
            f"({type(error).__name__}: {reason}). Received: {deployable.name!r} with {', '.join(kinds)}"
        ) from error

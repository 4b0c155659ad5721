"""LiteRT files (.tflite), in float32 or wholly in int8, and how they are run."""

import tempfile

import keras
import numpy as np
from keras import layers

from lwcnn.export.deployable import build_deployable, input_signature
from lwcnn.export.extras import require, require_tensorflow
from lwcnn.export.int8.bias_correction import correct_biases
from lwcnn.export.int8.compact import share_vectors
from lwcnn.export.int8.equalize import equalize_channels
from lwcnn.export.int8.simplify import simplify, split_hard_swish
from lwcnn.system.environment import quiet_native_output
from lwcnn.system.errors import LwcnnError

INPUT_QUANTIZATION = (1.0, -128)  # scale and zero point with which an int8 input is the uint8 image minus 128
REWRITTEN = (layers.BatchNormalization, layers.DepthwiseConv2D)  # models of these are, before int8
NUM_RANGE_IMAGES = 200  # calibrate models with batch normalization: the rare extremes of more would widen every step


def to_litert(model: keras.Model) -> bytes:
    """The model as a LiteRT file in float32, images 0..255 in, logits out, any batch size.

    Args:
        model: as `build_deployable` takes it.

    Raises:
        LwcnnError: a model that can't be converted, or a missing package.
    """
    return convert_deployable(build_deployable(model), None)


def to_litert_int8(model: keras.Model, images: np.ndarray, split: bool = True) -> bytes:
    """The model as a LiteRT file that computes in int8 alone: weights, activations, input and output.

    Weights are quantized by output channel, activations by tensor, to the range seen on the images. The input
    has scale 1 and zero point -128, so it is the uint8 image minus 128.

    A model with batch normalization or depthwise convolutions, no layer called twice, is simplified first and its
    channels are equalized; in the file, biases are corrected. Depthwise convolutions take differences of
    neighboring pixels, which magnify what rounding did to their input: without that, `residual_se` loses half a
    point on CIFAR-10.

    Args:
        model: as `build_deployable` takes it.
        images: for calibration; uint8, shape (n, height, width, channels), with the values 0 and 255 among
            them (`draw_calibration_images` sees to it).
        split: whether hard swish, in models that are simplified, becomes two operations, with which a CPU is more
            than twice as fast (`split_hard_swish`). A microcontroller has the one, which takes less memory.

    Raises:
        LwcnnError: a model that can't be converted, an operation without an int8 form, images that do not
            span 0..255, or a missing package.
    """
    # Bytes count in int8 most; in float32 they are few beside the weights, and names help to find one's way.
    deployable = build_deployable(model, short_names=True)
    shared = any(len(operation._inbound_nodes) > 1 for operation in deployable.operations)
    if (
        any(isinstance(layer, (layers.DepthwiseConv2D, layers.BatchNormalization)) for layer in deployable.layers)
        and not shared
    ):
        deployable = simplify(deployable)
        deployable = equalize_channels(split_hard_swish(deployable) if split else deployable, images)
        few = draw_calibration_images(images, NUM_RANGE_IMAGES)
        content = share_vectors(
            correct_biases(convert_deployable(deployable, few), convert_deployable(deployable, None), few)
        )
    else:
        content = convert_deployable(deployable, images)
    found = LitertModel(content).input_quantization
    if found != INPUT_QUANTIZATION:
        raise LwcnnError(
            "The int8 input should be the uint8 image minus 128: calibrate on images that hold both 0 and 255. "
            f"Received: scale {found[0]}, zero point {found[1]}, from images of {images.min()} to {images.max()}"
        )
    return content


def draw_calibration_images(images: np.ndarray, num_images: int, seed: int = 0) -> np.ndarray:
    """Images for calibration, drawn without regard to their classes.

    The calibrated range of the input must be 0..255. Where no drawn image has a 0 or a 255, one corner pixel
    of the first or last becomes one: that moves the other ranges less than any image of those values would.

    Args:
        images: uint8, shape (n, height, width, channels).
        num_images: 1 or more; all images where they are fewer.
        seed: of the draw, 0 or more.

    Returns:
        uint8, a copy, shape (num_images, height, width, channels).

    Raises:
        LwcnnError: a number below 1.
    """
    if num_images < 1:
        raise LwcnnError(f"Calibrate on at least one image. Received: {num_images}")
    order = np.random.default_rng(seed).permutation(len(images))[:num_images]
    drawn = images[order]
    if drawn.min() > 0:
        drawn[0, 0, 0] = 0
    if drawn.max() < 255:
        drawn[-1, -1, -1] = 255
    return drawn


class LitertModel:
    """A LiteRT file, ready to run.

    Args:
        content: the file's bytes.
        num_threads: threads that it computes with.

    Attributes:
        input_quantization: (scale, zero point) of an int8 input; None for float32.
    """

    def __init__(self, content: bytes, num_threads: int = 1):
        interpreter = require("ai_edge_litert.interpreter")
        with quiet_native_output():
            self._interpreter = interpreter.Interpreter(model_content=content, num_threads=num_threads)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._batch_size = None
        self.input_quantization = self._quantization(self._input)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """uint8 images in the form the file takes: int8 or float32, same shape."""
        if self.input_quantization is None:
            return images.astype(np.float32)
        scale, zero_point = self.input_quantization
        quantized = np.round(images.astype(np.float32) / scale) + zero_point
        return np.clip(quantized, -128, 127).astype(np.int8)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """The raw output (n, classes), int8 or float32, of images as `prepare` gives them."""
        if len(prepared) != self._batch_size:
            with quiet_native_output():
                self._interpreter.resize_tensor_input(self._input["index"], prepared.shape)
                self._interpreter.allocate_tensors()
            self._batch_size = len(prepared)
        self._interpreter.set_tensor(self._input["index"], prepared)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits, float32 (n, classes), of uint8 images (n, height, width, channels)."""
        output = self.run(self.prepare(images))
        quantization = self._quantization(self._output)
        if quantization is None:
            return output
        scale, zero_point = quantization
        return (output.astype(np.float32) - zero_point) * np.float32(scale)

    @staticmethod
    def _quantization(details: dict) -> tuple[float, int] | None:
        if details["dtype"] != np.int8:
            return None
        scale, zero_point = details["quantization"]
        return float(scale), int(zero_point)


def convert_deployable(deployable: keras.Model, images: np.ndarray | None) -> bytes:
    """The LiteRT file of a model as of `build_deployable`, as it is: int8 if there are images, else float32.

    Raises:
        LwcnnError: a model that can't be converted, or a missing package.
    """
    tf = require_tensorflow()
    # Anything may be raised in there: the converter is a compiler of other people's code.
    try:
        # By way of a SavedModel: from a function, the converter leaves the weights in variables, uninitialized.
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            deployable.export(
                folder, format="tf_saved_model", verbose=False, input_signature=input_signature(deployable)
            )
            converter = tf.lite.TFLiteConverter.from_saved_model(folder)
            if images is not None:
                converter.optimizations = [tf.lite.Optimize.DEFAULT]
                converter.representative_dataset = lambda: ([image[np.newaxis].astype(np.float32)] for image in images)
                converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
                converter.inference_input_type = converter.inference_output_type = tf.int8
            return bytes(converter.convert())
    except Exception as error:
        kinds = sorted({type(layer).__name__ for layer in deployable.layers})
        reason = (str(error).strip().splitlines() or [""])[0]
        raise LwcnnError(
            f"LiteRT can't convert this model{' to int8' if images is not None else ''} "
            f"({type(error).__name__}: {reason}). Received: {deployable.name!r} of {', '.join(kinds)}"
        ) from error

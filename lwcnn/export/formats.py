"""The formats of exported models, and functions that run their files. Imports no backend."""

import gzip
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from lwcnn.system.environment import install_hint, quiet_native_output, require
from lwcnn.system.errors import require_known, wrong

PACKAGES = ("tensorflow-cpu", "ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")


class Runtime:
    """A function from uint8 images to float32 logits; `run` takes images in the input type, from `prepare`."""

    def __init__(self, run: Callable[[np.ndarray], np.ndarray]):
        self.run = run

    def prepare(self, images: np.ndarray) -> np.ndarray:
        return images.astype(np.float32)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.run(self.prepare(images))


class LitertModel(Runtime):
    """Runs a LiteRT file on one thread; `input_quantization` is (scale, zero point) of an int8 input, else None.

    With `keep_all`, `tensor` gives all activations of the last run by their index, not only the output.
    """

    def __init__(self, content: bytes, keep_all: bool = False):
        super().__init__(self._invoke)
        options = {"num_threads": 1, "experimental_preserve_all_tensors": keep_all}
        with quiet_native_output():
            interpreter = require("ai_edge_litert.interpreter").Interpreter
            self._interpreter = interpreter(model_content=content, **options)
        self.tensor = self._interpreter.get_tensor
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._batch_size: int | None = None
        self.input_quantization = _quantization(self._input)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        if self.input_quantization is None:
            return super().prepare(images)
        scale, zero_point = self.input_quantization
        quantized = np.round(images.astype(np.float32) / scale) + zero_point
        return np.clip(quantized, -128, 127).astype(np.int8)

    def _invoke(self, prepared: np.ndarray) -> np.ndarray:
        if len(prepared) != self._batch_size:
            with quiet_native_output():
                self._interpreter.resize_tensor_input(self._input["index"], prepared.shape)
                self._interpreter.allocate_tensors()
            self._batch_size = len(prepared)
        self._interpreter.set_tensor(self._input["index"], prepared)
        self._interpreter.invoke()
        return self.tensor(self._output["index"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        output, quantization = super().__call__(images), _quantization(self._output)
        if quantization is None:
            return output
        scale, zero_point = quantization
        return (output.astype(np.float32) - zero_point) * np.float32(scale)


def _quantization(details: dict) -> tuple[float, int] | None:
    if details["dtype"] != np.int8:
        return None
    scale, zero_point = details["quantization"]
    return float(scale), int(zero_point)


def open_onnx(content: bytes) -> Runtime:
    """Opens an ONNX file on one thread of the CPU."""
    runtime = require("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return Runtime(lambda prepared: session.run(None, {name: prepared})[0])


def open_saved_model(files: dict[str, bytes]) -> Runtime:
    """Opens the files of a SavedModel, given by name."""
    tf = require_tensorflow()
    with tempfile.TemporaryDirectory() as folder, quiet_native_output():
        for name, content in files.items():
            path = Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        model = tf.saved_model.load(folder)
    return Runtime(lambda prepared: model.serve(prepared).numpy())


@dataclass(frozen=True)
class Format:
    """A file format."""

    extension: str  # "" for a folder
    open: Callable[..., Runtime]  # from the content: bytes, or those of a folder's files by name
    modules: tuple[str, ...]  # optional modules that converting and running it import
    quantized: bool = False  # whether it computes in int8 and needs calibration images


_LITERT = ("ai_edge_litert.interpreter",)
FORMATS = {
    "litert": Format(".tflite", LitertModel, _LITERT),
    "litert-int8": Format(".tflite", LitertModel, _LITERT, quantized=True),
    "onnx": Format(".onnx", open_onnx, ("onnx", "tf2onnx", "onnxruntime")),
    "saved_model": Format("", open_saved_model, ()),
    "c-array": Format("", LitertModel, _LITERT, quantized=True),
}
BENCH_FORMATS = ("keras", "litert", "litert-int8", "onnx")


def require_format(name: str) -> None:
    """Checks, before any work, that a format exists and that its packages are installed."""
    require_known("format", name, FORMATS)
    require_tensorflow()
    for module in FORMATS[name].modules:
        require(module)


def require_tensorflow() -> ModuleType:
    """Imports TensorFlow and checks that it is Keras's backend, which the converters require."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise wrong(
            "Set KERAS_BACKEND=tensorflow to export or benchmark models, and install their packages: "
            f"{install_hint('export')}",
            f"KERAS_BACKEND={keras.backend.backend()}",
        )
    return require("tensorflow")


def gzip_bytes(content: bytes) -> int:
    """Returns the size in bytes after gzip compression at level 9."""
    return len(gzip.compress(content, compresslevel=9, mtime=0))

"""Runs exported files."""

import tempfile
from pathlib import Path

import numpy as np

from lwcnn.export.extras import require, require_tensorflow
from lwcnn.system.environment import quiet_native_output


class ExportedModel:
    """Runs an exported file: a function from uint8 images (n, height, width, channels) to float32 logits."""

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """Converts uint8 images to the input type of the file."""
        return images.astype(np.float32)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """Returns the raw output for images converted by `prepare`."""
        raise NotImplementedError

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.run(self.prepare(images))


class LitertModel(ExportedModel):
    """Runs a LiteRT file on one thread; `input_quantization` is (scale, zero point) of an int8 input, else None."""

    def __init__(self, content: bytes):
        interpreter = require("ai_edge_litert.interpreter")
        with quiet_native_output():
            self._interpreter = interpreter.Interpreter(model_content=content, num_threads=1)
        self._input = self._interpreter.get_input_details()[0]
        self._output = self._interpreter.get_output_details()[0]
        self._batch_size: int | None = None
        self.input_quantization = self._quantization(self._input)

    def prepare(self, images: np.ndarray) -> np.ndarray:
        if self.input_quantization is None:
            return super().prepare(images)
        scale, zero_point = self.input_quantization
        quantized = np.round(images.astype(np.float32) / scale) + zero_point
        return np.clip(quantized, -128, 127).astype(np.int8)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        if len(prepared) != self._batch_size:
            with quiet_native_output():
                self._interpreter.resize_tensor_input(self._input["index"], prepared.shape)
                self._interpreter.allocate_tensors()
            self._batch_size = len(prepared)
        self._interpreter.set_tensor(self._input["index"], prepared)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._output["index"])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        output = super().__call__(images)
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


class OnnxModel(ExportedModel):
    """Runs an ONNX file on one thread of the CPU."""

    def __init__(self, content: bytes):
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def run(self, prepared: np.ndarray) -> np.ndarray:
        return self._session.run(None, {self._input: prepared})[0]


class SavedModel(ExportedModel):
    """Runs the files of a SavedModel."""

    def __init__(self, files: dict[str, bytes]):
        tf = require_tensorflow()
        with tempfile.TemporaryDirectory() as folder, quiet_native_output():
            for name, content in files.items():
                path = Path(folder) / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            self._model = tf.saved_model.load(folder)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        return self._model.serve(prepared).numpy()

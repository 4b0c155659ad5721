"""Converts models to ONNX and runs them with ONNX Runtime."""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.deployable import build_deployable, export
from lwcnn.export.extras import require, require_tensorflow
from lwcnn.export.runtime import ExportedModel
from lwcnn.system.errors import LwcnnError


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

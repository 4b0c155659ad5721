"""ONNX files and how they are run by ONNX Runtime."""

import tempfile
import warnings
from pathlib import Path

import keras
import numpy as np

from lwcnn.export.deployable import build_deployable, input_signature
from lwcnn.export.extras import require, require_tensorflow
from lwcnn.system.environment import quiet_native_output
from lwcnn.system.errors import LwcnnError


def to_onnx(model: keras.Model) -> bytes:
    """The model as an ONNX file, float32 images 0..255 (n, height, width, channels) in, logits out, any n.

    Args:
        model: as `build_deployable` takes it.

    Raises:
        LwcnnError: a model that can't be converted, or a missing package.
    """
    require_tensorflow()
    for module in ("onnx", "tf2onnx"):
        require(module)
    deployable = build_deployable(model)
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), quiet_native_output():
            warnings.simplefilter("ignore", FutureWarning)  # Keras's own patch of tf2onnx
            path = Path(folder) / "model.onnx"
            deployable.export(path, format="onnx", verbose=False, input_signature=input_signature(deployable))
            return path.read_bytes()
    except Exception as error:  # tf2onnx lets through whatever it meets
        raise LwcnnError(
            f"This model can't be converted to ONNX ({type(error).__name__}: {error}). Received: {model.name!r}"
        ) from error


class OnnxModel:
    """An ONNX file, ready to run on the CPU.

    Args:
        content: the file's bytes.
        num_threads: threads that it computes with.
    """

    def __init__(self, content: bytes, num_threads: int = 1):
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = num_threads
        options.inter_op_num_threads = 1
        self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def prepare(self, images: np.ndarray) -> np.ndarray:
        """uint8 images as float32, same shape and values."""
        return images.astype(np.float32)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        """Logits, float32 (n, classes), of images as `prepare` gives them."""
        return self._session.run(None, {self._input: prepared})[0]

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Logits, float32 (n, classes), of uint8 images (n, height, width, channels)."""
        return self.run(self.prepare(images))

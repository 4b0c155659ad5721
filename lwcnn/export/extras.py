"""The packages that only exporting and benchmarking need, imported when they are used."""

import importlib
from types import ModuleType

import keras

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError

_PACKAGES = {
    "tensorflow": "tensorflow-cpu",
    "ai_edge_litert": "ai-edge-litert",
    "flatbuffers": "ai-edge-litert",
    "onnx": "onnx",
    "onnxruntime": "onnxruntime",
    "tf2onnx": "tf2onnx",
}  # module to the package that brings it


def require(module: str) -> ModuleType:
    """A module of the extra `export`.

    Args:
        module: its name, as "ai_edge_litert.interpreter".

    Raises:
        LwcnnError: if it can't be imported; it says what to install.
    """
    package = _PACKAGES[module.split(".")[0]]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LwcnnError(
            f"This needs the package {package}: pip install 'lwcnn[export]'. Received: {type(error).__name__}: {error}"
        ) from error


def require_tensorflow() -> ModuleType:
    """TensorFlow, once it is the backend too: the converters take no other backend's models.

    Raises:
        LwcnnError: if it is not installed, or Keras runs on another environment.
    """
    if keras.backend.backend() != "tensorflow":
        raise LwcnnError(
            "Exporting and benchmarking need Keras on TensorFlow: set KERAS_BACKEND=tensorflow and install "
            f"'lwcnn[export]'. Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    return require("tensorflow")


def versions() -> dict[str, str]:
    """The versions of what an exported file and its figures depend on."""
    return environment.versions(tuple(_PACKAGES.values()))

"""The packages that only exporting and benchmarking need, imported when they are used."""

import contextlib
import importlib
import os
import sys
import tempfile
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


@contextlib.contextmanager
def quiet():
    """Keeps what native libraries write to standard error from the user, unless the block fails.

    The converters' C++ code writes there directly, past Python's logging, lines that say nothing to a user.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as said:
        kept = os.dup(2)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(kept, said.read())
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)

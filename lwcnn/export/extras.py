"""Imports the optional packages of exporting and benchmarking."""

import importlib
from types import ModuleType

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError

PACKAGES = ("tensorflow-cpu", "ai-edge-litert", "onnx", "onnxruntime", "tf2onnx")
_OF_MODULES = {"tensorflow": "tensorflow-cpu", "flatbuffers": "ai-edge-litert"}  # others are named as their modules


def require(module: str, extra: str = "export") -> ModuleType:
    """Imports a module of an extra, such as "ai_edge_litert.interpreter"."""
    name = module.split(".")[0]
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise LwcnnError(
            f"Install the package {_OF_MODULES.get(name, name.replace('_', '-'))}: {environment.install_hint(extra)}. "
            f"Received: {type(error).__name__}: {error}"
        ) from error


def require_tensorflow() -> ModuleType:
    """Imports TensorFlow and checks that it is Keras's backend, which the converters require."""
    import keras

    if keras.backend.backend() != "tensorflow":
        raise LwcnnError(
            "Set KERAS_BACKEND=tensorflow to export or benchmark models, and install their packages: "
            f"{environment.install_hint('export')}. "
            f"Received: KERAS_BACKEND={keras.backend.backend()}"
        )
    return require("tensorflow")

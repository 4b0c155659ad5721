"""Small image classifiers, most with fewer than 30,000 parameters: trained networks, and how they were trained.

Start with `create_model` and `predict_images`, or train with `run_experiment`. Names are imported on first use, so that
`import lwcnn` imports no backend.
"""

import importlib
import os
import re
import sys
from pathlib import Path

# Before TensorFlow is imported: its C++ code reads this once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"

if "keras" in sys.modules:  # so that `keras.saving.load_model` finds our layers; else `load_model` registers them
    importlib.import_module("lwcnn.models.layers")

_STUB = Path(__file__).with_name("__init__.pyi")  # where editors, too, find each name's module
_MODULES = {name: module for module, name in re.findall(r"^from (\S+) import (\w+)", _STUB.read_text("utf-8"), re.M)}
_WITHOUT_BACKEND = {
    *("Augmentation", "Dataset", "Experiment", "Folders", "LwcnnError", "OptimizerConfig", "Phase", "augment"),
    *("fit_temperature", "get_experiment", "list_models", "load_dataset", "load_results", "predict_images"),
    *("predict_logits", "summarize", "unfreeze_layer_by_layer", "with_settings"),
}
__all__ = sorted(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'lwcnn' has no attribute {name!r}")
    if name not in _WITHOUT_BACKEND:
        from lwcnn.system.environment import load_backend

        load_backend()
    module = importlib.import_module(_MODULES[name])
    if not hasattr(module, name):  # a module itself, such as `figures`
        importlib.import_module(f"{_MODULES[name]}.{name}")
    value = globals()[name] = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

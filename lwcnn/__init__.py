"""Small image classifiers, most with fewer than 30,000 parameters: trained networks, and how they were trained.

Start with `create_model` and `predict_images`, or train with `run_experiment`. Names are imported on first use, so that
`import lwcnn` imports no backend.
"""

import importlib
import os
import sys

# Before TensorFlow is imported: its C++ code reads this once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

__version__ = "0.1.0"

if "keras" in sys.modules:  # so that `keras.saving.load_model` finds our layers; else `load_model` registers them
    importlib.import_module("lwcnn.models.layers")

_WITHOUT_BACKEND = {
    "Augmentation": "lwcnn.data.augment",
    "Dataset": "lwcnn.data.datasets",
    "Experiment": "lwcnn.experiments.recipes",
    "Folders": "lwcnn.experiments.folders",
    "LwcnnError": "lwcnn.system.errors",
    "OptimizerConfig": "lwcnn.training.optimizers",
    "Phase": "lwcnn.training.phases",
    "augment": "lwcnn.data.augment",
    "get_experiment": "lwcnn.experiments.recipes",
    "list_models": "lwcnn.experiments.zoo",
    "load_dataset": "lwcnn.data.datasets",
    "load_results": "lwcnn.experiments.results",
    "predict_images": "lwcnn.evaluation.predict",
    "predict_logits": "lwcnn.evaluation.predict",
    "summarize": "lwcnn.evaluation.metrics",
    "unfreeze_layer_by_layer": "lwcnn.training.phases",
    "with_settings": "lwcnn.experiments.recipes",
}
_WITH_BACKEND = {
    "Batches": "lwcnn.data.batches",
    "Checkpoint": "lwcnn.training.checkpoint",
    "Images": "lwcnn.data.images",
    "Split": "lwcnn.data.images",
    "build_dual_model": "lwcnn.models.dual",
    "build_merged_model": "lwcnn.models.dual",
    "build_submodel": "lwcnn.models.dual",
    "check_merge": "lwcnn.models.merge",
    "count_macs": "lwcnn.models.cost",
    "create_model": "lwcnn.experiments.zoo",
    "fast_fit": "lwcnn.engine",
    "finetune": "lwcnn.experiments.finetune",
    "load_model": "lwcnn.models.io",
    "figures": "lwcnn.publication.figures",
    "merge_submodels": "lwcnn.models.merge",
    "open_session": "lwcnn.publication.notebook.session",
    "run_experiment": "lwcnn.experiments.run",
    "run_kfold": "lwcnn.experiments.kfold",
    "tables": "lwcnn.publication.tables",
    "train_phase": "lwcnn.training.loop",
}

_MODULES = _WITHOUT_BACKEND | _WITH_BACKEND
__all__ = sorted(_MODULES)


def __getattr__(name: str):
    if name not in _MODULES:
        raise AttributeError(f"module 'lwcnn' has no attribute {name!r}")
    if name in _WITH_BACKEND:
        from lwcnn.system.environment import load_backend

        load_backend()
    module = importlib.import_module(_MODULES[name])
    value = globals()[name] = getattr(module, name, module)  # `figures` and `tables` are modules themselves
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

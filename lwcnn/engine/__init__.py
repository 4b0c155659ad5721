"""The training step on a CPU in NumPy and Numba, from images to new weights, without Keras's backend.

The engine takes any compiled functional or Sequential model of layers, losses and optimizers that it knows.

- `keras_internals.py` reads the layer graph; `match.py` finds fast patterns in it (convolution, ReLU and max-pooling;
  depthwise block) and maps the other layers one by one; `network.py` runs the result.
- `operations/` has each operation, forward and backward, `kernels/` the inner loops of the slowest ones,
  `losses.py` the losses, `optimizers.py` the optimizers over all weights as one vector, `threads.py` the threads that
  share a batch.
- `epoch.py` reads weights and optimizer state from the Keras model, trains, and writes them back.
"""

import importlib
from pathlib import Path

from lwcnn.engine.compilation import prepare_cache

prepare_cache(Path(__file__).parent)  # before any module here compiles

_MODULES = {
    "Epoch": "lwcnn.engine.epoch",
    "Predictor": "lwcnn.engine.network",
    "Unsupported": "lwcnn.engine.keras_internals",
    "unsupported": "lwcnn.engine.epoch",
}
__all__ = sorted(_MODULES)


def __getattr__(name: str):
    """Imports on first use: the first kernels compile on import."""
    if name not in _MODULES:
        raise AttributeError(f"module 'lwcnn.engine' has no attribute {name!r}")
    return getattr(importlib.import_module(_MODULES[name]), name)

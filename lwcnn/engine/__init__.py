"""The training step on a CPU, from images to new weights, without the backend: NumPy and Numba.

The engine takes any compiled functional or Sequential model of layers, losses and optimizers that it knows.

- `keras_internals.py` reads the layer graph; `match.py` finds fast patterns in it (convolution, ReLU and max-pooling;
  depthwise block) and maps the other layers one by one; `network.py` runs the result.
- `operations/` has each operation, forward and backward, `kernels/` what the slowest of them compute in registers,
  `losses.py` the losses, `optimizers.py` the optimizers over all weights as one vector, `threads.py` the threads that
  share a batch.
- `epoch.py` reads weights and optimizer state from the Keras model, trains, and writes them back.
"""

from pathlib import Path

from lwcnn.engine.compilation import prepare_cache

prepare_cache(Path(__file__).parent)  # before any module here compiles
from lwcnn.engine.epoch import Epoch, unsupported  # noqa: E402
from lwcnn.engine.fit import fast_fit  # noqa: E402
from lwcnn.engine.keras_internals import Unsupported  # noqa: E402
from lwcnn.engine.network import Predictor  # noqa: E402

__all__ = ["Epoch", "Predictor", "Unsupported", "fast_fit", "unsupported"]

"""The training step on a CPU, from images to new weights, without the backend: NumPy and `lwcnn.engine.kernels`.

With networks this small, half of a backend's step is its own work: passing arrays to kernels and back, an operation
and a hand-over between threads for each line of an optimiser. Here the step is a list of operations on arrays that stay
where they are. It trains the models that `lwcnn` builds in their fused form; others train in Keras (`steps.Epoch`).

- `operations/` has each layer, forward and backward, `layers.py` says which is whose; `network.py` joins them as the
  Keras model does.
- `objectives.py` has the losses, `optimizers.py` the optimisers over all weights as one vector.
- `epoch.py` takes weights and the optimiser's state from the Keras model, trains, and gives them back.
"""

import importlib.util
from pathlib import Path

if importlib.util.find_spec("numba"):  # before any module here compiles
    from lwcnn.engine.cache import prepare_cache

    prepare_cache(Path(__file__).parent)

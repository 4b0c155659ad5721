"""Inference by the engine's forward pass."""

from collections.abc import Sequence

import keras
import numpy as np

from lwcnn.engine.network import Network, Weights, check_environment, compile_model
from lwcnn.engine.threads import ThreadGroup, run_in_group, share_out
from lwcnn.system import environment


class Predictor:
    """Computes the outputs of a functional or Sequential model in inference mode, with its current weights.

    With `logits`, an output that ends in a softmax is replaced by its logits.

    Raises:
        Unsupported: The engine cannot compute the model here; the message says why in one line.
    """

    def __init__(self, model: keras.Model, logits: bool = False):
        check_environment()
        plan, weights = compile_model(model, training=False), Weights([], model.weights)
        self._networks = [Network(plan, weights, logits=logits) for _ in range(environment.num_threads())]

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns one array per output of the model, given one per input."""
        parts = share_out(len(inputs[0]), len(self._networks))

        def predict(rank: int) -> list[np.ndarray]:
            with np.errstate(over="ignore", invalid="ignore"):  # outputs that are not finite are the caller's to judge
                return self._networks[rank].forward([x[parts[rank]] for x in inputs], training=False)

        outputs = run_in_group(ThreadGroup(len(parts)), predict)
        return [np.concatenate(arrays) for arrays in zip(*outputs, strict=True)]

"""Structured pruning: hidden channels leave the blocks of a residual network, which becomes a narrower one."""

from dataclasses import replace

import keras
import numpy as np

from lwcnn.models.configs import ResidualSEConfig
from lwcnn.models.residual_se import build_residual_se

_AXES = {"expand": -1, "gate": -1, "activation": -1, "project": 2}
"""Axis of the hidden channels in the kernels, and slopes, of a block's layers."""


def prune_channels(
    model: keras.Model, config: ResidualSEConfig, expansion: float
) -> tuple[keras.Model, ResidualSEConfig]:
    """Builds the network whose depthwise blocks keep only their strongest hidden channels, at a smaller `expansion`.

    The strength of a hidden channel is the norm of the weights that make it times that of the weights that read it.
    Source: Li et al. 2017, arXiv 1608.08710, with both norms.
    """
    smaller = replace(config, stages=tuple(replace(stage, expansion=expansion) for stage in config.stages))
    pruned = build_residual_se(model.input_shape[1:], model.output_shape[-1], smaller)
    for layer in pruned.layers:
        block, _, part = layer.name.rpartition("_")
        weights = model.get_layer(layer.name).get_weights()
        if weights and part in _AXES and block.startswith("stage"):
            kept = _strongest(model, block, pruned.get_layer(f"{block}_expand").filters)
            kernel, *bias = weights
            has_hidden_bias = part in ("expand", "gate")
            weights = [np.take(kernel, kept, _AXES[part]), *(one[kept] if has_hidden_bias else one for one in bias)]
        layer.set_weights(weights)
    return pruned, smaller


def _strongest(model: keras.Model, block: str, count: int) -> np.ndarray:
    """Returns the positions of the strongest hidden channels of a block, in ascending order."""
    made = model.get_layer(f"{block}_expand").get_weights()[0][0, 0]  # (c, hidden)
    read = model.get_layer(f"{block}_project").get_weights()[0][0, 0]  # (hidden, filters)
    strengths = np.linalg.norm(made, axis=0) * np.linalg.norm(read, axis=1)
    return np.sort(np.argsort(-strengths, kind="stable")[:count])

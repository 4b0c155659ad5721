"""Parallel depthwise kernels, folded into one after training.

Source: Ding et al. 2021, arXiv 2101.03697 (RepVGG), for depthwise convolutions of several sizes.
"""

from dataclasses import replace

import keras
import numpy as np

from lwcnn.models.configs import EPSILON, ResidualSEConfig
from lwcnn.models.residual_se import build_residual_se


def merge_branches(model: keras.Model, config: ResidualSEConfig) -> keras.Model:
    """Builds the network without branches that computes the same as one with them; the model stays unchanged."""
    shape, num_classes = model.input_shape[1:], model.output_shape[-1]
    merged = build_residual_se(shape, num_classes, replace(config, branch_kernels=()))
    for layer in merged.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    for depthwise in merged.layers:
        if not isinstance(depthwise, keras.layers.DepthwiseConv2D):
            continue
        block = depthwise.name.removesuffix("_depthwise")
        names = [block, *(f"{block}_branch{i}" for i in range(1, len(config.branch_kernels) + 1))]
        kernels, biases = zip(*(_folded(model, name, depthwise.kernel_size[0]) for name in names), strict=True)
        bias = np.sum(biases, axis=0)
        ones = np.ones_like(bias)
        depthwise.set_weights([np.sum(kernels, axis=0)])
        merged.get_layer(f"{block}_norm").set_weights([ones, bias, 0 * ones, (1 - EPSILON) * ones])
    return merged


def _folded(model: keras.Model, name: str, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns a branch as a kernel (size, size, c, 1) and a bias (c,), with its batch normalization folded in."""
    (kernel,) = model.get_layer(f"{name}_depthwise").get_weights()
    gamma, beta, mean, variance = model.get_layer(f"{name}_norm").get_weights()
    scale = gamma / np.sqrt(variance + EPSILON)
    margin = (size - kernel.shape[0]) // 2
    padded = np.pad(kernel, ((margin, margin), (margin, margin), (0, 0), (0, 0)))
    return padded * scale[:, np.newaxis], beta - mean * scale

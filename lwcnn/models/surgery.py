"""Builds networks from trained ones: merges branches, replaces a head, joins an ensemble."""

from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from lwcnn.models.configs import EPSILON, ResidualSEConfig
from lwcnn.models.graph import as_functional
from lwcnn.models.layers import SoftVoting
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import wrong


def merge_branches(model: keras.Model, config: ResidualSEConfig) -> keras.Model:
    """Returns an equivalent network in which each block's parallel depthwise kernels are one kernel (RepVGG)."""
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


def replace_head(model: keras.Model, num_classes: int, input_shape: Sequence[int]) -> keras.Model:
    """Returns a copy of a network for other classes and for images of `input_shape`; its last layer is random."""
    model = as_functional(model)
    config = model.get_config()
    head = next((layer for layer in reversed(model.layers) if layer.weights), None)
    size = next((key for key in ("filters", "units") if hasattr(head, key)), None)
    if head is None or size is None:
        raise wrong("Give a model that ends in a dense layer or a convolution", repr(model.name))
    for layer in config["layers"]:
        layer.pop("build_config", None)  # the shapes follow from the input
        if layer["class_name"] == "InputLayer":
            layer["config"]["batch_shape"] = (None, *input_shape)
        if layer["config"]["name"] == head.name:
            layer["config"][size] = num_classes
    try:
        copy = keras.Model.from_config(config)
        for layer in model.layers:
            if layer is not head:
                copy.get_layer(layer.name).set_weights(layer.get_weights())
    except ValueError as error:
        own = tuple(model.input_shape[1:])
        if tuple(input_shape) == own:
            advice = "Give a model in which no layer after the last one with weights fixes the number of classes"
            raise wrong(advice, f"{num_classes} classes for {model.name!r} ({error})") from error
        advice = f"Load the images with size={own}, which {model.name!r} was made for"
        raise wrong(advice, f"images of shape {tuple(input_shape)}") from error
    return copy


def build_ensemble(members: list[keras.Model]) -> keras.Model:
    """Builds a model that returns the log of its members' mean probabilities, as `lwcnn evaluate` averages them.

    The members must have equal input and output shapes; they are renamed `member0`, `member1` and so on.
    """
    images = keras.Input(members[0].input_shape[1:], name="images")
    logits = []
    for i, member in enumerate(members):
        member.name = f"member{i}"
        logits.append(member(images))
    voted = SoftVoting(dtype="float32", name="logits")(logits) if len(logits) > 1 else logits[0]
    return keras.Model(images, voted, name="ensemble")

"""Sizes of the networks that experiments train, counted by building them."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from lwcnn.data.known import INPUT_SHAPES

NUM_CLASSES = 10


@dataclass(frozen=True)
class Counts:
    """Size of a network; `params` includes moving statistics, `convolutional` are those in convolutions."""

    params: int
    trainable: int
    convolutional: int
    macs: int


def counts(dataset: str, experiment: str, side: int | None = None) -> Counts:
    """Builds an experiment's network and counts it, for images of height and width `side` or those of the data set."""
    shape = INPUT_SHAPES[dataset]
    return _counts(dataset, experiment, shape if side is None else (side, side, shape[-1]))


@cache
def _counts(dataset: str, experiment: str, shape: tuple[int, int, int]) -> Counts:
    from lwcnn.experiments.zoo import create_model
    from lwcnn.models.cost import count_macs

    model = create_model(experiment, None, shape, NUM_CLASSES)
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    convolutional = sum(layer.count_params() for layer in convolutions)
    return Counts(model.count_params(), trainable, convolutional, count_macs(model))

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


@cache
def counts(dataset: str, experiment: str) -> Counts:
    """Builds an experiment's network for a data set and counts it."""
    from lwcnn.experiments.zoo import create_model
    from lwcnn.models.cost import count_macs

    model = create_model(experiment, None, INPUT_SHAPES[dataset], NUM_CLASSES)
    convolutions = [layer for layer in model.layers if "Conv" in type(layer).__name__]
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    convolutional = sum(layer.count_params() for layer in convolutions)
    return Counts(model.count_params(), trainable, convolutional, count_macs(model))

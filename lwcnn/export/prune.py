"""Magnitude pruning: the smallest weights of the kernels become zero, after training or gradually during it.

A pruned model has its old shapes and speed; what shrinks is its file after compression
(`lwcnn.export.sizes.int8_gzip_bytes`).
"""

from collections.abc import Sequence

import keras
import numpy as np

from lwcnn.system.errors import LwcnnError

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # not biases, nor what normalizes

Masks = tuple[np.ndarray, ...]


def kernels(model: keras.Model) -> list[keras.Variable]:
    """The weights that pruning may zero, in the model's order: those of convolutions and dense layers."""
    return [weight for weight in model.weights if weight.name in KERNELS]


def magnitude_masks(model: keras.Model, sparsity: float) -> Masks:
    """Which weights stay when a share of all kernels' weights, the smallest by magnitude, is zeroed.

    The threshold is one for the whole model, so layers lose different shares. No output of a layer is kept
    from losing all its weights. Of equal magnitudes the first in the model's order go first.

    Args:
        model: any built model.
        sparsity: the share, 0 up to 1, 1 left out.

    Returns:
        A boolean array for each of `kernels(model)`, of its shape: True stays.

    Raises:
        LwcnnError: another sparsity, or a model without kernels.

    Source: Han et al., "Learning both Weights and Connections", arXiv 1506.02626; global as in Blalock et al.,
    "What is the State of Neural Network Pruning?", arXiv 2003.03033.
    """
    if not 0 <= sparsity < 1:
        raise LwcnnError(f"Give a sparsity of 0 up to, not including, 1. Received: {sparsity}")
    values = [np.abs(keras.ops.convert_to_numpy(weight)) for weight in kernels(model)]
    if not values:
        raise LwcnnError(f"Give a built model with convolutions or dense layers. Received: {model.name!r}")
    magnitudes = np.concatenate([value.ravel() for value in values])
    stays = np.ones(len(magnitudes), bool)
    stays[np.argsort(magnitudes, kind="stable")[: round(sparsity * len(magnitudes))]] = False
    ends = np.cumsum([value.size for value in values])[:-1]
    return tuple(part.reshape(value.shape) for part, value in zip(np.split(stays, ends), values))


def apply_masks(model: keras.Model, masks: Sequence[np.ndarray]) -> None:
    """Zeroes, in the model itself, the weights that do not stay.

    Args:
        model: the model.
        masks: as of `magnitude_masks` for a model of the same kernels.

    Raises:
        LwcnnError: masks that do not fit; then nothing has changed.
    """
    found = kernels(model)
    shapes, wanted = [tuple(mask.shape) for mask in masks], [tuple(weight.shape) for weight in found]
    if shapes != wanted:
        raise LwcnnError(f"The masks must have the kernels' shapes {wanted}. Received: {shapes}")
    for weight, mask in zip(found, masks):
        weight.assign(weight * keras.ops.cast(mask, weight.dtype))


def prune(model: keras.Model, sparsity: float) -> keras.Model:
    """A copy of the model in which a share of all kernels' weights, the smallest, are zero.

    Args:
        model, sparsity: as in `magnitude_masks`.

    Returns:
        A new model, not compiled; `model` stays as it is.

    Raises:
        LwcnnError: as in `magnitude_masks`.
    """
    masks = magnitude_masks(model, sparsity)
    pruned = keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    apply_masks(pruned, masks)
    return pruned


def sparsity_of(model: keras.Model) -> float:
    """The share, 0 to 1, of the kernels' weights that are zero."""
    values = [keras.ops.convert_to_numpy(weight) for weight in kernels(model)]
    return float(sum((value == 0).sum() for value in values) / sum(value.size for value in values))


def gradual_sparsity(epoch: int, num_epochs: int, final: float, initial: float = 0.0) -> float:
    """The sparsity of an epoch on the way to the final one: fast at first, slowly where weights begin to count.

    Args:
        epoch: from 0.
        num_epochs: epochs over which it rises, 1 or more; the last of them, and all later, have the final one.
        final, initial: sparsities, 0 up to 1.

    Source: Zhu and Gupta, "To prune, or not to prune", arXiv 1710.01878, equation 1.
    """
    if num_epochs < 1:
        raise LwcnnError(f"Give one or more epochs. Received: {num_epochs}")
    progress = min(1.0, (epoch + 1) / num_epochs)
    return final + (initial - final) * (1 - progress) ** 3


class PruneGradually(keras.callbacks.Callback):
    """Prunes a model while `fit` trains it: more at each epoch's begin, and what is zero stays so.

    A weight once zeroed has magnitude 0, so it is among the smallest at every later epoch too. Epochs beyond
    `num_epochs` train on at the final sparsity. Weights that move between two batches are zeroed after each.

    Args:
        sparsity: the final one, 0 up to 1, 1 left out.
        num_epochs: epochs over which it is reached, 1 or more.
    """

    def __init__(self, sparsity: float, num_epochs: int):
        super().__init__()
        if not 0 <= sparsity < 1:
            raise LwcnnError(f"Give a sparsity of 0 up to, not including, 1. Received: {sparsity}")
        gradual_sparsity(0, num_epochs, sparsity)
        self.sparsity, self.num_epochs = sparsity, num_epochs
        self.masks: Masks = ()
        self._reached = 0.0

    def on_train_begin(self, logs=None):
        # A model that is pruned already is pruned on from there, not back to a denser schedule.
        self._reached = sparsity_of(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        wanted = gradual_sparsity(epoch, self.num_epochs, self.sparsity)
        self.masks = magnitude_masks(self.model, max(wanted, min(self._reached, self.sparsity)))
        apply_masks(self.model, self.masks)

    def on_train_batch_end(self, batch, logs=None):
        apply_masks(self.model, self.masks)

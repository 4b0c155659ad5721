"""Magnitude pruning: sets the smallest kernel weights to zero, after training or gradually during training.

Pruning changes neither shapes nor speed, only the size of the compressed file
(`lwcnn.export.sizes.int8_gzip_bytes`).
"""

from collections.abc import Sequence

import keras
import numpy as np

from lwcnn.system.errors import LwcnnError

KERNELS = ("kernel", "depthwise_kernel", "pointwise_kernel")  # neither biases nor normalization

Masks = tuple[np.ndarray, ...]


def kernels(model: keras.Model) -> list[keras.Variable]:
    """Returns the prunable weights, those of convolutions and dense layers, in the model's order."""
    return [weight for weight in model.weights if weight.name in KERNELS]


def magnitude_masks(model: keras.Model, sparsity: float) -> Masks:
    """Computes masks that remove the fraction `sparsity` of all kernel weights with the smallest magnitudes.

    The threshold is global, so the sparsity differs between layers, and a channel may lose all its weights. Ties are
    removed in the model's order.

    Args:
        model: Built Keras model.
        sparsity: Float in [0, 1). Fraction of the kernel weights to remove.

    Returns:
        Tuple of boolean arrays, one for each of `kernels(model)` and of its shape. True marks weights to keep.

    Raises:
        LwcnnError: If `sparsity` is out of range or the model has no kernels.

    Source: Han et al., "Learning both Weights and Connections", arXiv 1506.02626; global as in Blalock et al.,
    "What is the State of Neural Network Pruning?", arXiv 2003.03033.
    """
    if not 0 <= sparsity < 1:
        raise LwcnnError(f"Give sparsity as a number in [0, 1). Received: {sparsity}")
    values = [np.abs(keras.ops.convert_to_numpy(weight)) for weight in kernels(model)]
    if not values:
        raise LwcnnError(f"Give a built model with convolutions or dense layers. Received: {model.name!r}")
    magnitudes = np.concatenate([value.ravel() for value in values])
    keep = np.ones(len(magnitudes), bool)
    keep[np.argsort(magnitudes, kind="stable")[: round(sparsity * len(magnitudes))]] = False
    ends = np.cumsum([value.size for value in values])[:-1]
    return tuple(part.reshape(value.shape) for part, value in zip(np.split(keep, ends), values))


def apply_masks(model: keras.Model, masks: Sequence[np.ndarray]) -> None:
    """Sets masked weights of a model to zero in place.

    Args:
        model: Keras model.
        masks: Boolean arrays of the kernels' shapes, as returned by `magnitude_masks`. False marks weights to zero.

    Raises:
        LwcnnError: If the shapes differ. The model is not modified in this case.
    """
    found = kernels(model)
    shapes, wanted = [tuple(mask.shape) for mask in masks], [tuple(weight.shape) for weight in found]
    if shapes != wanted:
        raise LwcnnError(f"Give masks of the kernels' shapes {wanted}. Received: {shapes}")
    for weight, mask in zip(found, masks):
        weight.assign(weight * keras.ops.cast(mask, weight.dtype))


def prune(model: keras.Model, sparsity: float) -> keras.Model:
    """Returns a copy of a model in which the smallest kernel weights are zero.

    Args:
        model: Built Keras model.
        sparsity: Float in [0, 1). Fraction of the kernel weights to remove.

    Returns:
        A new, uncompiled model. `model` is not modified.

    Raises:
        LwcnnError: If `sparsity` is out of range or the model has no kernels.
    """
    masks = magnitude_masks(model, sparsity)
    pruned = keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    apply_masks(pruned, masks)
    return pruned


def sparsity_of(model: keras.Model) -> float:
    """Returns the fraction of kernel weights that are zero."""
    values = [keras.ops.convert_to_numpy(weight) for weight in kernels(model)]
    return float(sum((value == 0).sum() for value in values) / sum(value.size for value in values))


def gradual_sparsity(epoch: int, num_epochs: int, final: float, initial: float = 0.0) -> float:
    """Returns the sparsity of an epoch in a cubic schedule, which rises quickly at first and then slowly.

    Args:
        epoch: Index of the epoch, from 0.
        num_epochs: Number of epochs until the final sparsity is reached, at least 1.
        final: Final sparsity in [0, 1).
        initial: Initial sparsity in [0, 1).

    Raises:
        LwcnnError: If `num_epochs` is below 1.

    Source: Zhu and Gupta, "To prune, or not to prune", arXiv 1710.01878, equation 1.
    """
    if num_epochs < 1:
        raise LwcnnError(f"Give num_epochs as 1 or more. Received: {num_epochs}")
    progress = min(1.0, (epoch + 1) / num_epochs)
    return final + (initial - final) * (1 - progress) ** 3


class PruneGradually(keras.callbacks.Callback):
    """Callback that prunes a model gradually during `fit`.

    Sparsity increases at the start of each epoch, and masked weights are reset to zero after each batch. Pruned weights
    have magnitude zero and therefore remain pruned. Later epochs train at the final sparsity.

    Args:
        sparsity: Final sparsity, float in [0, 1).
        num_epochs: Number of epochs until the final sparsity is reached, at least 1.
    """

    def __init__(self, sparsity: float, num_epochs: int):
        super().__init__()
        if not 0 <= sparsity < 1:
            raise LwcnnError(f"Give sparsity as a number in [0, 1). Received: {sparsity}")
        gradual_sparsity(0, num_epochs, sparsity)
        self.sparsity, self.num_epochs = sparsity, num_epochs
        self.masks: Masks = ()
        self._initial_sparsity = 0.0

    def on_train_begin(self, logs=None):
        # A model that is already pruned never becomes denser.
        self._initial_sparsity = sparsity_of(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        wanted = gradual_sparsity(epoch, self.num_epochs, self.sparsity)
        self.masks = magnitude_masks(self.model, max(wanted, min(self._initial_sparsity, self.sparsity)))
        apply_masks(self.model, self.masks)

    def on_train_batch_end(self, batch, logs=None):
        apply_masks(self.model, self.masks)

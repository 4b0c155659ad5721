"""Training batches: shuffled, augmented and seeded, the same on every backend.

What a batch holds depends on the seed, the epoch and its number alone. Keras calls a PyDataset's hooks more
often than there are epochs (Keras 3.15, read in `EpochIterator` and the trainers):
- `fit` calls `on_epoch_end` once before the first epoch;
- after `compile`, JAX and torch begin an epoch, take its first batch to build the metrics and throw it away;
- TensorFlow takes the first two batches, before any epoch, to learn their shapes.
So `Batches` counts an epoch as over only when it was begun and its last batch was given. An epoch of one or
two batches, or one that was broken off, can still fool it: `FollowEpochs` takes the number from Keras itself.
"""

import keras
import numpy as np

from lwcnn.data.augment import Augmentation, MixUpCutMix, Purpose, augment_batch, check_images, mix_batch, random_bits
from lwcnn.system.errors import LwcnnError


class Batches(keras.utils.PyDataset):
    """Batches of a data set for `model.fit`, one input and one target for each branch of the model.

    Pass `shuffle=False` to `fit`: its default shuffles the batches once more, by Python's global generator,
    and a resumed training would not see them in the same order. Pass `FollowEpochs(batches)` as a callback.

    Args:
        images: uint8, shape (n, height, width, channels). Never copied as a whole, never changed.
        labels: integers, shape (n,).
        batch_size: images a batch; the last batch of an epoch may be smaller.
        seed: of the order and of the augmentation, 0 or more.
        branches: for each input of the model its augmentation, or None for the images as they are. Branches
            are augmented independently of each other.
        epoch: the first epoch to give, 0 or more: a resumed training starts where the other stopped.
        shuffle: whether each epoch has its own order, else that of `indices`.
        drop_last: whether to leave out a last batch that is smaller than the others.
        indices: the images to use, shape (m,): a split or a fold. None: all.
        mixing: MixUp and CutMix of the augmented batches, the same for all branches, so that they keep one
            label; labels become soft. None: neither.
        num_classes: of the soft labels; needed with mixing.
        num_epochs: of the whole training, for the ramp of the mixing; needed if it has one.

    Raises:
        LwcnnError: arrays, sizes, branches or mixing that do not fit.
    """

    def __init__(
        self,
        images: np.ndarray,
        labels: np.ndarray,
        batch_size: int,
        seed: int,
        branches: tuple[Augmentation | None, ...] = (None,),
        epoch: int = 0,
        shuffle: bool = True,
        drop_last: bool = False,
        indices: np.ndarray | None = None,
        mixing: MixUpCutMix | None = None,
        num_classes: int | None = None,
        num_epochs: int | None = None,
    ):
        # One worker: with more, Keras keeps what it made ahead of the epoch that it throws away (see above),
        # and gives it as the beginning of the next. TensorFlow makes batches ahead in a thread of its own.
        super().__init__(workers=1)
        check_images(images)
        _check_labels(labels, len(images))
        _check_whole_number("batch_size", batch_size, 1)
        _check_whole_number("seed", seed, 0)
        if (
            not isinstance(branches, tuple)
            or not branches
            or not all(branch is None or isinstance(branch, Augmentation) for branch in branches)
        ):
            raise LwcnnError(
                f"Give branches as a tuple of an Augmentation or None for each input. Received: {branches!r}"
            )
        if mixing is not None:
            _check_mixing(mixing, num_classes, num_epochs, labels)
        self.images = images
        self.labels = labels
        self.batch_size = int(batch_size)
        self.seed = seed
        self.branches = branches
        self.shuffle = shuffle
        self.indices = _check_indices(indices, len(images))
        self.mixing, self.num_classes, self.num_epochs = mixing, num_classes and int(num_classes), num_epochs
        num_images = len(self.indices)
        self._num_batches = num_images // self.batch_size if drop_last else -(-num_images // self.batch_size)
        if self._num_batches == 0:
            raise LwcnnError(
                "Give images for at least one batch. "
                f"Received: {num_images} images, batch_size={self.batch_size}, drop_last={drop_last}"
            )
        self.set_epoch(epoch)

    @property
    def num_batches(self) -> int:
        """Batches an epoch."""
        return self._num_batches

    def __len__(self) -> int:
        return self._num_batches

    @property
    def epoch(self) -> int:
        """The epoch whose batches are given now."""
        return self._epoch_and_order[0]

    def set_epoch(self, epoch: int) -> None:
        """Gives the batches of this epoch from now on."""
        _check_whole_number("epoch", epoch, 0)
        # One assignment: a thread that makes batches ahead sees the old epoch or the new, never half of each.
        self._epoch_and_order = (int(epoch), self._order(int(epoch)))
        self._begun = self._last_given = False

    def on_epoch_begin(self) -> None:
        """Notes that Keras begins an epoch."""
        self._begun, self._last_given = True, False

    def on_epoch_end(self) -> None:
        """Goes on to the next epoch if this one was begun and its last batch was given."""
        if self._begun and self._last_given:
            self.set_epoch(self.epoch + 1)
        self._begun = self._last_given = False

    def __getitem__(self, index: int) -> tuple:
        """Returns batch number `index` of the epoch.

        Returns:
            (images, labels): uint8 (batch, height, width, channels) and int32 (batch,), with mixing float32
            (batch, num_classes); or with several branches a tuple of them each.
        """
        if not 0 <= index < self._num_batches:
            raise IndexError(f"There are batches 0 to {self._num_batches - 1}. Received: {index}")
        epoch, order = self._epoch_and_order
        chosen = self.indices[order[index * self.batch_size : (index + 1) * self.batch_size]]
        images = self.images[chosen]
        labels = self.labels[chosen].astype(np.int32)
        inputs = tuple(
            images if branch is None else augment_batch(images, branch, self.seed, epoch, chosen, stream)
            for stream, branch in enumerate(self.branches)
        )
        if self.mixing is not None:
            inputs, (labels, *_) = zip(*(self._mix(images, labels, epoch, index) for images in inputs))
        if index == self._num_batches - 1:
            self._last_given = True
        if len(inputs) == 1:
            return inputs[0], labels
        return inputs, (labels,) * len(inputs)

    def _mix(self, images: np.ndarray, labels: np.ndarray, epoch: int, index: int) -> tuple:
        """The batch mixed as is drawn for its number, and its soft labels."""
        progress = 1.0
        if self.num_epochs is not None:  # a training that goes on for longer keeps the full strength
            progress = min(1.0, (epoch + index / self._num_batches) / self.num_epochs)
        return mix_batch(images, labels, self.num_classes, self.mixing, self.seed, epoch, index, progress)

    def _order(self, epoch: int) -> np.ndarray:
        if not self.shuffle:
            return np.arange(len(self.indices))
        keys = random_bits((Purpose.ORDER, self.seed, epoch), len(self.indices))
        return np.argsort(keys, kind="stable")


class FollowEpochs(keras.callbacks.Callback):
    """Callback that gives the batches of Keras's own epoch number, plus `offset`.

    Args:
        batches: the training batches given to `fit`.
        offset: added to Keras's number, for a training made of several calls of `fit`.
    """

    def __init__(self, batches: Batches, offset: int = 0):
        super().__init__()
        self.batches = batches
        self.offset = offset

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        self.batches.set_epoch(epoch + self.offset)


def _check_whole_number(name: str, value: int, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise LwcnnError(f"Give {name} as a whole number of {least} or more. Received: {name}={value!r}")


def _check_mixing(mixing: MixUpCutMix, num_classes: int | None, num_epochs: int | None, labels: np.ndarray) -> None:
    if not isinstance(mixing, MixUpCutMix):
        raise LwcnnError(f"Give mixing as None or a MixUpCutMix(...). Received: mixing={mixing!r}")
    _check_whole_number("num_classes", num_classes, 1)
    if labels.size and not 0 <= labels.min() <= labels.max() < num_classes:
        raise LwcnnError(
            f"Give labels from 0 to num_classes - 1 = {num_classes - 1}. "
            f"Received: labels from {labels.min()} to {labels.max()}"
        )
    if mixing.ramp or num_epochs is not None:
        _check_whole_number("num_epochs", num_epochs, 1)


def _check_labels(labels: np.ndarray, num_images: int) -> None:
    if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu" or labels.shape != (num_images,):
        received = f"{getattr(labels, 'dtype', type(labels))} of shape {getattr(labels, 'shape', None)}"
        raise LwcnnError(f"Give one integer label for each of the {num_images} images. Received: {received}")


def _check_indices(indices: np.ndarray | None, num_images: int) -> np.ndarray:
    if indices is None:
        return np.arange(num_images)
    indices = np.asarray(indices)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise LwcnnError(
            f"Give indices as whole numbers, shape (m,). Received: {indices.dtype} of shape {indices.shape}"
        )
    if len(indices) and (indices.min() < 0 or indices.max() >= num_images):
        raise LwcnnError(f"Give indices from 0 to {num_images - 1}. Received: {indices.min()} to {indices.max()}")
    return indices.astype(np.int64)

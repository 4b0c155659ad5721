"""Training batches: shuffled, augmented and seeded; the same on every backend for a seed, epoch and batch index."""

import keras
import numpy as np

from lwcnn.data.augment import Augmentation, MixUpCutMix, augment_batch
from lwcnn.data.augment.draws import Purpose, random_bits
from lwcnn.data.augment.mixing import draw_mix, mix_images, mix_labels
from lwcnn.data.images import Images
from lwcnn.system.errors import wrong


class Batches(keras.utils.PyDataset):
    """Batches of a dataset for `model.fit`, with one input and one target per branch of the model.

    Pass `shuffle=False` to `fit`, whose default shuffles the batches again with Python's global generator, and the
    callback `keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: batches.set_epoch(epoch))`: the hooks of
    a PyDataset do not receive the epoch.

    Args:
        images: Images of shape (n, height, width, channels), uint8, with labels, or a subset of them, such as a fold.
            They are neither copied nor modified.
        batch_size: Integer of 1 or more. Number of images per batch. The last batch of an epoch may be smaller.
        seed: Seed for shuffling and augmentation, from 0 to 2**32 - 1.
        branches: Augmentation of each input of the model, or None for unmodified images. Branches are augmented
            independently.
        mixing: MixUp and CutMix, applied after augmentation and identically to all branches, because they share one
            label. Labels become soft. If None, images are not mixed.
        num_classes: Number of classes of the soft labels. Required with `mixing`.
        num_epochs: Total number of epochs, to which the ramp of `mixing` is scaled. Required if it has a ramp.

    Raises:
        LwcnnError: The images or settings have the wrong type, shape or range, or there is no image.

    Examples:
        >>> import numpy as np
        >>> batches = Batches(Images(np.zeros((5, 8, 8, 1), "uint8"), np.zeros(5, int)), batch_size=2, seed=0)
        >>> images, labels = batches[0]
        >>> len(batches), images.shape, labels.shape
        (3, (2, 8, 8, 1), (2,))
    """

    def __init__(
        self,
        images: Images,
        batch_size: int,
        seed: int,
        branches: tuple[Augmentation | None, ...] = (None,),
        mixing: MixUpCutMix | None = None,
        num_classes: int | None = None,
        num_epochs: int | None = None,
    ):
        super().__init__(workers=1)  # more would return batches in the next epoch that were prefetched for this one
        images.require_uint8()
        self.images, self.labels = images.images, images.labels
        self.indices = np.arange(len(self.labels)) if images.indices is None else images.indices
        self.batch_size, self.seed, self.branches = batch_size, seed, branches
        self.mixing, self.num_classes, self.num_epochs = mixing, num_classes, num_epochs
        if mixing and mixing.ramp and not num_epochs:
            raise wrong("Give num_epochs, the length of the ramp of mixing", f"num_epochs={num_epochs}")
        if not isinstance(batch_size, (int, np.integer)) or batch_size < 1 or not len(self.indices):
            advice = "Give at least one image, and batch_size as an integer of 1 or more"
            raise wrong(advice, f"{len(self.indices)} images, batch_size={batch_size}")
        if mixing and (not num_classes or not 0 <= self.labels.min() <= self.labels.max() < num_classes):
            found = f"num_classes={num_classes}, labels from {self.labels.min()} to {self.labels.max()}"
            raise wrong("Give num_classes, above the largest label, with mixing", found)
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.indices) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Sets the current epoch, counted from 0."""
        keys = random_bits((Purpose.ORDER, self.seed, epoch), len(self.indices))
        # A single assignment, so that a prefetching thread sees either the old or the new epoch.
        self._epoch_and_order = (epoch, np.argsort(keys, kind="stable"))

    def __getitem__(self, index: int) -> tuple:
        """Returns (images, labels) of a batch of the current epoch, both tuples if there are several branches.

        Images are uint8, labels int32 of shape (batch,), or with mixing float32 of shape (batch, num_classes).
        """
        if not 0 <= index < len(self):
            raise IndexError(f"Give an index from 0 to {len(self) - 1}. Received: {index}")
        epoch, order = self._epoch_and_order
        chosen = self.indices[order[index * self.batch_size : (index + 1) * self.batch_size]]
        images = self.images[chosen]
        labels = self.labels[chosen].astype(np.int32)
        inputs = tuple(
            images if branch is None else augment_batch(images, branch, self.seed, epoch, chosen, stream)
            for stream, branch in enumerate(self.branches)
        )
        if self.mixing is not None:
            assert self.num_classes is not None  # checked with `mixing`
            progress = min(1.0, (epoch + index / len(self)) / (self.num_epochs or 1))
            height, width = images.shape[1:3]
            mix = draw_mix(self.mixing, height, width, self.seed, epoch, index, progress)
            inputs, labels = tuple(mix_images(each, mix) for each in inputs), mix_labels(labels, self.num_classes, mix)
        if len(inputs) == 1:
            return inputs[0], labels
        return inputs, (labels,) * len(inputs)

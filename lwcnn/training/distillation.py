"""Distillation (Hinton et al., arXiv 1503.02531): a student learns from labels and from the logits of a teacher."""

from typing import NamedTuple

import keras
import numpy as np

from lwcnn.data.batches import Batches
from lwcnn.data.images import Split
from lwcnn.models.graph import ends_in_softmax
from lwcnn.system.errors import wrong
from lwcnn.training.phases import Distillation, Phase
from lwcnn.training.predictor import make_predictor
from lwcnn.training.steps import prefetch


class Teaching(NamedTuple):
    """A teacher, which returns logits, and the settings of distillation from it."""

    teacher: keras.Model
    settings: Distillation

    def check(self, student: keras.Model, phase: Phase, split: Split) -> None:
        """Raises an error unless the teacher can classify the images of a phase as the student does."""
        shapes = [(model.input_shape, model.output_shape) for model in (self.teacher, student)]
        if shapes[0] != shapes[1] or len(student.inputs) > 1:
            raise wrong("Give a teacher with one input and one output, of the student's shapes", f"shapes {shapes}")
        if phase.image_side or split.training.images.dtype != np.uint8:
            found = f"image_side={phase.image_side}, images of type {split.training.images.dtype}"
            raise wrong("With a teacher, give images of type uint8, in the size of the student's input", found)
        if ends_in_softmax(self.teacher):
            raise wrong("Give a teacher with logits as output, without softmax", repr(self.teacher.name))


class TaughtBatches:
    """Batches whose labels, float32 (batch, 2 * classes), are class probabilities followed by a teacher's logits.

    The teacher classifies the images of an epoch at its beginning. Its logits are kept in float16: two bytes for each
    image, class and cached epoch.
    """

    def __init__(self, batches: Batches, teaching: Teaching, num_classes: int):
        self._batches, self._period = batches, teaching.settings.cached_epochs
        self._teacher, self._shares = teaching.teacher, np.eye(num_classes, dtype=np.float32)
        self._known: dict[int, list[np.ndarray]] = {}  # logits of each batch, by epoch
        if self._period and batches.mixing and batches.mixing.ramp:
            advice = "Leave out the ramp of mixing: with cached_epochs, epochs repeat and the ramp never ends"
            raise wrong(advice, f"{batches.mixing}")

    def __len__(self) -> int:
        return len(self._batches)

    def set_epoch(self, epoch: int) -> None:
        if self._period:
            epoch %= self._period
        else:
            self._known.clear()
        self._batches.set_epoch(epoch)
        if epoch not in self._known:
            predict = make_predictor(self._teacher)
            self._known[epoch] = [predict([images])[0].astype(np.float16) for images, _ in prefetch(self._batches)]
        self._logits = self._known[epoch]

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        images, labels = self._batches[index]
        shares = labels if labels.ndim == 2 else self._shares[labels]
        return images, np.concatenate([shares, self._logits[index]], axis=1, dtype=np.float32)

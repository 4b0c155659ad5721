"""Checks the arguments of `train_phase`."""

import keras
import numpy as np

from lwcnn.data.augment import Augmentation
from lwcnn.data.checks import require_pixels
from lwcnn.data.images import Split
from lwcnn.models.graph import ends_in_softmax
from lwcnn.system.environment import MAX_SEED
from lwcnn.system.errors import require_sequence, wrong
from lwcnn.training.checkpoint import Checkpoint
from lwcnn.training.phases import Phase


def check_types(phase: object, split: object, seed: object, branches: object, checkpoint: object) -> None:
    kinds = (("Phase", phase, Phase), ("Split", split, Split), ("seed, an integer", seed, (int, np.integer)))
    for name, value, kind in (*kinds, ("Checkpoint", checkpoint, (Checkpoint, type(None)))):
        if not isinstance(value, kind):
            raise wrong(f"Give a {name}", type(value).__name__)
    if not 0 <= seed <= MAX_SEED:  # type: ignore[operator]  # it is an integer
        raise wrong(f"Give a seed from 0 to {MAX_SEED:,}", seed)
    if branches is not None:
        require_sequence("branches", branches)


def check_fit(model: keras.Model, split: Split, branches: tuple[Augmentation | None, ...]) -> None:
    """Checks that a model returns logits, and that branches, images and labels fit it."""
    if not getattr(model, "inputs", None):
        raise wrong("Give a Keras model whose input shape is known: begin a Sequential with keras.Input", repr(model))
    if not len(branches) == len(model.inputs) == len(model.outputs):
        found = f"inputs: {len(model.inputs)}, outputs: {len(model.outputs)}, branches: {len(branches)}"
        raise wrong("Give one output and, in branches, one augmentation or None for each input of the model", found)
    if ends_in_softmax(model):
        raise wrong("Give a model with logits as output, without softmax", repr(model.name))
    for part in split:
        require_pixels(part.images)
        _check_labels(part.chosen_labels, model.outputs[0].shape[-1])


def _check_labels(labels: np.ndarray, num_classes: int) -> None:
    if not len(labels) or labels.min() < 0 or labels.max() >= num_classes:
        advice = f"Give training and validation images with labels from 0 to {num_classes - 1}, the model's classes"
        raise wrong(advice, f"labels from {labels.min()} to {labels.max()}" if len(labels) else "no images")

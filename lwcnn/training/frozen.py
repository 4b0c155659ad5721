"""Outputs of frozen first layers, computed once because they are the same in every epoch."""

import math

import keras
import numpy as np

from lwcnn.data.augment import Augmentation
from lwcnn.data.checks import images_at_once
from lwcnn.data.images import Images, Split
from lwcnn.models.graph import flat_layers, layer_calls, layer_outputs
from lwcnn.system import environment
from lwcnn.training.checkpoint import random_states
from lwcnn.training.phases import Phase, trainable_layer_names
from lwcnn.training.predictor import make_predictor


def without_frozen_prefix(
    model: keras.Model, phase: Phase, branches: tuple[Augmentation | None, ...], split: Split
) -> tuple[keras.Model, Split]:
    """Replaces frozen first layers by their outputs, where these are the same in every epoch."""
    if branches != (None,) or phase.mixing or phase.dropout or environment.num_replicas() > 1:
        return model, split
    if (parts := split_frozen_prefix(model, trainable_layer_names(model, phase))) is None:
        return model, split
    prefix, rest = parts
    arrays = (part.arrays() for part in split)
    return rest, Split(*(Images(compute_features(prefix, images), labels) for images, labels in arrays))


def split_frozen_prefix(model: keras.Model, trained: tuple[str, ...]) -> tuple[keras.Model, keras.Model] | None:
    """Splits a model before its trainable layers into two models: images to features, and features to outputs.

    They share its layers. None if the second model reads more than one tensor, the first has no weights or is random
    (dropout), or the features take more memory than the images.
    """
    layers = layer_calls(model)
    rest: set[str] = set()
    read: set[str] = set()
    prefix: list[keras.Operation] = []
    for layer, calls in layers:
        sources = {name for tensors in calls for name, _ in tensors}
        if layer.name in trained or sources & rest:
            rest.add(layer.name)
            read |= sources - rest
        else:
            prefix.append(layer)
    has_weights = any(getattr(layer, "weights", ()) for layer in prefix)
    if len(read) != 1 or not has_weights or any(_is_random(layer) for layer in prefix):
        return None
    (last,) = read
    features = layer_outputs(model).get(last)
    if features is None or any(layer.name == last and len(calls) > 1 for layer, calls in layers):
        return None
    sizes, pixels = features.shape[1:], model.inputs[0].shape[1:]
    if None in (*sizes, *pixels) or 4 * math.prod(sizes) > math.prod(pixels):  # bytes: float32, and uint8 images
        return None
    return keras.Model(model.inputs[0], features), keras.Model(features, model.outputs[0], name=model.name)


def compute_features(prefix: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the outputs of the prefix for images, float32."""
    predict, step = make_predictor(prefix), images_at_once(images.shape[1:])
    parts = [predict([images[i : i + step]])[0] for i in range(0, len(images), step)]
    return np.concatenate(parts).astype(np.float32, copy=False)


class FeatureBatches:
    """Shuffled batches of features (n, ...) float32; a drop-in for `Batches`."""

    def __init__(self, features: np.ndarray, labels: np.ndarray, batch_size: int, seed: int):
        self.features, self.labels, self.batch_size, self.seed = features, labels, batch_size, seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.features[chosen], self.labels[chosen].astype(np.int32)


def _is_random(layer: keras.Operation) -> bool:
    """Returns whether the outputs of a frozen layer differ between steps, as those of dropout do."""
    generators = [part for part in flat_layers(layer) if random_states(part)]
    return any(not isinstance(rate := getattr(part, "rate", None), (int, float)) or rate > 0 for part in generators)

"""Frozen layers before the first trained one: their outputs are the same in every epoch, so they are computed once."""

import keras
import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.models.graph import layers_with_inputs
from lwcnn.system.errors import LwcnnError
from lwcnn.training.steps import predictor


def split_frozen_prefix(model: keras.Model, trained: tuple[str, ...]) -> tuple[keras.Model, keras.Model] | None:
    """Splits a model with one input where its trained layers begin.

    Args:
        model: Functional model.
        trained: Names of the layers that train.

    Returns:
        The frozen prefix, from images to features, and the rest, from features to outputs, with the model's own
        layers. None if the rest reads more than one tensor, the prefix has no weights or drops at random, or the
        features take more memory than the images.
    """
    try:
        layers = layers_with_inputs(model)
    except (LwcnnError, NotImplementedError):
        return None
    rest: set[str] = set()
    read: set[str] = set()
    prefix: list[keras.Layer] = []
    for layer, calls in layers:
        sources = {name for call in calls for name in call}
        if layer.name in trained or sources & rest:
            rest.add(layer.name)
            read |= sources - rest
        else:
            prefix.append(layer)
    if len(read) != 1 or not any(layer.weights for layer in prefix) or any(_is_random(layer) for layer in prefix):
        return None
    features = model.get_layer(read.pop()).output
    if not isinstance(features, keras.KerasTensor) or _num_bytes(features, 4) > _num_bytes(model.inputs[0], 1):
        return None
    return keras.Model(model.inputs[0], features), keras.Model(features, model.outputs[0], name=model.name)


def compute_features(prefix: keras.Model, images: np.ndarray) -> np.ndarray:
    """The features of images, float32."""
    predict, step = predictor(prefix), images_at_once(images.shape[1:])
    parts = [predict([images[i : i + step]])[0] for i in range(0, len(images), step)]
    return np.concatenate(parts).astype(np.float32, copy=False)


class FeatureBatches:
    """Shuffled batches of features, in the place of `Batches`.

    Args:
        features: Shape (n, ...), float32.
        labels: Shape (n,), integers.
        batch_size: Features in a batch; the last one of an epoch may be smaller.
        seed: Seed for shuffling.
    """

    def __init__(self, features: np.ndarray, labels: np.ndarray, batch_size: int, seed: int):
        self.features, self.labels, self.batch_size, self.seed = features, labels, batch_size, seed
        self.set_epoch(0)

    def __len__(self) -> int:
        return -(-len(self.labels) // self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        """Gives the batches of this epoch from now on."""
        self._order = np.random.default_rng((self.seed, epoch)).permutation(len(self.labels))

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        chosen = self._order[index * self.batch_size : (index + 1) * self.batch_size]
        return self.features[chosen], self.labels[chosen].astype(np.int32)


def _is_random(layer: keras.Layer) -> bool:
    """Whether a frozen layer's outputs differ from step to step, as dropout's do."""
    generators = [part for part in layer._flatten_layers() if getattr(part, "seed_generator", None) is not None]
    return any(not isinstance(rate := getattr(part, "rate", None), (int, float)) or rate > 0 for part in generators)


def _num_bytes(tensor: keras.KerasTensor, width: int) -> int:
    return width * int(np.prod(tensor.shape[1:]))

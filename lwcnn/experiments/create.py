"""Builds or loads networks by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lwcnn.data.known import ImageSpec
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS, get_experiment
from lwcnn.experiments.zoo import shipped_file, trained_networks
from lwcnn.system.errors import LwcnnError, unknown_name

if TYPE_CHECKING:
    import keras


def create_model(
    name: str,
    pretrained: str | None = None,
    input_shape: tuple[int, int, int] = (32, 32, 3),
    num_classes: int = 10,
) -> keras.Model:
    """Returns a network by name.

    Args:
        name: A name from `list_models`, or the name of an experiment.
        pretrained: Data set of the trained weights, such as "cifar10". None initializes the weights at random.
        input_shape: Height, width and channels of the images; only without `pretrained`.
        num_classes: Number of classes; only without `pretrained`.

    Returns:
        A Keras model that maps images (n, height, width, channels), 0 to 255, to logits (n, num_classes). A trained
        network has an attribute `class_names`.

    Raises:
        LwcnnError: The network does not exist, was not trained on this data set, or does not accept the shape.

    Example:

    >>> create_model("wren", num_classes=7).output_shape
    (None, 7)
    """
    if pretrained is not None:
        from lwcnn.models.io import load_model

        if (tuple(input_shape), num_classes) != ((32, 32, 3), 10):
            raise LwcnnError(
                "Leave out input_shape and num_classes: the trained weights determine them. "
                f"Received: {tuple(input_shape)}, {num_classes} with pretrained={pretrained!r}"
            )
        known = trained_networks()
        if (name, pretrained) not in known:
            raise unknown_name("trained network", f"{name} on {pretrained}", [" on ".join(key) for key in known])
        return load_model(shipped_file(name, pretrained))
    if name not in (*NETWORKS, *EXPERIMENT_NAMES):
        raise unknown_name("network", name, [*NETWORKS, *EXPERIMENT_NAMES])
    if len(input_shape) != 3:
        raise LwcnnError(f"Give input_shape as (height, width, channels). Received: {tuple(input_shape)}")
    from lwcnn.experiments.pipeline import build_model

    return build_model(get_experiment(name, dataset=ImageSpec(input_shape, mirror=False)), input_shape, num_classes)

"""From any description of a network that trains in one go to its model."""

from collections.abc import Sequence

import keras

from lwcnn.models.baselines.keras_applications import build_application
from lwcnn.models.baselines.reproduction import build_repo_residual_se
from lwcnn.models.baselines.resnet import build_resnet
from lwcnn.models.configs import Application, Network, RepoResidualSEConfig, ResNetConfig
from lwcnn.models.residual_se import build_residual_se


def build_network(
    input_shape: Sequence[int],
    num_classes: int,
    description: Network,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
) -> keras.Model:
    """The model of a description.

    Args:
        input_shape: (height, width, channels) of one image.
        num_classes: at least 2.
        description: of the network.
        normalization: (mean, std) of each channel, for the networks that take them (`takes_normalization`).

    Raises:
        LwcnnError: as the network's own builder.
    """
    if isinstance(description, ResNetConfig):
        return build_resnet(input_shape, num_classes, description, normalization)
    if isinstance(description, Application):
        return build_application(input_shape, num_classes, description)
    build = build_repo_residual_se if isinstance(description, RepoResidualSEConfig) else build_residual_se
    return build(input_shape, num_classes, description)


def takes_normalization(description: Network) -> bool:
    """Whether the network begins with the training images' mean and deviation; the others scale by constants."""
    return isinstance(description, ResNetConfig)

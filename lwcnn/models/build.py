"""Builds the model of any network that is described as data and trained in one go."""

from collections.abc import Sequence

import keras

from lwcnn.models.baselines.keras_applications import build_application
from lwcnn.models.baselines.reproduction import build_repo_residual_se
from lwcnn.models.baselines.resnet import build_resnet
from lwcnn.models.configs import (
    ApplicationConfig,
    NetworkConfig,
    RepoResidualSEConfig,
    ResidualSEConfig,
    ResNetConfig,
)
from lwcnn.models.residual_se import build_residual_se


def build_network(
    input_shape: Sequence[int],
    num_classes: int,
    config: NetworkConfig,
    normalization: tuple[Sequence[float], Sequence[float]] | None = None,
) -> keras.Model:
    """Builds the model of a configuration, with random weights.

    Args:
        input_shape: (height, width, channels) of one image.
        num_classes: Number of classes, at least 2.
        config: Configuration of the network.
        normalization: (mean, std) per channel, for networks that use them (`takes_normalization`).

    Returns:
        A model from images (n, height, width, channels), 0 to 255, to logits (n, num_classes).

    Raises:
        LwcnnError: The images are too small, there are fewer than two classes, or the configuration is invalid.
    """
    match config:
        case ResNetConfig():
            return build_resnet(input_shape, num_classes, config, normalization)
        case ApplicationConfig():
            return build_application(input_shape, num_classes, config)
        case RepoResidualSEConfig():
            return build_repo_residual_se(input_shape, num_classes, config)
        case ResidualSEConfig():
            return build_residual_se(input_shape, num_classes, config)


def takes_normalization(config: NetworkConfig) -> bool:
    """Returns whether the network normalizes by the training images' mean and deviation; others use constants."""
    return isinstance(config, ResNetConfig)

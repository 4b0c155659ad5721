"""Builds a network from its configuration. `dual.py` and `baselines/reproduction.py` build the merged models."""

from collections.abc import Sequence
from typing import assert_never

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
    SubmodelConfig,
)
from lwcnn.models.dual import build_submodel
from lwcnn.models.residual_se import build_residual_se


def build_network(input_shape: Sequence[int], num_classes: int, config: NetworkConfig) -> keras.Model:
    """Builds a model, with random weights, that maps images (n, height, width, channels), 0 to 255, to logits."""
    match config:
        case ResNetConfig():
            return build_resnet(input_shape, num_classes, config)
        case ApplicationConfig():
            return build_application(input_shape, num_classes, config)
        case RepoResidualSEConfig():
            return build_repo_residual_se(input_shape, num_classes, config)
        case ResidualSEConfig():
            return build_residual_se(input_shape, num_classes, config)
        case SubmodelConfig():
            return build_submodel(input_shape, num_classes, filters=config.filters)
        case _:
            assert_never(config)

"""Networks do not depend on Keras's `image_data_format`."""

import json

import keras
import numpy as np
import pytest
from made_data import make_images

from lwcnn.export.int8.simplify import simplify
from lwcnn.models.baselines.keras_applications import build_application
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_residual_se
from lwcnn.models.baselines.resnet import build_resnet
from lwcnn.models.configs import BRANCHES, MOBILENET_V2, ResidualSEConfig, ResNetConfig, ResNetStage
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.merge import check_merge, merge_submodels
from lwcnn.models.residual_se import build_residual_se

SHAPE = (32, 32, 3)
BUILDERS = {
    "dual": lambda: build_dual_model([build_submodel(SHAPE, 4, name) for name in BRANCHES]),
    "merged": lambda: build_merged_model(SHAPE, 4),
    "depthwise": lambda: build_residual_se(SHAPE, 4),
    "plain": lambda: build_residual_se(SHAPE, 4, ResidualSEConfig(block="plain")),
    "cbam": lambda: build_residual_se(SHAPE, 4, ResidualSEConfig(block="cbam")),
    "repo_merged": lambda: build_repo_merged(SHAPE, 4, BRANCHES),
    "repo_residual_se": lambda: build_repo_residual_se(SHAPE, 4),
    "bottleneck": lambda: build_resnet(
        SHAPE, 4, ResNetConfig(8, (ResNetStage(8, 1), ResNetStage(16, 1, 2)), "bottleneck")
    ),
    "mobilenet_v2": lambda: build_application(SHAPE, 4, MOBILENET_V2),
}


def described(model: keras.Model) -> str:
    config = [{**layer.get_config(), "dtype": None} for layer in model.layers]
    return json.dumps(
        [config, [weight.path for weight in model.weights], [w.shape for w in model.weights]], default=str
    )


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    assert keras.config.image_data_format() == "channels_first"
    keras.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("name", BUILDERS)
def test_built_under_channels_first_it_is_the_same_network(name, request):
    keras.backend.clear_session()
    expected = described(BUILDERS[name]())
    keras.backend.clear_session()
    request.getfixturevalue("channels_first")
    assert described(BUILDERS[name]()) == expected


def test_a_merge_is_checked_under_channels_first(channels_first):
    submodels = [build_submodel(SHAPE, 4, name) for name in BRANCHES]
    checks = check_merge(submodels, merge_submodels(submodels), np.zeros((2, *SHAPE), "uint8"))
    assert all(check.same_weights for check in checks)


def test_a_network_with_eca_is_simplified_for_int8_under_channels_first(channels_first):
    pytest.importorskip("tensorflow")
    model = build_residual_se(SHAPE, 4, ResidualSEConfig(attention="eca"))
    simplified = simplify(model)
    images = make_images(4, SHAPE, 4)[0].astype("float32")
    assert not any(isinstance(layer, keras.layers.Conv1D) for layer in simplified.layers)
    np.testing.assert_allclose(simplified(images), model(images), rtol=1e-4, atol=1e-5)

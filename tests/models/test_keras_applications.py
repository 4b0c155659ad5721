"""Networks of keras.applications: published counts, names, training, invalid arguments, and the stored costs."""

import json
from dataclasses import replace
from functools import cache

import keras
import numpy as np
import pytest
from made_data import ROOT, write_npz

from lwcnn.experiments.run import run_experiment
from lwcnn.experiments.zoo import create_model
from lwcnn.models.baselines.keras_applications import build_application
from lwcnn.models.build import build_network
from lwcnn.models.configs import EFFICIENTNET_B0, MOBILENET_V2
from lwcnn.models.cost import costs, count_macs, memory
from lwcnn.publication.claims import REFERENCES
from lwcnn.system.errors import LwcnnError

SHAPE = (32, 32, 3)


@cache
def built(description):
    return build_application(SHAPE, 10, description)


@pytest.mark.parametrize(
    "description, published, macs, of_224",
    [
        (MOBILENET_V2, 2_257_984 + 12_810, 6_124_928, 300_774_272),  # arXiv 1801.04381: 300 million
        (EFFICIENTNET_B0, 4_049_571 + 12_810, 8_474_848, 385_814_752),  # arXiv 1905.11946: 0.39 billion
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_counts(description, published, macs, of_224):
    model = build_network(SHAPE, 10, description)
    assert model.count_params() == published and count_macs(model) == macs
    assert count_macs(build_application((224, 224, 3), 1000, description)) == of_224
    assert model.get_layer("features").output.shape == (None, 1280)
    assert memory(model)["params"] == pytest.approx(4 * sum(np.prod(w.shape) for w in model.trainable_weights) / 2**20)
    # The same names whatever was built before, so that weights are found by them; and the stem as it is.
    again = built(description)
    assert [w.path.split("/")[-2:] for w in again.weights] == [w.path.split("/")[-2:] for w in model.weights]
    stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    assert stem.strides == (2, 2) and stem.filters == 32


def test_momentum_is_the_networks_own_unless_given():
    for description, wanted in ((MOBILENET_V2, 0.999), (replace(MOBILENET_V2, momentum=0.9), 0.9)):
        model = built(description)
        norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
        assert len(norms) == 52 and {layer.momentum for layer in norms} == {wanted}


def test_images_are_scaled_as_the_networks_expect():
    """MobileNetV2 takes -1..1, EfficientNet scales 0..255 inside."""
    images = np.array([0, 255], np.uint8)[:, None, None, None] * np.ones((2, *SHAPE), np.uint8)
    for description, wanted in ((MOBILENET_V2, (-1, 1)), (EFFICIENTNET_B0, (0, 1))):
        model = built(description)
        stem = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        seen = keras.Model(model.inputs, stem.input).predict(images, verbose=0)
        assert (seen[0].min(), seen[1].max()) == pytest.approx(wanted, abs=1e-3)


def test_mobilenet_v2_trains_evaluates_and_is_kept(tmp_path, folders):
    path = write_npz(tmp_path / "made.npz", SHAPE, num_train=100, num_test=20)
    result = run_experiment("mobilenet_v2", path, "smoke", 0, folders)
    assert result["params"] == 2_270_794 and np.isfinite(result["test_loss"])
    model = keras.saving.load_model(folders.model(result))
    assert model.count_params() == result["params"]


def test_what_does_not_fit_is_refused():
    with pytest.raises(LwcnnError, match=r"at least 32.*Received: \(28, 28, 1\)"):
        build_application((28, 28, 1), 10, MOBILENET_V2)
    with pytest.raises(LwcnnError, match="num_classes must be an integer of at least 2. Received: 1"):
        build_application(SHAPE, 1, MOBILENET_V2)


@pytest.mark.parametrize("name", [row.network for row in REFERENCES])
def test_the_committed_costs_are_those_of_the_library(name):
    stored = json.loads((ROOT / "results" / "networks" / f"{name}.json").read_text())
    assert stored == {"model": name, **costs(create_model(name))}

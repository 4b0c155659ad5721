"""The structured pruning of benchmarks/prune.py keeps the outputs if the removed channels do nothing."""

import runpy

import numpy as np
import pytest
from made_data import ROOT, TINY_NETWORK, make_images, randomize

from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.residual_se import build_residual_se

SHAPE = (16, 16, 3)


@pytest.fixture
def prune_channels():
    return runpy.run_path(str(ROOT / "benchmarks/prune.py"))["prune_channels"]


def test_channels_that_nothing_reads_leave_first(prune_channels):
    config = ResidualSEConfig(8, (Stage(8, 2, 3), Stage(16, 1, 3)), se_reduction=4)
    model = randomize(build_residual_se(SHAPE, 10, config))
    for layer in model.layers:
        if layer.name.endswith("_project"):
            kernel, bias = layer.get_weights()
            kernel[:, :, 1::2] = 0  # half of the hidden channels
            layer.set_weights([kernel, bias])
    before, x = model.get_weights(), make_images(8, SHAPE)[0]
    pruned = prune_channels(model, config, 1.0)
    np.testing.assert_allclose(pruned.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-4, atol=1e-4)
    assert [pruned.get_layer(f"stage{k}_block1_expand").filters for k in (1, 2)] == [8, 16]
    assert pruned.count_params() < model.count_params()
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_the_weakest_channels_leave(prune_channels):
    model = randomize(build_residual_se(SHAPE, 10, TINY_NETWORK))
    made = model.get_layer("stage1_block1_expand").get_weights()[0][0, 0]
    read = model.get_layer("stage1_block1_project").get_weights()[0][0, 0]
    strengths = [np.linalg.norm(made[:, i]) * np.linalg.norm(read[i]) for i in range(16)]
    kept = [i for i in range(16) if sorted(strengths, reverse=True).index(strengths[i]) < 8]
    pruned = prune_channels(model, TINY_NETWORK, 1.0)
    np.testing.assert_array_equal(pruned.get_layer("stage1_block1_expand").get_weights()[0][0, 0], made[:, kept])

"""The pruning of benchmarks/prune.py: channels that do nothing leave the outputs as they are; zeros stay zeros."""

import runpy
from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import ROOT, TINY_NETWORK, make_images, randomize

from lwcnn.data.images import Images, Split
from lwcnn.experiments.recipes import get_experiment
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.residual_se import build_residual_se
from lwcnn.training.average import MovingAverage
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

SHAPE = (16, 16, 3)


@pytest.fixture
def prune(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/prune.py"))


@pytest.fixture
def prune_channels(prune):
    return prune["prune_channels"]


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


@pytest.mark.parametrize("name", ["residual_se_muon", "wren_100k"])
def test_both_methods_keep_as_many_parameters_at_half_the_learning_rate(prune, name):
    plan, expansion = get_experiment(name, "full"), prune["EXPANSIONS"][name]
    narrow = replace(plan.network, stages=tuple(replace(stage, expansion=expansion) for stage in plan.network.stages))
    assert build_residual_se((32, 32, 3), 10, narrow).count_params() == prune["KEPT"][name]
    assert prune["LEARNING_RATE"] == plan.phases[0].optimizer.learning_rate / 2


def test_removed_weights_stay_zero_in_training(prune, monkeypatch):
    model, images = randomize(build_residual_se(SHAPE, 10, TINY_NETWORK)), Images(*make_images(32, SHAPE))
    monkeypatch.setitem(prune["KEPT"], "tiny", model.count_params() - 500)
    assign, averages = MovingAverage.assign, []
    monkeypatch.setattr(MovingAverage, "assign", lambda average: averages.append(average) or assign(average))
    phase = Phase("all", OptimizerConfig("sgd", 0.1, ema=0.5), 2, batch_size=16)
    pruned, train = prune["without_weights"](model, "tiny", phase, Split(images, images), None)

    def zeros():
        return [keras.ops.convert_to_numpy(weight) == 0 for weight in pruned.weights if "kernel" in weight.name]

    removed, before = zeros(), pruned.get_layer("head_logits").get_weights()[0]
    assert sum(int(one.sum()) for one in removed) == 500
    assert len(train()) == 2
    for now, then in zip(zeros(), removed, strict=True):
        np.testing.assert_array_equal(now, then)
    assert not np.array_equal(pruned.get_layer("head_logits").get_weights()[0], before)
    (average,) = averages  # what is measured
    for variable, value in zip(average.variables, average.values, strict=True):
        np.testing.assert_array_equal(variable, value)

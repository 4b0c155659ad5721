"""Switches of the residual network: values and counts by hand, saving, backends, and what the engine says of them."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from keras import ops
from made_data import make_block, make_images, randomize

from lwcnn.engine import unsupported
from lwcnn.models import blocks
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.cost import count_macs
from lwcnn.models.layers import LearnedMix
from lwcnn.models.residual_se import build_residual_se
from lwcnn.models.surgery import merge_branches

SHAPE = (16, 16, 3)
NETWORK = ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3), Stage(16, 1, 3)), se_reduction=4)
SWITCHES = {
    "eca": {"attention": "eca"},
    "glu": {"block": "glu"},
    "prelu": {"activation": "prelu", "head": 8},
    "pooling": {"pooling": "hybrid", "head_pooling": "hybrid"},
    "resolution": {"stem_pooling": False},
    "branches": {"branch_kernels": (1, 3)},
}


def model_of(block, /, shape=(4, 4, 6), **arguments):
    images = keras.Input(shape)
    return randomize(keras.Model(images, block(images, name="a", **arguments)))


def test_efficient_channel_attention_by_hand():
    model = model_of(blocks.efficient_channel_attention)
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 6)).astype(np.float32)
    kernel = model.get_layer("a_excite").get_weights()[0].ravel()
    means = np.pad(x.mean((1, 2)), ((0, 0), (2, 2)))
    factors = 1 / (1 + np.exp(-sum(kernel[i] * means[:, i : i + 6] for i in range(5))))
    np.testing.assert_allclose(model.predict(x, verbose=0), x * factors[:, None, None], rtol=1e-4)
    assert model.count_params() == 5 and count_macs(model) == 6 * 5


def test_a_gated_block_by_hand():
    settings = {"expansion": 8 / 6, "kernel_size": 1, "activation": "relu", "se_reduction": None, "block": "glu"}
    model = model_of(make_block, filters=6, **settings)
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 6)).astype(np.float32)
    normed = keras.Model(model.inputs, model.get_layer("a_norm").output).predict(x, verbose=0)
    (expand, of_expand), (gate, of_gate), (project, of_project) = (
        (weights[0][0, 0], weights[1]) for weights in (model.get_layer(f"a_{name}").get_weights() for name in NAMES)
    )
    hidden = np.maximum(normed @ expand + of_expand, 0) * (normed @ gate + of_gate)
    np.testing.assert_allclose(model.predict(x, verbose=0), x + hidden @ project + of_project, rtol=1e-3, atol=1e-4)


NAMES = ("expand", "gate", "project")


def test_hybrid_pooling_by_hand():
    x = np.random.default_rng(1).normal(size=(2, 4, 4, 3)).astype(np.float32)
    share = np.array([0, 0.25, 1], np.float32)
    squares = x.reshape(2, 2, 2, 2, 2, 3)
    for whole, axes in ((False, (2, 4)), (True, (1, 2, 3, 4))):
        model = model_of(lambda images, name, whole=whole: blocks.pool(images, "hybrid", name, whole), (4, 4, 3))
        assert isinstance(model.get_layer("a"), LearnedMix) and model.count_params() == 3
        model.get_layer("a").alpha.assign(share)
        expected = share * squares.max(axes) + (1 - share) * squares.mean(axes)
        result = model.predict(x, verbose=0)
        np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=1e-6)


def test_a_prelu_has_one_slope_per_channel():
    layer = model_of(lambda images, name: blocks.activate(images, "prelu", name)).get_layer("a")
    slopes = np.linspace(0.1, 0.6, 6, dtype=np.float32)
    layer.alpha.assign(slopes.reshape(1, 1, 6))
    x = -np.ones((1, 4, 4, 6), np.float32)
    np.testing.assert_allclose(ops.convert_to_numpy(layer(x))[0, 0, 0], -slopes, rtol=1e-6)


@pytest.mark.parametrize("switch", SWITCHES)
def test_a_network_with_a_switch_trains_and_survives_saving(switch, tmp_path):
    keras.utils.set_random_seed(0)
    model = build_residual_se(SHAPE, 10, replace(NETWORK, se_reduction=1, **SWITCHES[switch]))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), run_eagerly=True)
    x, y = make_images(8, SHAPE)
    before = model.get_weights()
    model.train_on_batch(x, y)
    names = [variable.path for variable in model.trainable_variables]
    moved = dict(zip([w.path for w in model.weights], zip(before, model.get_weights(), strict=True), strict=True))
    assert not [name for name in names if np.array_equal(*moved[name])]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


@pytest.mark.parametrize(
    "switch, reason", [("pooling", "LearnedMix"), *((name, None) for name in SWITCHES if name != "pooling")]
)
def test_the_engine_says_which_switches_keras_trains(switch, reason):
    model = build_residual_se(SHAPE, 10, replace(NETWORK, **SWITCHES[switch]))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = unsupported(model)
    assert found is None if reason is None else reason in found


B = Stage(32, 5)
CANDIDATES = {
    "B": (ResidualSEConfig(40, (B,)), 29_556, 7.7),
    "E": (ResidualSEConfig(48, (B,), attention="eca"), 29_283, 8.0),
    "G": (ResidualSEConfig(40, (Stage(32, 5, 5, 1.25),), block="glu", attention="eca"), 27_571, 7.4),
    "F1": (
        ResidualSEConfig(24, (Stage(24, 2), Stage(40, 3, 5, 1.6)), attention="eca", stem_pooling=False), 27_779, 11.6
    ),
    "F3": (
        ResidualSEConfig(
            24, (Stage(24, 3, 5, 1), Stage(40, 3, 5, 1)), block="glu", attention="eca", stem_pooling=False
        ),
        28_216,
        12.5,
    ),
    "small": (
        ResidualSEConfig(20, (Stage(20, 2), Stage(32, 3, 5, 1.5)), attention="eca", stem_pooling=False), 18_611, 8.0
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CANDIDATES)
def test_candidates_cost_what_was_derived(name):
    config, params, macs = CANDIDATES[name]
    model = build_residual_se((32, 32, 3), 10, config)
    assert (model.count_params(), round(count_macs(model) / 1e6, 1)) == (params, macs)


@pytest.mark.parametrize("block", ["depthwise", "glu", "cbam"])
def test_merged_branches_compute_the_same(block):
    config = replace(NETWORK, stages=(Stage(8, 2, 5), Stage(16, 1, 3)), branch_kernels=(1, 3), block=block)
    model = randomize(build_residual_se(SHAPE, 10, config))
    before = model.get_weights()
    merged = merge_branches(model, config)
    plain = build_residual_se(SHAPE, 10, replace(config, branch_kernels=()))
    assert [w.path for w in merged.weights] == [w.path for w in plain.weights]
    x = make_images(8, SHAPE)[0]
    np.testing.assert_allclose(merged.predict(x, verbose=0), model.predict(x, verbose=0), rtol=1e-3, atol=1e-4)
    for weight, old in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)

"""Blocks and custom layers: counts, shapes and values by hand, invalid arguments, and networks of each block."""

from functools import partial

import keras
import numpy as np
import pytest
from keras import ops
from made_data import make_block, make_images, randomize

from lwcnn.experiments.recipes import get_experiment
from lwcnn.models import blocks
from lwcnn.models.baselines.resnet import resnet_block
from lwcnn.models.blocks import conv_norm, hidden_width, spatial_attention, squeeze_excite
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.cost import count_macs
from lwcnn.models.layers import ChannelStatistics
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError


def test_stochastic_depth_skips_whole_images_and_keeps_the_mean():
    images = keras.Input((2, 2, 2))
    model = keras.Model(images, make_block(images, 2, drop_rate=0.25, se_reduction=None))
    layer, x = model.get_layer("block_drop"), np.ones((4000, 2, 2, 2), np.float32)
    values = ops.convert_to_numpy(layer(x, training=True))
    assert set(np.unique(values)) == {0.0, np.float32(1 / 0.75)} and abs(values.mean() - 1) < 0.05
    assert (values == values[:, :1, :1, :1]).all()


@pytest.mark.parametrize("settings", [{"filters": 3}, {"filters": 2, "residual": False}])
def test_a_block_without_a_shortcut_is_never_dropped(settings):
    images = keras.Input((2, 2, 2))
    model = keras.Model(images, make_block(images, drop_rate=0.25, se_reduction=None, **settings))
    assert "block_drop" not in [layer.name for layer in model.layers]


def test_the_rate_of_a_keras_dropout_does_not_act_after_compilation():
    """The extension's callback sets the attribute; the training function has the rate of its first call."""
    images = keras.Input((500,))
    dropout = keras.layers.Dropout(0.4, seed=0)
    model = keras.Model(images, dropout(images))
    model.compile(keras.optimizers.SGD(0.0), "mean_squared_error")
    x, y = np.ones((64, 500), np.float32), np.zeros((64, 500), np.float32)
    for rate in (0.4, 0.2):
        dropout.rate = rate
        assert abs(float(model.train_on_batch(x, y)) - 1 / (1 - 0.4)) < 0.03


def test_a_reduction_above_the_channels_is_refused():
    with pytest.raises(LwcnnError, match="reduce 8 channels by 1 to 8. Received: se_reduction=9"):
        squeeze_excite(keras.Input((4, 4, 8)), 9, "block")


def test_macs_of_a_block_by_hand():
    images = keras.Input((8, 8, 16))
    model = keras.Model(images, make_block(images, 16, se_reduction=4))
    # depthwise 8*8*16*25, expand and project 8*8*16*32 each, squeeze and excite 16*4 each
    assert count_macs(model) == 8 * 8 * 16 * 25 + 2 * 8 * 8 * 16 * 32 + 2 * 16 * 4


def block_model(block, /, shape=(8, 8, 16), **arguments):
    images = keras.Input(shape)
    return keras.Model(images, block(images, name="block", **arguments))


def squeeze_excite_count(channels, reduction, bias=True):
    squeezed = channels // reduction
    return 2 * channels * squeezed + (squeezed + channels) * bias


@pytest.mark.parametrize("strides, filters, projected", [(1, 16, False), (1, 24, True), (2, 16, True)])
def test_basic_block_by_hand(strides, filters, projected):
    convolutions = (filters, 3, strides), (filters, 3, 1)
    conv, attend = partial(conv_norm, use_bias=True), partial(squeeze_excite, reduction=4)
    model = block_model(resnet_block, convolutions=convolutions, attend=attend, conv=conv)
    convolutions = 9 * 16 * filters + filters + 9 * filters * filters + filters
    projection = (16 * filters + filters + 4 * filters) if projected else 0
    expected = convolutions + 2 * 4 * filters + projection + squeeze_excite_count(filters, 4)
    assert model.count_params() == expected
    assert model.output_shape == (None, 8 // strides, 8 // strides, filters)
    assert all(layer.name.startswith("block") for layer in model.layers[1:])


def test_bottleneck_block_by_hand():
    arguments = {"convolutions": ((7, 1, 1), (7, 3, 2), (20, 5, 1)), "activation": "leaky_relu"}
    attend = partial(squeeze_excite, reduction=5, use_bias=False)
    model = block_model(resnet_block, attend=attend, dropout=0.2, **arguments)
    convolutions = 16 * 7 + 9 * 7 * 7 + 25 * 7 * 20 + 16 * 20
    norms = 4 * (7 + 7 + 20 + 20)
    assert model.count_params() == convolutions + norms + squeeze_excite_count(20, 5, bias=False)
    assert model.output_shape == (None, 4, 4, 20)
    places = 64 * 16 * 7 + 16 * (9 * 7 * 7 + 25 * 7 * 20 + 16 * 20)  # the stride is that of the middle convolution
    assert count_macs(model) == places + 2 * 20 * 4
    x = np.random.default_rng(0).normal(size=(3, 8, 8, 16)).astype(np.float32)
    assert np.isclose(model.get_layer("block_activation").negative_slope, 0.1)
    assert not np.array_equal(model(x, training=True), model(x, training=False))


def test_without_a_change_of_shape_a_basic_block_adds_its_input():
    model = block_model(resnet_block, convolutions=((16, 3, 1), (16, 3, 1)))
    for layer in model.layers:
        if layer.name == "block_2_norm":  # what the convolutions give is multiplied by zero
            layer.gamma.assign(np.zeros(16))
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 16)).astype(np.float32)
    np.testing.assert_allclose(model.predict(x, verbose=0), np.maximum(x, 0), atol=1e-6)


def test_plain_block_by_hand():
    model = block_model(make_block, filters=16, block="plain", se_reduction=4, drop_rate=0.2)
    assert model.count_params() == 25 * 16 * 16 + 4 * 16 + squeeze_excite_count(16, 4)
    assert [layer.name for layer in model.layers[-2:]] == ["block_drop", "block_add"]
    assert (
        block_model(make_block, filters=24, block="plain", kernel_size=3, se_reduction=None).count_params()
        == 9 * 16 * 24 + 4 * 24
    )


def test_channel_statistics_are_mean_and_maximum():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = np.stack([x.mean(-1), x.max(-1)], axis=-1)
    np.testing.assert_allclose(ops.convert_to_numpy(ChannelStatistics()(x)), expected, atol=1e-6)


def test_spatial_attention_by_hand():
    images = keras.Input((5, 5, 3))
    model = randomize(keras.Model(images, spatial_attention(images, "a")))
    x = np.random.default_rng(1).normal(size=(1, 5, 5, 3)).astype(np.float32)
    kernel, bias = model.get_layer("a_conv").get_weights()  # (7, 7, 2, 1): at the middle pixel it sees all 25
    statistics = np.stack([x[0].mean(-1), x[0].max(-1)], axis=-1)
    factor = 1 / (1 + np.exp(-((kernel[1:6, 1:6, :, 0] * statistics).sum() + bias[0])))
    np.testing.assert_allclose(model.predict(x, verbose=0)[0, 2, 2], x[0, 2, 2] * factor, rtol=1e-4)


def test_cbam_block_is_the_depthwise_block_with_spatial_attention():
    model = block_model(make_block, filters=16, block="cbam", se_reduction=4, drop_rate=0.1)
    depthwise = 25 * 16 + 4 * 16 + 16 * 32 + 32 + 32 * 16 + 16
    assert model.count_params() == depthwise + squeeze_excite_count(16, 4) + 2 * 49 + 1
    assert count_macs(model) == 64 * (25 * 16 + 2 * 16 * 32 + 2 * 49) + 2 * 16 * 4


# Networks of these blocks


@pytest.mark.parametrize(
    "name, params", [("residual_se", 29_362), ("residual_plain", 29_464), ("residual_cbam", 29_758)]
)
def test_networks_of_other_blocks_have_equal_parameters(name, params):
    network = get_experiment(name).network
    assert build_residual_se((32, 32, 3), 10, network).count_params() == params
    assert get_experiment(name).phases == get_experiment("residual_se").phases


@pytest.mark.parametrize("block", ["plain", "cbam"])
def test_networks_of_other_blocks_survive_saving(block, tmp_path):
    network = ResidualSEConfig(
        stem=8, stages=(Stage(8, 1, 3), Stage(16, 1, 3)), se_reduction=4, block=block, drop_rate=0.1
    )
    model = build_residual_se((16, 16, 3), 10, network)
    x = make_images(5, (16, 16, 3))[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), model.predict(x, verbose=0))


def test_an_unknown_block_is_refused_with_the_nearest():
    with pytest.raises(LwcnnError, match="Unknown block. Did you mean 'cbam'"):
        build_residual_se((16, 16, 3), 10, ResidualSEConfig(block="cbm"))


def test_the_hidden_width_is_the_nearest_multiple_of_eight():
    assert [hidden_width(*pair) for pair in ((8, 1.75), (32, 1.6), (40, 1.8), (2, 1))] == [16, 48, 72, 8]


@pytest.mark.parametrize("residual, filters, added", [(True, 16, True), (False, 16, False), (True, 24, False)])
def test_the_input_is_added_where_wanted_and_of_the_same_width(residual, filters, added):
    images = keras.Input((8, 8, 16))
    model = keras.Model(images, make_block(images, filters, residual=residual))
    assert any(isinstance(layer, keras.layers.Add) for layer in model.layers) == added


def test_squeeze_and_excitation_by_hand():
    images = keras.Input((4, 4, 6))
    model = randomize(keras.Model(images, squeeze_excite(images, 2, "a")))
    (w1, b1), (w2, b2) = (model.get_layer(f"a_{name}").get_weights() for name in ("squeeze", "excite"))
    x = 3 * np.random.default_rng(1).normal(size=(8, 4, 4, 6)).astype(np.float32)
    squeezed = x.mean((1, 2)) @ w1 + b1
    assert (squeezed < 0).any() and (squeezed > 0).any()
    factors = 1 / (1 + np.exp(-(np.maximum(squeezed, 0) @ w2 + b2)))
    np.testing.assert_allclose(model.predict(x, verbose=0), x * factors[:, None, None], rtol=1e-4, atol=1e-6)


def test_a_prelu_begins_with_the_slope_of_its_authors():
    images = keras.Input((4, 4, 3))
    model = keras.Model(images, blocks.activate(images, "prelu", "a"))
    np.testing.assert_array_equal(model.get_layer("a").get_weights()[0], np.full((1, 1, 3), 0.25))  # He et al. 2015

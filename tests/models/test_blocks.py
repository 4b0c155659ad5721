"""The residual networks' blocks: fused against plain, stochastic depth, scheduled dropout, what is refused."""

import importlib.util

import keras
import numpy as np
import pytest
from keras import ops

from lwcnn.engine.fused import FusedDepthwiseBlock, copy_weights
from lwcnn.models.blocks import ScheduledDropout, StochasticDepth, depthwise_block, squeeze_excite_layers
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import LwcnnError

HAS_NUMBA = importlib.util.find_spec("numba") is not None
FORMULATIONS = [pytest.param("numba", marks=pytest.mark.skipif(not HAS_NUMBA, reason="Numba is an option")), "ops"]
BLOCKS = [
    ((8, 8, 16), {"filters": 16}),
    ((9, 7, 16), {"filters": 24, "se_reduction": None, "activation": "relu", "kernel_size": 3}),
    ((6, 6, 8), {"filters": 8, "residual": False, "expansion": 3, "se_reduction": 4, "kernel_size": 7}),
    ((5, 5, 12), {"filters": 12, "se_reduction": 3}),  # no multiple of 8: without the kernel
]


@pytest.fixture(params=FORMULATIONS)
def chosen(request, monkeypatch):
    monkeypatch.setenv("LWCNN_FUSED", request.param)
    return request.param


def fused_and_plain(shape, arguments):
    """The fused block and the plain one, as models with the same random weights."""
    images = keras.Input(shape)
    fused = keras.Model(images, FusedDepthwiseBlock(name="block", **arguments)(images))
    plain = keras.Model(images, depthwise_block(images, name="block", **arguments))
    rng = np.random.default_rng(0)
    for weight in plain.weights:
        value = rng.normal(0, 0.3, weight.shape)
        weight.assign(np.abs(value) + 0.5 if weight.path.endswith(("variance", "gamma")) else value)
    copy_weights(plain, fused)
    return fused, plain


def draw(shape, count=6, seed=1):
    return np.random.default_rng(seed).normal(size=(count, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape, arguments", BLOCKS)
def test_the_fused_block_is_the_plain_one_in_inference(chosen, shape, arguments):
    fused, plain = fused_and_plain(shape, arguments)
    x = draw(shape)
    expected = plain.predict(x, verbose=0)
    assert expected.shape == (6, *shape[:2], arguments["filters"]) == (6, *fused.output_shape[1:])
    np.testing.assert_allclose(fused.predict(x, verbose=0), expected, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("shape, arguments", BLOCKS)
def test_a_training_step_moves_all_weights_alike(chosen, shape, arguments):
    """Gradients of the first block's weights go through the second, so the input's gradient counts too."""
    moved = []
    start = None
    for fused in (True, False):
        x = images = keras.Input(shape)
        for name in ("first", "second"):
            chosen_arguments = arguments | {"filters": shape[-1]}
            if fused:
                x = FusedDepthwiseBlock(name=name, **chosen_arguments)(x)
            else:
                x = depthwise_block(x, name=name, **chosen_arguments)
        logits = keras.layers.Dense(3, name="logits")(keras.layers.GlobalAveragePooling2D()(x))
        model = keras.Model(images, logits)
        if start is None:
            rng = np.random.default_rng(3)
            start = {name_of(w): rng.normal(0, 0.3, w.shape) + ("gamma" in w.path) for w in model.weights}
        for weight in model.weights:
            weight.assign(np.abs(start[name_of(weight)]) if "variance" in weight.path else start[name_of(weight)])
        before = {name_of(w): ops.convert_to_numpy(w).copy() for w in model.weights}
        model.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model.train_on_batch(draw(shape, 8), np.arange(8) % 3)
        moved.append({name_of(w): ops.convert_to_numpy(w) - before[name_of(w)] for w in model.weights})
    actual, expected = moved
    assert set(actual) == set(expected) and len(expected) > 15
    scale = max(np.abs(change).max() for change in expected.values())
    for path, change in expected.items():
        assert np.abs(change).max() > 0, path
        tolerance = 2e-5 * np.abs(change).max() + 1e-7 * scale
        np.testing.assert_allclose(actual[path], change, atol=tolerance, err_msg=path)


def name_of(weight):
    return "/".join(weight.path.split("/")[-2:])


def test_a_fused_model_survives_saving(chosen, tmp_path):
    fused, _ = fused_and_plain((8, 8, 16), {"filters": 16, "drop_rate": 0.2})
    fused.save(tmp_path / "fused.keras")
    loaded = keras.saving.load_model(tmp_path / "fused.keras")
    x = draw((8, 8, 16))
    np.testing.assert_array_equal(loaded.predict(x, verbose=0), fused.predict(x, verbose=0))


def test_stochastic_depth_skips_whole_images_and_keeps_the_mean(chosen):
    shape = (4, 4, 8)
    images = keras.Input(shape)
    block = FusedDepthwiseBlock(8, drop_rate=0.25, se_reduction=2, name="block")
    model = keras.Model(images, block(images))
    x = draw(shape, 400)
    difference = ops.convert_to_numpy(model(x, training=True)) - x
    skipped = np.abs(difference).max(axis=(1, 2, 3)) == 0
    assert 60 < skipped.sum() < 140  # 100 expected, standard deviation 9
    full = ops.convert_to_numpy(model(x, training=True))  # other draws
    assert (np.abs(full - x).max(axis=(1, 2, 3)) == 0).tolist() != skipped.tolist()
    layer = StochasticDepth(0.25, seed=1)
    values = ops.convert_to_numpy(layer(np.ones((4000, 2), np.float32), training=True))
    assert set(np.unique(values)) == {0.0, np.float32(1 / 0.75)} and abs(values.mean() - 1) < 0.05
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(x)), x)


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


def test_the_rate_of_scheduled_dropout_acts_after_compilation():
    images = keras.Input((500,))
    dropout = ScheduledDropout(0.4, seed=0)
    model = keras.Model(images, dropout(images))
    model.compile(keras.optimizers.SGD(0.0), "mean_squared_error")
    x, y = np.ones((64, 500), np.float32), np.zeros((64, 500), np.float32)
    for rate in (0.4, 0.2, 0.0):
        dropout.set_rate(rate)
        loss = float(model.train_on_batch(x, y))  # mean of (0 or 1 / (1 - rate))^2 = 1 / (1 - rate)
        assert abs(loss - 1 / (1 - rate)) < 0.03
    np.testing.assert_array_equal(model.predict(x, verbose=0), x)
    with pytest.raises(LwcnnError, match="rate must be from 0 up to 1. Received: rate=1"):
        dropout.set_rate(1)


@pytest.mark.parametrize("layer", [StochasticDepth, ScheduledDropout])
def test_rates_out_of_range_are_refused(layer):
    with pytest.raises(LwcnnError, match="Received: rate=-0.1"):
        layer(-0.1)


def test_a_reduction_above_the_channels_is_refused():
    with pytest.raises(LwcnnError, match="reduce 8 channels by 1 to 8. Received: se_reduction=9"):
        squeeze_excite_layers(8, 9, "block")


def test_weights_that_differ_are_not_copied():
    fused, plain = fused_and_plain((8, 8, 16), {"filters": 16})
    _, wider = fused_and_plain((8, 8, 16), {"filters": 24})
    with pytest.raises(LwcnnError, match="block_project/kernel"):
        copy_weights(fused, wider)


def test_macs_of_a_block_by_hand():
    images = keras.Input((8, 8, 16))
    model = keras.Model(images, depthwise_block(images, 16, 2, 5, se_reduction=4, name="block"))
    # depthwise 8*8*16*25, expand and project 8*8*16*32 each, squeeze and excite 16*4 each
    assert count_macs(model) == 8 * 8 * 16 * 25 + 2 * 8 * 8 * 16 * 32 + 2 * 16 * 4

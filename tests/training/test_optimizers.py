"""Optimizers besides Keras's: Lookahead by hand, AdamW's rate beside Muon's, and that Keras trains with them."""

import keras
import numpy as np
import pytest
from made_data import TINY_NETWORK, make_images

from lwcnn.data.images import Images, Split
from lwcnn.engine import unsupported
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase


def apply(optimizer, variable, gradients):
    values = []
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(np.float32([gradient]))], [variable])
        values.append(keras.ops.convert_to_numpy(variable).item())
    return values


def test_lookahead_by_hand():
    variable = keras.Variable(np.float32([1]))
    optimizer = OptimizerConfig("sgd", 0.1, lookahead=2).build(10)
    # SGD goes to 0.9 and 0.8, and halfway back to the start of 1; from there to 0.7 and 0.5, and halfway back to 0.9.
    assert apply(optimizer, variable, [1, 1, 2, 2]) == pytest.approx([0.9, 0.9, 0.7, 0.7])


def test_the_rate_drops_to_a_tenth_after_each_share_of_the_steps():
    variable = keras.Variable(np.float32([0]))
    optimizer = OptimizerConfig("sgd", 1.0, drops=(0.5, 0.75)).build(4)
    assert apply(optimizer, variable, [1, 1, 1, 1]) == pytest.approx([-1, -2, -2.1, -2.11])


def test_schedule_free_adamw_is_that_of_its_authors():
    variable, gradients = keras.Variable(np.float32([1])), [1.0, -0.5, 2.0, 0.3]
    found = apply(OptimizerConfig("schedule_free", 0.1).build(10), variable, gradients)
    x, z, velocity, wanted = 1.0, 1.0, 0.0, []
    for step, gradient in enumerate(gradients, start=1):
        velocity = 0.999 * velocity + 0.001 * gradient**2
        z -= 0.1 * gradient / np.sqrt(velocity / (1 - 0.999**step))
        x += (z - x) / step
        wanted.append(0.1 * z + 0.9 * x)
    assert found == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("settings", [{"nesterov": True}, {"momentum": 0.0}])
def test_one_cycle_has_its_own_momentum(settings):
    with pytest.raises(LwcnnError, match="Leave out nesterov and a momentum of 0"):
        OptimizerConfig("one_cycle", 0.1, **settings)


@pytest.mark.parametrize("warmup", [None, 0.5])
def test_one_cycle_at_a_rate_of_zero_keeps_the_weights(warmup):
    optimizer = OptimizerConfig("one_cycle", 0.0, warmup=warmup).build(4)
    assert apply(optimizer, keras.Variable(np.float32([3])), [1, 1]) == [3, 3]


def test_the_momentum_of_one_cycle_falls_as_the_rate_rises():
    variable = keras.Variable(np.float32([0]))
    optimizer = OptimizerConfig("one_cycle", 0.1, warmup=0.5).build(4)
    # Rates 0, 0.05, 0.1 and 0.05 with momenta 0.95, 0.9, 0.85 and 0.9.
    assert apply(optimizer, variable, [1, 1, 0, 0]) == pytest.approx([0, -0.05, -0.0925, -0.13075], abs=1e-5)


def test_adamw_s_rate_is_a_share_of_muon_s():
    bias, kernel = keras.Variable(np.ones(3, np.float32)), keras.Variable(np.eye(3, dtype=np.float32)[None, None])
    moves = {}
    for ratio in (None, 0.25):
        for variable in (bias, kernel):
            before = keras.ops.convert_to_numpy(variable).copy()
            optimizer = OptimizerConfig("muon", 0.1, weight_decay=0.0, adam_ratio=ratio).build(10)
            optimizer.apply([keras.ops.convert_to_tensor(np.ones_like(before))], [variable])
            moves[ratio, variable is bias] = keras.ops.convert_to_numpy(variable) - before
    np.testing.assert_allclose(moves[0.25, True], 0.25 * moves[None, True], rtol=1e-4)
    np.testing.assert_allclose(moves[0.25, False], moves[None, False], rtol=1e-4)
    with pytest.raises(LwcnnError, match="adamw cannot be built"):
        OptimizerConfig("adamw", adam_ratio=0.5).build(10)


@pytest.mark.parametrize(
    "config", [OptimizerConfig("one_cycle"), OptimizerConfig("schedule_free"), OptimizerConfig("muon", lookahead=5)]
)
def test_keras_trains_with_what_the_engine_does_not_know(config):
    model = build_residual_se((8, 8, 3), 3, TINY_NETWORK)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(config.build(10), loss, run_eagerly=True)
    assert "is not supported" in unsupported(model)
    before = model.get_layer("head_logits").get_weights()[0]
    loss = model.train_on_batch(*make_images(8, (8, 8, 3), 3))
    assert np.isfinite(loss) and not np.array_equal(model.get_layer("head_logits").get_weights()[0], before)


def test_muon_scales_kernels_to_a_fixed_norm_before_their_update():
    kernel = keras.Variable(np.random.default_rng(0).normal(size=(1, 1, 3, 16)).astype(np.float32))
    OptimizerConfig("muon", 0.0, weight_decay=0.0, fixed_norm=True).build(10).apply(
        [keras.ops.convert_to_tensor(np.ones((1, 1, 3, 16), np.float32))], [kernel]
    )
    assert np.linalg.norm(keras.ops.convert_to_numpy(kernel)) == pytest.approx(4)


@pytest.mark.parametrize(
    "config, step", [(OptimizerConfig("sgd"), "engine"), (OptimizerConfig("schedule_free"), "keras")]
)
def test_a_phase_records_what_trained_it(config, step, monkeypatch):
    monkeypatch.setenv("LWCNN_STEP", "engine")
    model = build_residual_se((8, 8, 3), 3, TINY_NETWORK)
    images, labels = make_images(12, (8, 8, 3), 3)
    part = Images(images, labels)
    assert train_phase(model, Phase("all", config, 1, batch_size=6), Split(part, part), 0).computing[0]["step"] == step

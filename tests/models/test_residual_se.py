"""The residual squeeze-and-excitation network: counts, saving, training phases, invalid arguments, experiments."""

import json
from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import TINY_NETWORK, InterruptedAt, Interruption, make_images

from lwcnn.data.augment import MixUpCutMix
from lwcnn.data.images import Images, Split
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NetworkExperiment, get_experiment
from lwcnn.experiments.run import run_experiment
from lwcnn.models.blocks import LEAKY_SLOPE
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.dual import build_submodel
from lwcnn.models.io import load_model
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.training.checkpoint import Checkpoint
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

TINY = ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3), Stage(16, 2, 5)), se_reduction=4, head=16, drop_rate=0.2)


def test_counts_by_hand():
    model = build_residual_se(
        (16, 16, 3), 10, ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3), Stage(16, 1)), se_reduction=4)
    )
    stem = 3 * 9 * 8 + 8 + 4 * 8
    first = 9 * 8 + 4 * 8 + (8 * 16 + 16) + (16 * 8 + 8) + (8 * 2 + 2) + (2 * 8 + 8)
    widen = 8 * 16 + 4 * 16
    second = 25 * 16 + 4 * 16 + (16 * 32 + 32) + (32 * 16 + 16) + (16 * 4 + 4) + (4 * 16 + 16)
    head = 4 * 16 + 16 * 10 + 10
    assert model.count_params() == stem + first + widen + second + head


@pytest.mark.parametrize("name, limit", [("residual_se", 30_000), ("residual_se_small", 20_000)])
def test_the_networks_stay_under_their_limits(name, limit):
    network = get_experiment(name).network
    assert 0.9 * limit < build_residual_se((32, 32, 3), 10, network).count_params() < limit


@pytest.mark.parametrize("shape, num_classes", [((8, 8, 1), 2), ((17, 12, 3), 7), ((28, 28, 1), 10)])
def test_any_shape_and_class_count(shape, num_classes, tmp_path):
    model = build_residual_se(shape, num_classes, TINY)
    images = make_images(5, shape)[0]
    logits = model.predict(images, verbose=0)
    assert logits.shape == (5, num_classes)
    model.save(tmp_path / "model.keras")
    again = load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(again.predict(images, verbose=0), logits, atol=1e-5)


@pytest.mark.parametrize(
    "network, said",
    [
        (ResidualSEConfig(stages=(Stage(8, 1),) * 4, se_reduction=2), "at least 32 for its number of stages"),
        (ResidualSEConfig(activation="sine"), "Unknown activation"),
        (ResidualSEConfig(attention="ecca"), "Unknown attention. Did you mean 'eca'"),
        (ResidualSEConfig(pooling="hybird"), "Unknown pooling. Did you mean 'hybrid'"),
        (ResidualSEConfig(branch_kernels=(7,)), r"at most the stage's kernel_size, 5. Received: \(7,\)"),
        (ResidualSEConfig(stages=(Stage(8, 0),)), "blocks of at least 1"),
        (ResidualSEConfig(stages=(Stage(8, 1, 4),)), "odd kernel_size"),
        (ResidualSEConfig(stages=(Stage(8, 1),)), "reduce 8 channels by 1 to 8. Received: se_reduction=16"),
    ],
)
def test_what_cannot_work_is_refused(network, said):
    with pytest.raises(LwcnnError, match=said):
        build_residual_se((16, 16, 3), 10, network)


def test_the_network_s_rates_activation_and_scaling_are_those_described():
    model = build_residual_se((16, 16, 3), 10, replace(TINY, drop_rate=0.3, dropout=0.1, activation="gelu"))
    depths = [layer.rate for layer in model.layers if layer.name.endswith("_drop")]
    assert depths == pytest.approx([0.1, 0.2, 0.3]) and model.get_layer("head_dropout").rate == 0.1
    used = [layer.activation for layer in model.layers if isinstance(layer, keras.layers.Activation)]
    assert len(used) == 4 and set(used) == {keras.activations.gelu}, "of each block and of the head"
    leaky = build_residual_se((16, 16, 3), 10, replace(TINY, activation="leaky_relu"))
    slopes = [layer.negative_slope for layer in leaky.layers if isinstance(layer, keras.layers.LeakyReLU)]
    assert slopes == [LEAKY_SLOPE] * 4
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    assert {norm.momentum for norm in norms} == {0.9}
    scaled = model.get_layer("rescaling")(np.array([0, 127.5, 255], np.float32))
    np.testing.assert_allclose(scaled, [-2, 0, 2], atol=1e-6)
    without = build_residual_se((16, 16, 3), 10, TINY).get_layer("head_dropout")
    assert without.rate == 0 and without.seed_generator is not None  # a phase's schedule can raise it
    with pytest.raises(ValueError, match="between 0 and 1"):
        build_residual_se((16, 16, 3), 10, replace(TINY, dropout=2.0))


def images(count, seed):
    return Images(*make_images(count, (16, 16, 3), seed=seed))


def phase(**changes):
    settings = {"optimizer": OptimizerConfig("adamw", 0.01, weight_decay=0.01), "epochs": 2, "batch_size": 50} | changes
    return Phase("all", **settings)


def test_mixing_and_scheduled_dropout_train_and_resume_to_the_same_weights(tmp_path):
    plan = phase(epochs=3, mixing=MixUpCutMix(), dropout=(0.4, 0.2), label_smoothing=0.1)

    def train(progress, path):
        keras.utils.set_random_seed(1)
        model = build_residual_se((16, 16, 3), 10, TINY)
        parts, checkpoint = Split(images(200, 0), images(100, 1)), Checkpoint(path)
        state = train_phase(model, plan, parts, 5, checkpoint=checkpoint, progress=progress)
        return model, state

    whole, state = train(None, tmp_path / "whole.npz")
    assert whole.get_layer("head_dropout").rate == 0
    assert state.history[-1]["loss"] < state.history[0]["loss"]
    with pytest.raises(Interruption):
        train(InterruptedAt(2), tmp_path / "broken.npz")
    resumed, _ = train(None, tmp_path / "broken.npz")
    for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_schedule_of_dropout_needs_a_dropout_layer():
    model = build_submodel((16, 16, 3), 10)
    with pytest.raises(LwcnnError, match=r"Leave out dropout in phase 'all'.*Received: \(0.4, 0.2\) for original"):
        train_phase(model, phase(dropout=(0.4, 0.2)), Split(images(100, 0), images(50, 1)), 0)


def test_weight_decay_leaves_alone_what_is_named():
    model = build_residual_se((16, 16, 3), 10, TINY)
    optimizer = OptimizerConfig("adamw", 0.0, weight_decay=0.5, no_weight_decay=("bias", "gamma", "beta")).build(10)
    decayed = [v for v in model.trainable_variables if optimizer._use_weight_decay(v)]
    assert {v.path.split("/")[-1] for v in decayed} == {"kernel"}
    everything = OptimizerConfig("adamw", 0.0, weight_decay=0.5).build(10)
    assert all(everything._use_weight_decay(v) for v in model.trainable_variables)


def test_an_experiment_trains_evaluates_and_is_found_again(made_npz, folders, tmp_path):
    names = [name for name in EXPERIMENT_NAMES if isinstance(get_experiment(name), NetworkExperiment)]
    assert "residual_se" in names
    result = run_experiment("residual_se_small", made_npz, "smoke", 0, folders)
    assert result["params"] == result["trainable_params"] + _moving(get_experiment("residual_se_small").network)
    assert result == json.loads(folders.result(result["dataset"], "residual_se_small", "smoke", 0).read_text())
    assert run_experiment("residual_se_small", made_npz, "smoke", 0, folders) == result
    model = keras.saving.load_model(folders.model(result))
    assert model.count_params() == result["params"]


def _moving(network):
    """Number of moving means and variances: stem, width changes, blocks and head."""
    widths = [network.stem, network.stages[-1].filters]
    before = network.stem
    for stage in network.stages:
        widths += [stage.filters] * stage.blocks + ([stage.filters] if stage.filters != before else [])
        before = stage.filters
    return 2 * sum(widths)


@pytest.mark.parametrize("preset", ["smoke", "quick", "full"])
@pytest.mark.parametrize("dataset", ["cifar10", "mnist"])
def test_the_control_of_muon_differs_in_the_optimizer_alone(dataset, preset):
    muon = get_experiment("residual_se_muon", preset, dataset)
    control = get_experiment("residual_se_stem_adamw", preset, dataset)
    (phase,), (control_phase,) = muon.phases, control.phases
    assert (phase.optimizer.name, control_phase.optimizer.name) == ("muon", "adamw")
    as_muon = replace(control_phase, optimizer=replace(control_phase.optimizer, name="muon"))
    assert replace(control, name=muon.name, question=muon.question, phases=(as_muon,)) == muon


def test_training_adds_noise_of_the_given_deviation_to_the_features_and_inference_none():
    model = build_residual_se((8, 8, 3), 4, replace(TINY_NETWORK, feature_noise=0.1))
    noise = model.get_layer("features_noise")
    features = keras.Model(model.input, [noise.input, noise.output])
    images = np.stack([make_images(1, (8, 8, 3))[0][0]] * 500)
    before, after = (keras.ops.convert_to_numpy(x) for x in features(images, training=True))
    assert np.std(after - before) == pytest.approx(0.1, rel=0.1)
    np.testing.assert_array_equal(*(keras.ops.convert_to_numpy(x) for x in features(images, training=False)))

"""The techniques of benchmarks/flat_minima.py: SAM and SWA on cases with known answers."""

import runpy
from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import ROOT, make_images

from lwcnn.data.images import Images, Split
from lwcnn.engine.epoch import Epoch
from lwcnn.experiments import run
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.system.settings import plain_settings


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return runpy.run_path(str(ROOT / "benchmarks/flat_minima.py"))


def compiled(*layers) -> keras.Model:
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((2, 2, 1)), *layers, keras.layers.Flatten(), keras.layers.Dense(3)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, metrics=["accuracy"])
    return model


@pytest.fixture
def batch():
    draws = np.random.default_rng(0)
    return draws.normal(size=(8, 2, 2, 1)).astype(np.float32), np.arange(8) % 3


def test_sam_descends_along_the_gradient_at_the_perturbed_weights(bench, batch):
    model, (images, labels) = compiled(), batch
    flat, shares = images.reshape(8, 4).astype(float), np.eye(3)[labels]

    def gradients(kernel, bias):
        exponentials = np.exp(flat @ kernel + bias)
        errors = (exponentials / exponentials.sum(axis=1, keepdims=True) - shares) / 8
        return flat.T @ errors, errors.sum(axis=0)

    kernel, bias = model.get_weights()
    first = gradients(kernel, bias)
    scale = 0.5 / np.sqrt(sum(np.square(one).sum() for one in first))
    of_kernel, of_bias = gradients(kernel + scale * first[0], bias + scale * first[1])
    with bench["SharpnessAware"](model, None, radius=0.5) as epoch:
        logs = epoch.step(images, labels)
    np.testing.assert_allclose(model.get_weights()[0], kernel - of_kernel, atol=1e-6)
    np.testing.assert_allclose(model.get_weights()[1], bias - of_bias, atol=1e-6)
    assert np.abs(of_kernel - first[0]).max() > 0.001, "the plain gradient is another one"
    logits = flat @ kernel + bias
    losses = np.log(np.exp(logits).sum(axis=1)) - logits[np.arange(8), labels]
    assert logs["loss"] == pytest.approx(losses.mean(), rel=1e-5), "the loss before the perturbation"


def test_sam_keeps_the_batch_statistics_of_the_first_gradient(bench, batch):
    plain, sharp = (compiled(keras.layers.Conv2D(2, 1), keras.layers.BatchNormalization()) for _ in range(2))
    with Epoch(plain) as epoch:
        epoch.step(*batch)
    with bench["SharpnessAware"](sharp, None, radius=0.5) as epoch:
        epoch.step(*batch)
    for kind in ("moving_mean", "moving_variance"):
        np.testing.assert_array_equal(getattr(sharp.layers[1], kind), getattr(plain.layers[1], kind))
    assert not np.array_equal(sharp.layers[0].get_weights()[0], plain.layers[0].get_weights()[0])


def test_swa_is_the_mean_of_the_last_weights(bench):
    weight = keras.Variable(np.zeros(1, np.float32))
    average = bench["EqualAverage"]([weight], 0.999, None, first=6)
    for value in range(10):
        weight.assign([value])
        average.update()
        assert average.values[0] == (value if value < 6 else np.mean(np.arange(6, value + 1)))


def test_the_last_quarter_has_a_quarter_of_the_peak_learning_rate(bench):
    plan = bench["changed"]("swa", "quick")
    config = plan.phases[0].optimizer
    optimizer = config.build(400)
    rates = np.array([float(optimizer._learning_rate(step)) for step in range(400)])
    assert rates.max() == pytest.approx(config.learning_rate)
    first = config.first_averaged(400)
    assert first == 300
    np.testing.assert_allclose(rates[first:], config.learning_rate / 4, rtol=1e-6)
    assert (np.diff(rates[rates.argmax() : first]) < 0).all()


def test_statistics_are_means_over_the_batches(bench):
    model = keras.Sequential([keras.Input((2,)), keras.layers.BatchNormalization()])
    batches = [(np.array([[a, 0.0], [b, 1.0]]), None) for a, b in ((0, 2), (4, 10), (1, 1))]
    bench["update_statistics"](model, batches)
    norm = model.layers[0]
    np.testing.assert_allclose(norm.moving_mean, [np.mean([1, 7, 1]), 0.5], rtol=1e-6)
    np.testing.assert_allclose(norm.moving_variance, [np.mean([1, 9, 0]), 0.25], rtol=1e-6)
    assert norm.momentum == 0.99, "as before"


@pytest.mark.parametrize(("key", "setting"), [("sam", {"radius": 0.05}), ("swa", {"end": 0.25})])
def test_a_run_trains_with_the_technique(bench, key, setting):
    plan, (images, labels) = bench["changed"](key, "smoke"), make_images(64, (32, 32, 3))
    split = Split(Images(images, labels), Images(images[:20], labels[:20]))
    recipe = get_experiment("wren", "smoke", "cifar10")
    config = plain_settings(plan.phases[0].optimizer)
    assert config == plain_settings(recipe.phases[0].optimizer) | setting

    def weights(one):
        model = run.train_experiment(one, PhaseSequence(split, 10, 0), None)
        return [variable.numpy() for variable in model.trainable_variables]

    plan = replace(plan, phases=(replace(plan.phases[0], epochs=4, batch_size=16),))  # 16 steps
    without = weights(replace(recipe, phases=plan.phases))
    with bench["TECHNIQUES"][key][0](plan.phases[0].optimizer):
        found = weights(plan)
    assert all(np.isfinite(one).all() for one in found)
    assert any(not np.array_equal(one, other) for one, other in zip(found, without, strict=True))

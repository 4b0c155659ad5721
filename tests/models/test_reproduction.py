"""The CIFAR-10 reproduction and its extension: counts, merge, trainable layers by phase, whole runs."""

import json

import keras
import numpy as np
import pytest
from made_data import make_images, randomize, write_npz
from scipy.special import log_softmax

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.data.images import Images, Split
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.run import run_experiment
from lwcnn.models.baselines.reproduction import (
    build_repo_merged,
    build_repo_residual_se,
    build_repo_submodel,
    merge_repo_submodels,
)
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import LwcnnError
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase, trainable_layer_names

BRANCHES = ("original", "augmented")


def trainable(model):
    return sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)


def test_counts_of_the_baseline():
    submodel = build_repo_submodel((32, 32, 3), 10)
    assert submodel.count_params() == trainable(submodel) == 167_358
    merged = build_repo_merged((32, 32, 3), 10, BRANCHES)
    assert merged.count_params() == 334_706
    convolutions = [layer for layer in merged.layers if "_conv" in layer.name and layer.weights]
    assert sum(layer.count_params() for layer in convolutions) == 4_200
    assert merged.get_layer("features").output.shape == (None, 256)
    assert count_macs(submodel) == 1024 * 27 * 10 + 256 * 90 * 20 + 1280 * 128 + 1280


def test_counts_of_the_extension():
    model = build_repo_residual_se((32, 32, 3), 10)
    assert (model.count_params(), trainable(model)) == (83_920, 83_344)
    assert [model.get_layer(f"block{i}_add").output.shape[1:] for i in (1, 2)] == [(16, 16, 32), (8, 8, 64)]


def test_merging_keeps_the_submodels_features():
    submodels = [randomize(build_repo_submodel((12, 12, 3), 10, name), seed) for seed, name in enumerate(BRANCHES)]
    before = [submodel.get_weights() for submodel in submodels]
    merged = merge_repo_submodels(submodels)
    x = make_images(4, (12, 12, 3))[0]
    joined = keras.Model(merged.inputs, merged.get_layer("features").output).predict(x, verbose=0)
    apart = [keras.Model(m.inputs, m.get_layer(f"{m.name}_dropout").output).predict(x, verbose=0) for m in submodels]
    np.testing.assert_allclose(joined, np.concatenate(apart, axis=1), rtol=1e-5)
    for submodel, weights in zip(submodels, before, strict=True):
        for a, b in zip(submodel.get_weights(), weights, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "build, said",
    [
        (lambda: build_repo_submodel((7, 8, 3), 10), "at least 8"),
        (lambda: build_repo_submodel((8, 8, 3), 1), "at least 2. Received: 1"),
    ],
)
def test_what_cannot_work_is_refused(build, said):
    with pytest.raises(LwcnnError, match=said):
        build()


# The experiments


def test_the_baselines_recipe():
    plan = get_experiment("repo_baseline", "full", "cifar10")
    (_, original), (_, augmented) = plan.branches
    assert original.augmentation is None
    assert augmented.augmentation == Augmentation(rotation=15 / 360, translation=0.1, horizontal_flip=True)
    for phase in (original, augmented):
        assert (phase.optimizer, phase.epochs, phase.batch_size) == (OptimizerConfig("adam", 0.001), 30, 128)
        assert (phase.patience, phase.monitor) == (5, "val_loss")
    assert [phase.epochs for phase in plan.phases] == [5, 5, 5, 10]
    assert {phase.optimizer for phase in plan.phases} == {OptimizerConfig("sgd", 0.001, momentum=0.9)}


def test_what_trains_in_each_unfreezing_step():
    merged = build_repo_merged((32, 32, 3), 10, BRANCHES)
    convolutions = {"original_conv1": 280, "augmented_conv1": 280, "original_conv2": 1_820, "augmented_conv2": 1_820}
    for name, most in (("repo_baseline", 4), ("repo_baseline_frozen", 0)):
        for i, phase in enumerate(get_experiment(name, "full").phases, start=1):
            names = trainable_layer_names(merged, phase)
            unfrozen = list(convolutions)[4 - min(i, most) :]
            assert set(names) == {"original_dense", "augmented_dense", "head_logits", *unfrozen}
            params = sum(merged.get_layer(layer).count_params() for layer in names)
            assert params == 330_506 + sum(convolutions[layer] for layer in unfrozen)


def test_the_extensions_recipe():
    plan = get_experiment("repo_residual_se", "full", "cifar10")
    (phase,) = plan.phases
    assert phase.optimizer == OptimizerConfig("adamw", 0.001, weight_decay=1e-4, warmup=0.1)
    assert (phase.epochs, phase.batch_size, phase.label_smoothing, phase.dropout) == (30, 128, 0.1, (0.4, 0.2))
    assert phase.mixing == MixUpCutMix(0.2, 1.0)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_npz(tmp_path_factory.mktemp("data") / "made.npz", num_train=500, num_test=50)


def test_a_baseline_run(data, folders):
    name = "repo_baseline"
    result = run_experiment(name, data, "smoke", 0, folders)
    phases = result["history"]
    steps = [f"unfreezing_{i}" for i in (1, 2, 3, 4)]
    assert [phase["name"] for phase in phases] == ["original", "augmented", *steps]
    for phase in phases[:2]:
        history = phase["history"]
        assert history[-1]["loss"] < history[0]["loss"]
        best = min(history, key=lambda record: record["val_loss"])
        assert phase["best_val_accuracy"] == best["val_accuracy"]
        assert phase["best_epoch"] == history.index(best) + 1
    assert phases[-1]["trainable_params"] - phases[-2]["trainable_params"] == 280  # original_conv1
    model = keras.saving.load_model(folders.model(result))
    assert model.count_params() == result["params"] == 2 * (280 + 1_820 + 180 * 128 + 128) + 2_570
    assert run_experiment(name, data, "smoke", 0, folders) == json.loads(json.dumps(result))


def test_an_extension_run(data, folders):
    result = run_experiment("repo_residual_se", data, "smoke", 0, folders)
    first, last = result["history"][0]["history"]
    assert last["loss"] < first["loss"]
    model = keras.saving.load_model(folders.model(result))
    assert type(model.get_layer("head_dropout")) is keras.layers.Dropout
    assert model.count_params() == result["params"] == 83_920  # whatever the size of the images


def test_only_the_papers_model_is_assessed_leaky(data, folders):
    with pytest.raises(LwcnnError, match="Received: 'repo_baseline'"):
        run_kfold("repo_baseline", data, "smoke", leaky=True, folders=folders)


# Stopping by the validation loss


def test_the_epoch_of_least_validation_loss_is_kept():
    keras.utils.set_random_seed(0)
    model = build_repo_submodel((12, 12, 3), 10)
    validation = Images(*make_images(60, (12, 12, 3), seed=1))
    # A rate this high makes the loss go up and down.
    phase = Phase("all", OptimizerConfig("adam", 0.02), 12, patience=2, batch_size=50, monitor="val_loss")
    state = train_phase(model, phase, Split(Images(*make_images(200, (12, 12, 3))), validation), seed=0)
    losses = [record["val_loss"] for record in state.history]
    assert state.best_epoch[-1] == int(np.argmin(losses)) + 1
    assert len(losses) in (12, state.best_epoch[-1] + 2)
    logits = model.predict(validation.images, verbose=0).astype(np.float64)
    expected = -log_softmax(logits, axis=1)[np.arange(60), validation.labels].mean()
    assert min(losses) == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_the_reproduction_drops_three_tenths_as_its_notebook():
    models = build_repo_submodel((32, 32, 3), 10), build_repo_merged((32, 32, 3), 10, ("a", "b"))
    rates = [layer.rate for model in models for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.3] * 3

"""The cache key, seed and measurements of every phase of a run. Nothing is trained."""

import random
from dataclasses import replace

import numpy as np
import pytest
from made_data import TINY_NETWORK, make_images, randomize
from scipy.special import softmax

from lwcnn.data.images import Images, Split
from lwcnn.data.known import ImageSpec
from lwcnn.experiments import pipeline, sequence
from lwcnn.experiments.finetune import fine_tuning
from lwcnn.experiments.recipes import get_experiment
from lwcnn.models.residual_se import build_residual_se
from lwcnn.training import loop
from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.devices import Computing
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

SHAPE, NUM_CLASSES = (12, 12, 3), 4
PARTS = np.arange(24), np.arange(24, 32)
IMAGES = make_images(4, SHAPE, NUM_CLASSES)[0]


@pytest.fixture
def models():
    """The models that `keys` gave."""
    return []


@pytest.fixture
def keys(monkeypatch, tmp_path, models):
    """Returns a function that gives the keys of a method's phases, one change apart from the others."""
    images, labels = make_images(32, SHAPE, NUM_CLASSES)
    made = []

    def train_phase(model, phase, split, seed, *, checkpoint, **named):
        made.append(checkpoint.path.stem.rpartition("-")[2])
        return PhaseState(1, True, 0, [0.5], [1], [{"val_accuracy": 0.5}])

    def keys(plan, parts=PARTS, num_classes=NUM_CLASSES, seed=0, data_key="data", computing=Computing(), teacher=None):
        made.clear()
        split = Split(*(Images(images, labels, part) for part in parts))
        training = sequence.PhaseSequence(split, num_classes, seed, tmp_path, data_key, computing=computing)
        models.append(pipeline.train_experiment(plan, training, teacher))
        return list(made)

    monkeypatch.setattr(sequence, "train_phase", train_phase)
    return keys


@pytest.mark.parametrize(
    "change",
    [
        {"parts": (np.arange(23), PARTS[1])},
        {"parts": (PARTS[0], np.arange(25, 32))},
        {"num_classes": 5},
        {"seed": 1},
        {"data_key": "other"},
        {"computing": Computing("mixed_bfloat16")},
    ],
    ids=["training", "validation", "classes", "seed", "data", "precision"],
)
def test_every_phase_has_another_key_where_what_determines_it_differs(keys, change):
    plan = get_experiment("paper", "smoke")
    before = keys(plan)
    assert len(set(before)) == 3 and keys(plan) == before
    assert set(keys(plan, **change)).isdisjoint(before)


def test_the_names_of_checkpoints_are_these(keys):
    """A setting that is added later must not change them, so that interrupted runs are found."""
    assert keys(get_experiment("paper", "smoke")) == ["501b48dc46fd6738", "2f5c5a986d6269ac", "f9504a7bfad7f29c"]
    single = keys(get_experiment("single", "smoke"))
    assert single == ["fe38f135fc06bd54", "08e702046c33facc", "c3c00cbd24b02a70"]
    assert set(keys(get_experiment("single_wide", "smoke"))).isdisjoint(single)


def test_a_network_and_each_of_its_teachers_settings_have_keys_of_their_own(keys):
    plan = get_experiment("residual_se_small_distilled", "smoke")
    plan = replace(plan, network=TINY_NETWORK)
    teacher, other = (randomize(build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK), seed) for seed in (0, 1))
    found = keys(plan, teacher=teacher)
    assert keys(plan, teacher=teacher) == found
    found += keys(plan, teacher=other)
    for name, value in (("temperature", 3), ("label_weight", 0.2), ("cached_epochs", 2)):
        found += keys(replace(plan, distillation=replace(plan.distillation, **{name: value})), teacher=teacher)
    found += keys(replace(plan, network=replace(TINY_NETWORK, activation="relu")), teacher=teacher)
    teacher.get_layer("stem_norm").moving_mean.assign(np.ones(8))
    found += keys(plan, teacher=teacher)
    assert len(set(found)) == len(found) == 7


def test_a_fine_tuning_has_the_same_keys_however_the_path_of_its_start_is_spelled(keys, tmp_path, monkeypatch):
    build_residual_se(SHAPE, 7, TINY_NETWORK).save(tmp_path / "start.keras")
    monkeypatch.chdir(tmp_path)
    paths = "start.keras", tmp_path / "start.keras"
    short, whole = (keys(fine_tuning(path, ImageSpec(SHAPE, False), "smoke")) for path in paths)
    assert short == whole


def test_a_trained_network_has_its_branches_merged(keys, models):
    plan = replace(get_experiment("residual_se_muon", "smoke"), network=replace(TINY_NETWORK, branch_kernels=(1, 3)))
    keys(plan)
    assert models[0].count_params() == build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK).count_params()


def test_a_phase_on_smaller_images_trains_the_same_weights(monkeypatch):
    images, labels = make_images(32, SHAPE, NUM_CLASSES)
    seen = []

    class Trainer:
        def __init__(self, model, phase, split, *others):
            x, y = split.training.arrays()
            gamma = model.get_layer("stem_norm").gamma
            seen.append((model.input_shape[1:3], x.shape[1:3], len(y), float(gamma.numpy().mean())))
            gamma.assign(np.full(8, float(len(seen) + 1)))

        def run(self, checkpoint, settings):
            return PhaseState(1, True, 0, [0.5], [1], [{"val_accuracy": 0.5}])

    monkeypatch.setattr(loop, "_PhaseTrainer", Trainer)
    plan = replace(get_experiment("technique_resizing", "smoke"), network=TINY_NETWORK)
    training = sequence.PhaseSequence(Split(*(Images(images, labels, part) for part in PARTS)), NUM_CLASSES, 0)
    model = pipeline.train_experiment(plan, training)
    assert seen == [((16, 16), (16, 16), 24, 1), ((24, 24), (24, 24), 24, 2), ((12, 12), (12, 12), 24, 3)]
    np.testing.assert_array_equal(model.get_layer("stem_norm").gamma, np.full(8, 4))


@pytest.mark.parametrize(
    "name, shares",
    [("warm_restarts", (0, 1, 0.9045, 0.6545, 0.3455, 0.0955)), ("cyclical", (0, 1 / 3, 2 / 3, 1, 0.75, 0.25))],
)
def test_the_learning_rate_starts_anew_in_each_cycle(name, shares, monkeypatch):
    rates, make_rate = [], OptimizerConfig._rate

    def recorded(config, num_steps):
        rate = make_rate(config, num_steps)
        rates.append([float(rate(step)) for step in range(num_steps)])
        return rate

    monkeypatch.setattr(OptimizerConfig, "_rate", recorded)
    plan = get_experiment(f"technique_{name}", "smoke")
    phases = tuple(replace(phase, epochs=2, batch_size=8) for phase in plan.phases)
    images, labels = make_images(32, SHAPE, NUM_CLASSES)
    training = sequence.PhaseSequence(Split(*(Images(images, labels, part) for part in PARTS)), NUM_CLASSES, 0)
    pipeline.train_experiment(replace(plan, network=TINY_NETWORK, phases=phases), training)
    expected = np.array(shares) * plan.phases[0].optimizer.learning_rate
    np.testing.assert_allclose(rates, [expected] * 3, rtol=1e-3)


def test_snapshots_are_the_network_after_each_phase(keys, models, monkeypatch):
    snapshots = []
    train = sequence.train_phase

    def train_phase(model, *arguments, **named):
        randomize(model, len(snapshots))
        snapshots.append(model.predict(IMAGES, verbose=0))
        return train(model, *arguments, **named)

    monkeypatch.setattr(sequence, "train_phase", train_phase)
    plan = replace(get_experiment("technique_snapshots", "smoke"), network=TINY_NETWORK)
    keys(plan)
    assert len(snapshots) == 3 and not np.allclose(snapshots[0], snapshots[1])
    voted = np.log(np.mean(softmax(snapshots, axis=-1), axis=0))
    np.testing.assert_allclose(models[0].predict(IMAGES, verbose=0), voted, rtol=1e-4, atol=1e-5)


def test_a_network_s_normalization_is_that_of_the_training_part_alone(keys, monkeypatch):
    class Stop(Exception):
        pass

    def channel_statistics(images):
        np.testing.assert_array_equal(images.indices, PARTS[0])
        raise Stop

    monkeypatch.setattr(Images, "channel_statistics", channel_statistics)
    with pytest.raises(Stop):
        keys(get_experiment("narrow_resnet18", "smoke"))


@pytest.mark.parametrize("monitor, accuracy", [("val_accuracy", 0.9), ("val_loss", 0.7)])
def test_the_record_has_the_accuracy_of_the_best_epoch_by_its_monitor(monitor, accuracy):
    history = [{"val_accuracy": value, "val_loss": loss} for value, loss in ((0.6, 2.0), (0.7, 1.0), (0.9, 3.0))]
    best, best_epoch = ([0.9, 0.9], [3, 3]) if monitor == "val_accuracy" else ([-1.0, -1.0], [2, 2])
    phase = Phase("all", OptimizerConfig("sgd"), 3, monitor=monitor)
    state = PhaseState(3, True, 0, best, best_epoch, history)
    record = sequence.phase_record(build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK), phase, state)
    assert record["best_val_accuracy"] == accuracy and record["best_epoch"] == best_epoch[-1]
    assert record["final_val_accuracy"] == 0.9, "without patience, the last epoch is kept"


def test_the_record_has_the_accuracy_of_the_weights_that_are_kept():
    history = [{"val_accuracy": value} for value in (0.6, 0.7, 0.65)]
    best, best_epoch = [0.8, 0.75, 0.7], [1, 3, 2]  # of two branches and of their mean
    model = build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK)
    for per_branch, kept in ((False, 0.7), (True, 0.775)):
        phase = Phase("dual", OptimizerConfig("sgd"), 3, patience=2, best_per_branch=per_branch)
        state = PhaseState(3, True, 0, best, best_epoch, history)
        assert sequence.phase_record(model, phase, state)["final_val_accuracy"] == pytest.approx(kept)


@pytest.mark.parametrize("name", ["paper", "repo_baseline"])
def test_a_merged_model_is_initialized_alike_whatever_the_submodels_drew(name, monkeypatch):
    images, labels = make_images(32, (12, 12, 3), 4)
    split, heads = Split(*(Images(images, labels, part) for part in (np.arange(24), np.arange(24, 32)))), []
    for num_draws in (0, 3):

        def train_phase(model, phase, split, seed, num_draws=num_draws, **named):
            for _ in range(num_draws):
                random.random()  # from which Keras seeds its initializers
            return PhaseState(1, True, 0, [0.5], [1], [{"val_accuracy": 0.5}])

        monkeypatch.setattr(sequence, "train_phase", train_phase)
        model = pipeline.train_experiment(get_experiment(name, "smoke"), sequence.PhaseSequence(split, 4, 0))
        heads.append(model.get_layer("head_logits").get_weights()[0])
    np.testing.assert_array_equal(*heads)

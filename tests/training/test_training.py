"""The training loop: loss, early stopping, best weights, and interruption at any moment to the same bits."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from made_data import ROOT, TINY_NETWORK, InterruptedAt, Interruption, make_dual, make_images, make_split, randomize
from scipy.special import log_softmax, softmax
from sklearn.metrics import log_loss

from lwcnn.data.augment import PAPER_AUGMENTATION, Augmentation
from lwcnn.data.batches import Batches
from lwcnn.data.images import Images, Split
from lwcnn.engine import epoch as engine
from lwcnn.experiments.pipeline import train_experiment, train_submodels
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.graph import flat_layers
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.training import loop, validation
from lwcnn.training.average import MovingAverage, batch_norm_statistics
from lwcnn.training.checkpoint import FORMAT, Checkpoint, PhaseState, random_states, set_values
from lwcnn.training.distillation import Teaching
from lwcnn.training.loop import train_phase
from lwcnn.training.losses import CrossEntropy, balanced_weights, build_loss
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Distillation, Phase
from lwcnn.training.progress import Progress
from lwcnn.training.steps import KerasEpoch

SHAPE, NUM_CLASSES = (10, 10, 3), 4
NADAM = OptimizerConfig("nadam", 0.003)


def make_parts():
    return make_split(64, 32, SHAPE, NUM_CLASSES)


@pytest.fixture(scope="module")
def parts():
    return make_parts()


# Loss


@pytest.mark.parametrize("smoothing", [0.1, 0.5, 1.0])
def test_smoothed_cross_entropy_in_numpy(smoothing):
    generator = np.random.default_rng(0)
    logits, labels = generator.normal(0, 3, (20, 7)), generator.integers(0, 7, 20)
    targets = (1 - smoothing) * np.eye(7)[labels] + smoothing / 7
    expected = -(targets * log_softmax(logits, axis=1)).sum(1).mean()
    loss = CrossEntropy(smoothing)
    for shape in ((20,), (20, 1)):
        actual = loss(labels.reshape(shape).astype("int32"), logits.astype("float32"))
        assert float(actual) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_balanced_classes_count_alike_however_many_images_they_have(smoothing):
    labels, generator = np.array([0] * 6 + [2] * 2), np.random.default_rng(0)  # none of class 1
    weights = balanced_weights(labels, 3)
    np.testing.assert_allclose(weights, [8 / 2 / 6, 0, 8 / 2 / 2])
    logits = generator.normal(size=(8, 3))
    targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
    each = -(targets * log_softmax(logits, axis=1)).sum(1)
    loss = build_loss(Phase("p", NADAM, 1, label_smoothing=smoothing, class_weight="balanced"), labels, 3)
    expected = (each[labels == 0].mean() + each[labels == 2].mean()) / 2
    assert float(loss(labels, logits.astype("float32"))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_history_holds_means_over_all_images_of_an_epoch(parts, smoothing, monkeypatch):
    """At a learning rate of zero every epoch must give what the whole part gives, whatever the batches."""
    monkeypatch.setattr(
        validation, "images_at_once", lambda shape: 10
    )  # 32 = 3 * 10 + 2, and no multiple of the classes
    model = randomize(build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.0))
    weights = model.get_weights()
    images, labels = parts[0].arrays()
    logits = model.predict(images, verbose=0).astype(float)
    targets = (1 - smoothing) * np.eye(NUM_CLASSES)[labels] + smoothing / NUM_CLASSES
    loss = -(targets * log_softmax(logits, axis=1)).sum(1).mean()
    accuracy = (logits.argmax(1) == labels).mean()
    val_logits, val_labels = model.predict(parts[1].arrays()[0], verbose=0), parts[1].arrays()[1]
    phase = Phase("all", OptimizerConfig("sgd", 0.0), 2, batch_size=24, label_smoothing=smoothing)  # 64 = 24 + 24 + 16
    state = train_phase(model, phase, parts, seed=0)
    for record in state.history:
        assert record["loss"] == pytest.approx(loss, rel=1e-4)
        assert record["accuracy"] == pytest.approx(accuracy, abs=1e-6)
        assert record["val_accuracy"] == pytest.approx((val_logits.argmax(1) == val_labels).mean())
        assert record["val_loss"] == pytest.approx(log_loss(val_labels, softmax(val_logits, axis=1)), rel=1e-4)
    for a, b in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_of_a_dual_model_has_both_branches_and_adds_their_losses(parts):
    model = randomize(make_dual(SHAPE, NUM_CLASSES))
    images, labels = parts[0].arrays()
    losses = []
    for logits in model.predict([images, images], verbose=0):
        losses.append(log_loss(labels, softmax(logits, axis=1)))
    phase = Phase("dual", OptimizerConfig("sgd", 0.0), 1, batch_size=32)
    (record,) = train_phase(model, phase, parts, seed=0, branches=(None, None)).history
    assert record["loss"] == pytest.approx(sum(losses), rel=1e-4)
    val_images, val_labels = parts[1].arrays()
    by_branch = [
        (logits.argmax(1) == val_labels).mean() for logits in model.predict([val_images, val_images], verbose=0)
    ]
    assert record["original_logits_val_accuracy"] == pytest.approx(by_branch[0])
    assert record["augmented_logits_val_accuracy"] == pytest.approx(by_branch[1])
    assert record["val_accuracy"] == pytest.approx(np.mean(by_branch))
    by_branch = [record[f"{branch}_logits_val_loss"] for branch in ("original", "augmented")]
    assert record["val_loss"] == pytest.approx(np.mean(by_branch)) and by_branch[0] != by_branch[1]


def test_only_the_augmented_branch_sees_augmented_images(parts, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "train_epoch", lambda model, batches, *_: seen.append(batches[0]) or {"loss": 0.0})
    model = make_dual(SHAPE, NUM_CLASSES)
    train_phase(model, Phase("dual", NADAM, 1, batch_size=32), parts, 0, branches=(None, PAPER_AUGMENTATION))
    (original, augmented), (labels, same_labels) = seen[0]
    np.testing.assert_array_equal(labels, same_labels)
    training_images = parts[0].arrays()[0]
    assert all((image == training_images).all((1, 2, 3)).any() for image in original)
    assert (original != augmented).any((1, 2, 3)).mean() > 0.9


# Which epoch is kept


@pytest.fixture
def constructed(monkeypatch):
    """Replaces training: after epoch e every weight is e, and the validation accuracies are given."""

    def run(phase, accuracies, names=("original",)):
        count = iter(range(1, 100))

        def train_epoch(model, batches, progress, after_step):
            epoch = next(count)
            model.set_weights([np.full(w.shape, epoch, "float32") for w in model.get_weights()])
            return {"loss": 1.0}

        outputs = iter(accuracies)
        monkeypatch.setattr(loop, "train_epoch", train_epoch)
        monkeypatch.setattr(loop, "validate", lambda model, images: (list(next(outputs)), [1.0] * len(names)))
        images, labels = make_images(16, SHAPE, NUM_CLASSES)
        part = Images(images, labels)
        model = build_dual_model([build_submodel(SHAPE, NUM_CLASSES, name) for name in names])
        state = train_phase(model, phase, Split(part, part), 0, branches=[None] * len(names))
        epoch_of_weights = {
            layer.name: {float(v) for w in layer.get_weights() for v in w.flat}
            for layer in model.layers
            if layer.weights
        }
        return state, epoch_of_weights

    return run


def one(*accuracies):
    return [(accuracy,) for accuracy in accuracies]


def test_stops_after_patience_epochs_without_progress_and_keeps_the_best(constructed):
    state, weights = constructed(Phase("p", NADAM, 20, patience=3), one(0.5, 0.7, 0.6, 0.7, 0.69, 0.9))
    assert state.epoch == len(state.history) == 5
    assert state.best[-1] == 0.7 and state.best_epoch[-1] == 2  # a tie is no progress
    assert set.union(*weights.values()) == {2.0}
    assert state.finished


def test_epochs_are_the_most_that_are_trained(constructed):
    state, weights = constructed(Phase("p", NADAM, 4, patience=3), one(0.5, 0.6, 0.4, 0.5))
    assert state.epoch == 4 and state.best_epoch[-1] == 2
    assert set.union(*weights.values()) == {2.0}


def test_without_patience_the_last_epoch_is_kept(constructed):
    state, weights = constructed(Phase("p", NADAM, 4), one(0.5, 0.9, 0.4, 0.3))
    assert state.epoch == 4 and state.best_epoch[-1] == 2 and state.best[-1] == 0.9
    assert set.union(*weights.values()) == {4.0}


BRANCHES = ("original", "augmented")
# The branches are best in epochs 2 and 4, on average in epoch 3.
APART = [(0.5, 0.3), (0.9, 0.3), (0.8, 0.6), (0.4, 0.7), (0.4, 0.6)]


def test_best_on_average_keeps_both_branches_of_one_epoch(constructed):
    state, weights = constructed(Phase("p", NADAM, 5, patience=5), APART, BRANCHES)
    assert state.best == pytest.approx([0.9, 0.7, 0.7]) and state.best_epoch == [2, 4, 3]
    assert set.union(*weights.values()) == {3.0}


def test_best_per_branch_composes_two_epochs(constructed):
    phase = Phase("p", NADAM, 5, patience=5, best_per_branch=True)
    state, weights = constructed(phase, APART, BRANCHES)
    assert state.best_epoch == [2, 4, 3]
    assert len(weights) == 6
    for layer, epochs in weights.items():
        assert epochs == ({2.0} if layer.startswith("original_") else {4.0}), layer


def test_best_per_branch_gives_a_weight_to_the_longest_name_that_begins_its_own(constructed):
    phase = Phase("p", NADAM, 5, patience=5, best_per_branch=True)
    for names in (("a", "a_b"), ("a_b", "a")):
        state, weights = constructed(phase, APART, names)
        for layer, epochs in weights.items():
            branch = "a_b" if layer.startswith("a_b_") else "a"
            assert epochs == {2.0 if branch == names[0] else 4.0}, layer


def test_best_per_branch_stops_when_one_branch_makes_no_progress(constructed):
    """As two EarlyStopping callbacks: the other branch and the mean go on improving, by more than min_delta."""
    improving = [(0.9, 0.1), (0.8, 0.3), (0.8, 0.5), (0.8, 0.7), (0.8, 0.8)]
    phase = Phase("p", NADAM, 5, patience=2, min_delta=0.01, best_per_branch=True)
    assert constructed(phase, improving, BRANCHES)[0].epoch == 3
    assert constructed(phase, [pair[::-1] for pair in improving], BRANCHES)[0].epoch == 3
    assert constructed(replace(phase, best_per_branch=False), improving, BRANCHES)[0].epoch == 5


def test_best_per_branch_keeps_gains_below_min_delta_but_does_not_wait_for_them(constructed):
    """As ModelCheckpoint, which knows neither min_delta nor start_from_epoch, beside EarlyStopping."""
    small_gains = [(0.80, 0.9), (0.801, 0.1), (0.802, 0.2), (0.803, 0.3), (0.804, 0.4)]
    phase = Phase("p", NADAM, 5, patience=2, min_delta=0.01, start_from_epoch=1, best_per_branch=True)
    state, weights = constructed(phase, small_gains, BRANCHES)
    assert state.epoch == 4  # "original" makes no progress in epochs 3 and 4, after epoch 2 began the count
    for layer, epochs in weights.items():
        assert epochs == ({4.0} if layer.startswith("original_") else {1.0}), layer


def test_early_stopping_begins_at_start_from_epoch(constructed):
    """Three epochs neither count as best nor against the patience; the fourth is the first that counts."""
    scores = one(0.9, 0.8, 0.7, 0.5, 0.5, 0.6, 0.6, 0.6)
    state, weights = constructed(Phase("p", NADAM, 8, patience=2, start_from_epoch=3), scores)
    assert (state.epoch, state.best_epoch[-1], state.best[-1]) == (8, 6, 0.6)
    assert set.union(*weights.values()) == {6.0}
    state, weights = constructed(Phase("p", NADAM, 2, patience=1, start_from_epoch=3), scores)  # it never begins
    assert state.epoch == 2 and set.union(*weights.values()) == {2.0}


def test_patience_counts_the_mean_and_not_any_branch(constructed):
    """The second branch gets better in every epoch while the mean falls."""
    accuracies = [(0.9, 0.1), (0.7, 0.2), (0.5, 0.3), (0.3, 0.4)]
    state, weights = constructed(Phase("p", NADAM, 4, patience=2), accuracies, BRANCHES)
    assert state.epoch == 3 and state.best_epoch == [1, 3, 1]
    assert set.union(*weights.values()) == {1.0}


def test_the_schedule_of_the_rate_spans_all_steps_of_all_epochs(parts, monkeypatch):
    schedules = []

    def train_epoch(model, *_):
        schedules.append(model.optimizer._learning_rate)
        return {"loss": 0.0}

    monkeypatch.setattr(loop, "train_epoch", train_epoch)
    phase = Phase("p", OptimizerConfig("sgd", 0.1, warmup=0.25), 5, batch_size=24)  # 64 images: 3 steps in an epoch
    train_phase(build_submodel(SHAPE, NUM_CLASSES), phase, parts, 0)
    assert {(s.warmup_steps, s.decay_steps) for s in schedules} == {(4, 11)}


@pytest.mark.parametrize("epochs, rates", [(1, [0.4]), (2, [0.4, 0.2]), (5, [0.4, 0.35, 0.3, 0.25, 0.2])])
def test_the_dropout_schedule_begins_and_ends_as_stated(epochs, rates):
    model = build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK)
    phase = Phase("p", NADAM, epochs, dropout=(0.4, 0.2))
    for epoch, rate in enumerate(rates):
        model.train_function = print
        loop._schedule_dropout(model, model, phase, epoch)
        assert float(model.get_layer("head_dropout").rate) == pytest.approx(rate)
        assert model.train_function is None, "Keras compiled the previous rate into it"
    model.get_layer("head_dropout").rate = 0.0
    for without in (build_submodel(SHAPE, NUM_CLASSES), keras.models.clone_model(model)):
        with pytest.raises(LwcnnError, match=r"Dropout layers of a rate above 0 .* Received: \(0.4, 0.2\) for "):
            loop._schedule_dropout(without, without, phase, 0)


def test_the_dropout_schedule_is_of_all_layers():
    inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(8), keras.layers.Dropout(0.5)])
    model = keras.Sequential([keras.Input((8,)), inner, keras.layers.Dropout(0.1), keras.layers.Dense(2)])
    loop._schedule_dropout(model, model, Phase("p", NADAM, 1, dropout=(0.4, 0.2)), 0)
    assert [layer.rate for layer in flat_layers(model) if isinstance(layer, keras.layers.Dropout)] == [0.4, 0.4]
    model.add(keras.layers.Dropout(0.0))
    with pytest.raises(LwcnnError, match="Dropout layers of a rate above 0"):
        loop._schedule_dropout(model, model, Phase("p", NADAM, 1, dropout=(0.4, 0.2)), 0)


def test_a_phase_leaves_the_dropout_rates_as_they_were(parts):
    model = build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.5)
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    train_phase(model, Phase("p", NADAM, 2, dropout=(0.4, 0.2)), parts, 0)
    assert rates == [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.5]


# Interruption


def without_seconds(history):
    return [{k: v for k, v in record.items() if k != "seconds"} for record in history]


def assert_same_bits(weights, others):
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_array_equal(a, b)


SGD = OptimizerConfig("sgd", 0.01, momentum=0.9, nesterov=True, weight_decay=1e-3)
ONE_CYCLE_EMA = OptimizerConfig("adamw", 0.01, weight_decay=0.01, warmup=0.3, ema=0.8)
AUGMENTATION = Augmentation(horizontal_flip=True, crop_padding=1)


@pytest.mark.parametrize(
    "phase, at",
    [
        (Phase("nadam", NADAM, 3, patience=2, augmentation=AUGMENTATION), (3, 2)),
        (Phase("sgd", SGD, 3, patience=3, label_smoothing=0.1), (2, "end")),  # epoch 2 is not on disk yet
        (Phase("one_cycle_ema", ONE_CYCLE_EMA, 3), (2, 1)),
        (Phase("head", NADAM, 3, ("head_*",), patience=2), (2, 0)),
    ],
    ids=lambda value: value.name if isinstance(value, Phase) else None,
)
def test_resume_is_bit_exact(phase, at, parts, tmp_path):
    phase = replace(phase, batch_size=32)

    def train(checkpoint, progress=None):
        keras.utils.set_random_seed(4)  # a new process begins like this, too
        model = randomize(build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.5))
        state = train_phase(model, phase, parts, 9, checkpoint=checkpoint and Checkpoint(checkpoint), progress=progress)
        return model.get_weights(), state

    wanted, wanted_state = train(None)
    path = tmp_path / "state.npz"
    with pytest.raises(Interruption):
        train(path, InterruptedAt(*at))
    stopped = Checkpoint(path).load()
    assert stopped.epoch == at[0] - 1 and not stopped.finished
    weights, state = train(path)
    assert_same_bits(weights, wanted)
    assert without_seconds(state.history) == without_seconds(wanted_state.history)
    assert (state.best, state.best_epoch) == (wanted_state.best, wanted_state.best_epoch)
    # And once it is finished, it is only read.
    again, state = train(path, InterruptedAt(1, 0))
    assert_same_bits(again, wanted)
    assert len(state.history) == 3


def test_the_average_of_the_weights_is_kept_and_the_raw_weights_train_on(parts):
    """EMA in NumPy: from the raw weights after each epoch of one step."""
    images, labels = parts[0].arrays()
    part = Images(images, labels)
    phase = Phase("ema", OptimizerConfig("sgd", 0.05, ema=0.6), 3, batch_size=64)
    model = randomize(build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.0))
    raw = randomize(build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.0))
    train_phase(model, phase, Split(part, parts.validation), 0)
    raw.compile(keras.optimizers.SGD(0.05), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    average = None
    for t in range(3):
        raw.train_on_batch(images, labels)
        now, kept = raw.get_weights(), min(0.6, (1 + t) / (10 + t))  # 2/11, 3/12
        average = now if average is None else [kept * a + (1 - kept) * w for a, w in zip(average, now)]
    for a, b in zip(model.get_weights(), average, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_the_moments_of_a_model_within_a_model_are_averaged_too():
    image = keras.Input((3,))
    inner = keras.Sequential([keras.Input((3,)), keras.layers.BatchNormalization()])
    outer = keras.Model(image, keras.layers.BatchNormalization()(inner(image)))
    assert len(batch_norm_statistics(outer)) == 4


def test_assigned_averages_are_copies():
    """JAX may keep the array itself."""
    taken = []
    average = MovingAverage([SimpleNamespace(assign=taken.append)], 0.5, [np.array(9), np.zeros(2)])
    average.assign()
    average.update(lambda variable: np.ones(2))
    np.testing.assert_array_equal(average.values, [[0.5, 0.5]])
    np.testing.assert_array_equal(taken, [[0, 0]])


def test_averages_that_are_not_finite_give_no_warning():
    average = MovingAverage([None], 0.5)  # a phase whose loss is not finite ends with advice
    for _ in range(2):
        average.update(lambda variable: np.array([np.inf]))
    assert np.isnan(average.values).all()


def test_averaged_batch_norm_statistics_are_kept(parts, monkeypatch):
    """EMA in NumPy: from the moments after every step; those of the weights' average are kept, with those."""
    rows = []

    def record(kind, value_of):
        step = kind.step

        def recorded(self, x, y):
            logs = step(self, x, y)
            rows.append([np.array(value_of(self, w)) for w in model.weights if "moving_" in w.path])
            return logs

        monkeypatch.setattr(kind, "step", recorded)

    record(KerasEpoch, lambda _, w: keras.ops.convert_to_numpy(w))
    record(engine.Epoch, lambda epoch, w: epoch._weights.array(w))
    model = build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK)
    names = [w.path for w in model.weights]
    phase = Phase("ema", OptimizerConfig("sgd", 0.05, ema=0.3, ema_batch_norm=True), 2, batch_size=16)
    train_phase(model, phase, parts, 0)
    assert len(rows) == 8 and len(rows[0]) == 6  # three norms: the stem's, the block's, the last
    average = rows[0]
    for t, row in enumerate(rows[1:], start=1):
        kept = min(0.3, (1 + t) / (10 + t))  # reached in step 3
        average = [kept * a + (1 - kept) * m for a, m in zip(average, row)]
    kept = [w for w, name in zip(model.get_weights(), names) if "moving_" in name]
    for a, b, last in zip(kept, average, rows[-1], strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
        assert not np.allclose(a, last, rtol=1e-3)


def test_the_averaged_weights_are_validated(parts):
    validation, images = parts.validation.arrays(), parts.training.arrays()
    phase = Phase("ema", OptimizerConfig("sgd", 1.0, ema=0.6), 3, batch_size=64)
    trained, raw, averaged = (randomize(build_merged_model(SHAPE, NUM_CLASSES, dropout=0.0)) for _ in range(3))
    state = train_phase(trained, phase, parts, 0)
    raw.compile(keras.optimizers.SGD(1.0), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    average = None
    for t, record in enumerate(state.history):
        raw.train_on_batch(*images)
        now, kept = raw.get_weights(), min(0.6, (1 + t) / (10 + t))
        average = now if average is None else [kept * a + (1 - kept) * w for a, w in zip(average, now)]
        averaged.set_weights(average)
        of_average, of_raw = (
            log_loss(validation[1], softmax(model.predict(validation[0], verbose=0).astype(float), axis=1))
            for model in (averaged, raw)
        )
        assert record["val_loss"] == pytest.approx(of_average, rel=1e-4)
    assert abs(of_average - of_raw) > 1e-3 * of_raw


def test_seed_and_epoch_order_the_images_of_a_phase(parts, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "train_epoch", lambda model, batches, *_: seen.append(batches[0][0]) or {"loss": 0.0})
    for seed in (3, 4):
        model = build_merged_model(SHAPE, NUM_CLASSES)
        train_phase(model, Phase("p", OptimizerConfig("sgd"), 2, batch_size=16), parts, seed)
        expected = Batches(parts.training, 16, seed=seed)
        for epoch in (0, 1):
            expected.set_epoch(epoch)
            np.testing.assert_array_equal(seen.pop(0), expected[0][0])


def test_class_weights_are_those_of_the_images_that_are_trained_on():
    """Half of all images belong to each class, but three quarters of those that are trained on to class 0."""
    images, labels = make_images(16, SHAPE, 2)[0], np.arange(16) % 2
    chosen = np.array([0, 2, 4, 6, 8, 10, 1, 3])
    model = randomize(build_merged_model(SHAPE, 2, dropout=0.0))
    probabilities = softmax(model.predict(images[chosen], verbose=0).astype(float), axis=1)
    losses = -np.log(probabilities[np.arange(8), labels[chosen]])
    part = Images(images, labels, chosen)
    phase = Phase("p", OptimizerConfig("sgd", 0.0), 1, batch_size=8, class_weight="balanced")
    (record,) = train_phase(model, phase, Split(part, part), 0).history
    expected = np.mean([losses[labels[chosen] == label].mean() for label in (0, 1)])
    assert record["loss"] == pytest.approx(expected, rel=1e-4)
    assert abs(expected - losses.mean()) > 0.01 * expected


def test_resume_with_averaged_statistics_is_bit_exact(parts, tmp_path):
    optimizer = replace(ONE_CYCLE_EMA, ema_batch_norm=True)
    phase = Phase("ema", optimizer, 3, batch_size=32)

    def train(checkpoint, progress=None):
        keras.utils.set_random_seed(4)
        model = build_residual_se(SHAPE, NUM_CLASSES, TINY_NETWORK)
        train_phase(model, phase, parts, 9, checkpoint=checkpoint and Checkpoint(checkpoint), progress=progress)
        return model.get_weights()

    wanted, path = train(None), tmp_path / "state.npz"
    with pytest.raises(Interruption):
        train(path, InterruptedAt(3, 1))
    assert_same_bits(train(path), wanted)


def small_method(epochs=2):
    """`paper` at a size of its own: more than one epoch a phase, so that each can be cut in two."""
    paper = get_experiment("paper", "smoke")
    return replace(
        paper,
        dual=replace(paper.dual, epochs=epochs, batch_size=32),
        phases=tuple(replace(phase, epochs=epochs, batch_size=32) for phase in paper.phases),
    )


def train_small_method(parts, cache, experiment=None):
    """Returns the model and the records of its phases."""
    sequence = PhaseSequence(parts, NUM_CLASSES, 5, cache)
    return train_experiment(experiment or small_method(), sequence), sequence.records


@pytest.fixture(scope="module")
def uninterrupted(parts, tmp_path_factory):
    """(cache, what training gave) of a method that was never interrupted."""
    cache = tmp_path_factory.mktemp("uninterrupted")
    return cache, train_small_method(parts, cache)


@pytest.fixture
def count_epochs(monkeypatch):
    """A list that grows by one item per trained epoch."""
    epochs, train_epoch = [], loop.train_epoch
    monkeypatch.setattr(loop, "train_epoch", lambda *arguments: epochs.append(1) or train_epoch(*arguments))
    return epochs


def copy_states(cache, folder, *phases):
    for phase in phases:
        (path,) = cache.glob(f"seed5-{phase}-*.npz")
        shutil.copy(path, folder)


def assert_same_method(trained, wanted):
    assert_same_bits(trained[0].get_weights(), wanted[0].get_weights())
    for record, other in zip(trained[1], wanted[1], strict=True):
        assert without_seconds(record["history"]) == without_seconds(other["history"])
        for field in ("name", "trainable_params", "epochs", "best_epoch", "best_val_accuracy"):
            assert record[field] == other[field]


def test_the_submodels_of_stage_1_are_those_that_the_method_merges(parts, uninterrupted, tmp_path, count_epochs):
    cache, (_, wanted) = uninterrupted
    plan = small_method()
    sequence = PhaseSequence(parts, NUM_CLASSES, 5, cache)
    submodels, (record,) = train_submodels(plan, sequence), sequence.records
    assert not count_epochs and record["name"] == "dual"
    assert without_seconds(record["history"]) == without_seconds(wanted[0]["history"])
    assert [submodel.name for submodel in submodels] == ["original", "augmented"]
    again = train_submodels(plan, PhaseSequence(parts, NUM_CLASSES, 5, tmp_path))
    assert len(count_epochs) == plan.dual.epochs
    for submodel, other in zip(submodels, again, strict=True):
        assert_same_bits(submodel.get_weights(), other.get_weights())


@pytest.mark.parametrize("done", [("dual",), ("dual", "head")])
def test_resume_between_two_phases_is_bit_exact(done, parts, uninterrupted, tmp_path, count_epochs):
    """Every finished phase leaves its state; the next one had not ended an epoch when it was broken off."""
    cache, wanted = uninterrupted
    copy_states(cache, tmp_path, *done)
    assert_same_method(train_small_method(parts, tmp_path), wanted)
    assert len(count_epochs) == 2 * (3 - len(done))


def test_a_method_that_is_finished_is_only_read(parts, uninterrupted, count_epochs):
    cache, wanted = uninterrupted
    assert_same_method(train_small_method(parts, cache), wanted)
    assert not count_epochs


def test_experiments_that_begin_alike_train_the_common_part_once(parts, uninterrupted, tmp_path, count_epochs):
    shutil.copytree(uninterrupted[0], tmp_path, dirs_exist_ok=True)
    head, everything = small_method().phases
    nadam = replace(small_method(), phases=(head, replace(everything, optimizer=NADAM)))
    _, phases = train_small_method(parts, tmp_path, nadam)
    assert len(count_epochs) == 2
    for record, other in zip(phases[:2], uninterrupted[1][1]):
        assert record == other
    assert len(list(tmp_path.glob("*.npz"))) == 4


@pytest.mark.parametrize(
    "change",
    [{"dropout": 0.4}, {"reuse_dense_weights": ("original",)}, {"branches": (("original", None), ("augmented", None))}],
)
def test_other_settings_are_never_taken_from_the_cache(change, parts, uninterrupted, tmp_path, monkeypatch):
    shutil.copytree(uninterrupted[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(loop, "train_epoch", lambda *arguments: {"loss": 0.0})
    train_small_method(parts, tmp_path, replace(small_method(), **change))
    assert len(list(tmp_path.glob("seed5-all-*"))) == len(list(tmp_path.glob("seed5-head-*"))) == 2
    assert len(list(tmp_path.glob("seed5-dual-*"))) == (2 if "branches" in change else 1)


def test_another_part_of_the_images_is_never_taken_from_the_cache(parts, uninterrupted, tmp_path, monkeypatch):
    shutil.copytree(uninterrupted[0], tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(loop, "train_epoch", lambda *arguments: {"loss": 0.0})
    training, validation = parts
    train_small_method(Split(replace(training, indices=np.arange(32)), validation), tmp_path)
    assert len(list(tmp_path.glob("seed5-dual-*"))) == 2


KILLED = """
import sys
sys.path.insert(0, sys.argv[2])
import test_training
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.training.progress import Progress

class Telling(Progress):
    def begin_epoch(self, phase, epoch, num_epochs, num_steps):
        super().begin_epoch(phase, epoch, num_epochs, num_steps)
        self.where = f"{phase} {epoch}/{num_epochs}"

    def step(self, step, loss):
        print(self.where, "step", step, flush=True)

parts = test_training.make_parts()
sequence = PhaseSequence(parts, test_training.NUM_CLASSES, 5, sys.argv[1], progress=Telling("none"))
train_experiment(test_training.small_method(), sequence)
"""


def test_resume_after_kill_9_is_bit_exact(parts, uninterrupted, tmp_path, count_epochs):
    cache, wanted = uninterrupted
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path), str(ROOT / "tests" / "training")],
        stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"},
    )  # fmt: skip
    lines = []
    try:
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == "dual 2/2 step 1":
                os.kill(process.pid, signal.SIGKILL)
                break
    finally:
        process.kill()
        process.stdout.close()
    assert process.wait(60) == -signal.SIGKILL and lines[-1] == "dual 2/2 step 1", lines
    (path,) = tmp_path.glob("*.npz")
    stopped, whole = Checkpoint(path).load(), Checkpoint(cache / path.name).load()
    assert stopped.epoch == 1 and not stopped.finished
    assert without_seconds(stopped.history) == without_seconds(whole.history[:1])

    copy_states(cache, tmp_path, "head", "all")  # so that only the phase in question is trained on
    assert_same_method(train_small_method(parts, tmp_path), wanted)
    assert len(count_epochs) == 1
    resumed = Checkpoint(path).load()
    assert resumed.finished and without_seconds(resumed.history) == without_seconds(whole.history)
    assert_same_bits(resumed.weights, whole.weights)


# Checkpoints


def test_state_survives_the_file(tmp_path):
    arrays = [np.arange(6, dtype="float32").reshape(2, 3), np.array(7, "int64")]
    history = [{"loss": 1 / 3}, {"loss": 1 / 4}]
    lists = (arrays, arrays[:1], [], arrays[1:], arrays[::-1])
    computing = [{"step": "keras", "threads": 2}]
    state = PhaseState(2, False, 1, [0.5, 0.25], [1, 2], history, 3, 1.5, *lists, computing, "settings")
    path = tmp_path / "state.npz"
    Checkpoint(path).save(state)
    loaded = Checkpoint(path).load()
    np.testing.assert_equal(vars(loaded), vars(state))
    for name in ("weights", "best_weights", "optimizer", "seeds", "average"):
        assert [array.dtype for array in getattr(loaded, name)] == [array.dtype for array in getattr(state, name)]


def test_no_checkpoint_is_no_state(tmp_path):
    assert Checkpoint(tmp_path / "none.npz").load() is None


def test_a_folder_is_no_checkpoint(parts, tmp_path):
    model = build_merged_model(SHAPE, NUM_CLASSES)
    with pytest.raises(LwcnnError, match="path of a file for the checkpoint, not of a folder. Received: "):
        train_phase(model, Phase("p", NADAM, 1), parts, 0, checkpoint=Checkpoint(tmp_path))
    assert tmp_path.is_dir()


@pytest.mark.parametrize("change", ["phase", "seed", "branches", "split", "other images", "distillation"])
def test_a_checkpoint_of_another_phase_is_refused(parts, tmp_path, change):
    path, model = tmp_path / "state.npz", build_merged_model(SHAPE, NUM_CLASSES)
    phase, checkpoint = Phase("p", NADAM, 1, augmentation=Augmentation()), Checkpoint(path)
    train_phase(model, phase, parts, 0, checkpoint=checkpoint)
    assert train_phase(model, phase, parts, 0, checkpoint=checkpoint).epoch == 1
    before, fewer = model.get_weights(), Images(parts.training.images, parts.training.labels, np.arange(50))
    as_many = Images(parts.training.images, parts.training.labels, np.arange(len(parts.training))[::-1])
    arguments = {"phase": phase, "split": parts, "seed": 0, "branches": None, "checkpoint": checkpoint}
    arguments |= {
        "phase": {"phase": replace(phase, epochs=2)},
        "seed": {"seed": 1},
        "branches": {"branches": (None,)},
        "split": {"split": Split(fewer, parts.validation)},
        "other images": {"split": Split(as_many, parts.validation)},
        "distillation": {"teaching": Teaching(build_merged_model(SHAPE, NUM_CLASSES), Distillation(4, 0.1))},
    }[change]
    with pytest.raises(LwcnnError, match="Use a separate checkpoint, .* seed or split. Received: .*state.npz"):
        train_phase(model, **arguments)
    assert all(np.array_equal(a, b) for a, b in zip(model.get_weights(), before))
    with pytest.raises(LwcnnError, match="Use a separate checkpoint"):
        train_phase(build_merged_model(SHAPE, NUM_CLASSES, ("original",)), **arguments)
    assert path.exists(), "a mistake costs no training"


def header(**changes):
    """A checkpoint's header of no arrays, but for the changes."""
    state = vars(PhaseState()) | changes.pop("state", {})
    names = ("weights", "best_weights", "optimizer", "seeds", "average")
    counts = {name: 0 for name in names} | changes.pop("counts", {})
    plain = {name: value for name, value in state.items() if name not in names}
    return json.dumps({"format": FORMAT, "state": plain, "counts": counts} | changes)


@pytest.mark.parametrize(
    "content",
    [b"", b"not an archive", b"PK\x03\x04 cut short"]
    + [{"header": np.array(text)} for text in ("", "null", "[1]", "{}", "[" * 9000, '{"format": 2}')]
    + [{"header": np.zeros(3)}, {"header": np.array(header(state={"unknown": 1}))}]
    + [{"header": np.array(header(format=FORMAT - 1))}]
    + [{"header": np.array(header(state={"epoch": epoch}))} for epoch in ("one", None, 3)]
    + [{"header": np.array(header(counts={"weights": count}))} for count in (1, 10**9, "two", None)],
)
def test_a_checkpoint_that_cannot_be_read_is_set_aside_and_the_phase_begins_anew(content, tmp_path, caplog):
    path = tmp_path / "state.npz"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.savez(path, **content)
    before = path.read_bytes()
    assert Checkpoint(path).load() is None
    assert not path.exists() and (tmp_path / "state.npz.unreadable").read_bytes() == before
    (note,) = caplog.messages
    assert "state.npz.unreadable; the phase starts over" in note and "\n" not in note
    assert "folder of images" not in note


def test_a_file_that_is_no_checkpoint_is_left_alone(tmp_path):
    np.savez(tmp_path / "images.npz", x=np.zeros(3))
    before = (tmp_path / "images.npz").read_bytes()
    with pytest.raises(LwcnnError, match="Give a new file for the checkpoint.*images.npz"):
        Checkpoint(tmp_path / "images.npz").load()
    assert [path.name for path in tmp_path.iterdir()] == ["images.npz"]
    assert (tmp_path / "images.npz").read_bytes() == before


def test_a_checkpoint_of_another_model_is_left_alone(parts, tmp_path):
    checkpoint = Checkpoint(tmp_path / "state.npz")
    phase = Phase("p", OptimizerConfig("sgd"), 1, batch_size=32)
    train_phase(build_merged_model(SHAPE, NUM_CLASSES), phase, parts, 0, checkpoint=checkpoint)
    before = (tmp_path / "state.npz").read_bytes()
    with pytest.raises(
        LwcnnError, match="Use a separate checkpoint, or delete this: it is of another model.*state.npz"
    ):
        train_phase(build_merged_model(SHAPE, NUM_CLASSES + 1), phase, parts, 0, checkpoint=checkpoint)
    assert [path.name for path in tmp_path.iterdir()] == ["state.npz"]
    assert (tmp_path / "state.npz").read_bytes() == before


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), OSError(errno.ESTALE, ""), MemoryError()])
@pytest.mark.parametrize("place", ["io.open", "zipfile._EndRecData", "zipfile.ZipFile.open"])
def test_a_checkpoint_that_cannot_be_read_now_is_left_alone(error, place, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise error

    path = tmp_path / "state.npz"
    Checkpoint(path).save(PhaseState())
    with monkeypatch.context() as patch, pytest.raises(LwcnnError, match="Try again.*Received: .*state.npz"):
        patch.setattr(place, fail)
        Checkpoint(path).load()
    assert Checkpoint(path).load() == PhaseState()


def test_a_whole_header_is_read(tmp_path):
    np.savez(tmp_path / "state.npz", header=np.array(header(key="of an earlier version")))
    assert Checkpoint(tmp_path / "state.npz").load() == PhaseState()


@pytest.mark.parametrize("arrays", [2, 4])
def test_a_checkpoint_of_another_number_of_weights_is_refused(arrays, tmp_path):
    image = keras.Input((3,))
    model = keras.Model(image, keras.layers.Dense(2)(keras.layers.Dense(2, use_bias=False)(image)))
    state = PhaseState(weights=[np.zeros(v.shape) for v in [*model.weights, model.weights[0]][:arrays]])
    Checkpoint(tmp_path / "state.npz").save(state)
    with pytest.raises(LwcnnError, match="it is of another model"):
        Checkpoint(tmp_path / "state.npz").load(model)


@pytest.mark.parametrize("count", [0, 2])
def test_a_checkpoint_of_another_number_of_generators_is_refused(count, tmp_path):
    image = keras.Input((3,))
    model = keras.Model(image, keras.layers.Dropout(0.5)(image))
    seeds = [np.zeros(v.shape, v.dtype) for v in random_states(model)]
    assert len(seeds) == 1
    checkpoint = Checkpoint(tmp_path / "state.npz")
    checkpoint.save(PhaseState(seeds=seeds))
    np.testing.assert_array_equal(checkpoint.load(model).seeds, seeds)
    checkpoint.save(PhaseState(seeds=(seeds * 2)[:count]))
    with pytest.raises(LwcnnError, match="it is of another model"):
        checkpoint.load(model)


@pytest.mark.parametrize("shapes", [[(2,)], [(2,), (3,), (1,)], [(2,), (4,)]])
def test_as_many_arrays_of_the_same_shapes_as_variables(shapes):
    variables = [keras.Variable(np.ones(size)) for size in (2, 3)]
    with pytest.raises(LwcnnError, match="The checkpoint's arrays"):
        set_values(variables, [np.zeros(shape) for shape in shapes])
    assert all(np.array_equal(variable, np.ones(variable.shape)) for variable in variables), "nothing was assigned"


def test_a_phase_resumed_with_other_settings_records_them(monkeypatch):
    state = PhaseState()
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    state.record_computing("engine")
    state.record_computing("engine")
    assert len(state.computing) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    state.record_computing("keras")
    assert [way["threads"] for way in state.computing] == [1, 2] and state.computing[1]["step"] == "keras"


def test_as_many_branches_as_inputs(parts):
    model = build_merged_model(SHAPE, NUM_CLASSES)
    with pytest.raises(LwcnnError, match="for each input of the model. Received: inputs: 1, outputs: 1, branches: 2"):
        train_phase(model, Phase("p", NADAM, 1), parts, 0, branches=(None, None))
    with pytest.raises(LwcnnError, match=r"branches as a sequence.*Received: branches=Augmentation"):
        train_phase(model, Phase("p", NADAM, 1), parts, 0, branches=Augmentation())


@pytest.mark.parametrize(
    "argument, value, message",
    [
        ("phase", "all", "Give a Phase. Received: str"),
        ("split", (1, 2), "Give a Split. Received: tuple"),
        ("seed", None, "Give a seed, an integer. Received: NoneType"),
        ("checkpoint", "state.npz", "Give a Checkpoint. Received: str"),
    ],
)
def test_arguments_of_other_types_are_refused(parts, argument, value, message):
    arguments = {"phase": Phase("p", NADAM, 1), "split": parts, "seed": 0, argument: value}
    with pytest.raises(LwcnnError, match=message):
        train_phase(build_merged_model(SHAPE, NUM_CLASSES), **arguments)


@pytest.mark.parametrize("last", ["activation", "layer", "nested"])
def test_a_model_of_probabilities_is_refused(parts, last):
    dense = keras.layers.Dense(NUM_CLASSES, activation=None if last == "layer" else "softmax")
    after = [keras.layers.Softmax()] if last == "layer" else []
    model = keras.Sequential([keras.Input(SHAPE), keras.layers.Flatten(), dense, *after])
    if last == "nested":
        model = keras.Sequential([keras.Input(SHAPE), model])
    with pytest.raises(LwcnnError, match="logits as output, without softmax"):
        train_phase(model, Phase("p", NADAM, 1), parts, 0)


@pytest.mark.parametrize("part", ["training", "validation"])
@pytest.mark.parametrize("labels, found", [([0, 4], "from 0 to 4"), ([-1, 0], "from -1 to 0"), ([], "no images")])
def test_both_parts_have_images_of_the_models_classes(parts, part, labels, found):
    split = parts._replace(**{part: Images(parts.training.images[: len(labels)], np.array(labels, int))})
    with pytest.raises(LwcnnError, match=f"labels from 0 to 3, the model's classes. Received: .*{found}"):
        train_phase(build_merged_model(SHAPE, NUM_CLASSES), Phase("p", NADAM, 1), split, 0)


def test_image_side_trains_on_smaller_images(parts, monkeypatch):
    shapes, validate = [], loop.validate
    monkeypatch.setattr(loop, "validate", lambda *given: shapes.append(given[1].images.shape[1:]) or validate(*given))
    model = build_residual_se(SHAPE, NUM_CLASSES, ResidualSEConfig(stages=(Stage(16, 1),)))
    before = model.get_weights()
    train_phase(model, Phase("p", NADAM, 1, image_side=8), parts, 0)
    assert shapes == [(8, 8, 3)] and model.input_shape == (None, *SHAPE)
    assert not any(np.array_equal(a, b) for a, b in zip(before, model.get_weights()) if a.ndim == 4)
    train_phase(model, Phase("p", NADAM, 1, trainable=("head_*",), image_side=8), parts, 0)
    assert {layer.name for layer in model.layers if layer.trainable and layer.weights} == {"head_norm", "head_logits"}
    with pytest.raises(LwcnnError, match="Leave out image_side, or choose another: merged .*Received: image_side=14"):
        train_phase(build_merged_model(SHAPE, NUM_CLASSES), Phase("p", NADAM, 1, image_side=14), parts, 0)
    dual = make_dual(SHAPE, NUM_CLASSES)
    floats = Split(*(Images(part.arrays()[0].astype("float32"), part.chosen_labels) for part in parts))
    with pytest.raises(LwcnnError, match="Give images as uint8 .* Received: float32"):
        train_phase(model, Phase("p", NADAM, 1, image_side=8), floats, 0)
    with pytest.raises(LwcnnError, match="models with one input of images. Received: image_side=8"):
        train_phase(dual, Phase("p", NADAM, 1, image_side=8), parts, 0, branches=(None, None))


def test_a_checkpoint_of_other_images_is_refused_with_image_side_too(parts, tmp_path):
    model = build_residual_se(SHAPE, NUM_CLASSES, ResidualSEConfig(stages=(Stage(16, 1),)))
    phase, checkpoint = Phase("p", NADAM, 1, image_side=8), Checkpoint(tmp_path / "state.npz")
    first, second = (
        parts._replace(training=Images(parts.training.images, parts.training.labels, np.arange(start, start + 50)))
        for start in (0, 1)
    )
    train_phase(model, phase, first, 0, checkpoint=checkpoint)
    assert train_phase(model, phase, first, 0, checkpoint=checkpoint).finished
    with pytest.raises(LwcnnError, match="Use a separate checkpoint, .* seed or split"):
        train_phase(model, phase, second, 0, checkpoint=checkpoint)


def test_the_random_states_of_models_within_a_model_are_kept_too():
    trunk = keras.Sequential([keras.Input((4,)), keras.layers.Dropout(0.5)])
    model = keras.Sequential([keras.Input((4,)), trunk, keras.layers.Dropout(0.5), keras.layers.Dense(2)])
    assert len(random_states(model)) == 2
    flip = keras.Sequential([keras.Input((4, 4, 3)), keras.layers.RandomFlip(), keras.layers.Flatten()])
    assert len(random_states(flip)) == 1


@pytest.mark.parametrize("side, most", [(32, 500), (96, 56)])
def test_validation_takes_fewer_large_images_at_once(side, most, monkeypatch):
    sizes = []
    predictor = lambda model: lambda inputs: sizes.append(len(inputs[0])) or [np.zeros((len(inputs[0]), 2))]  # noqa: E731
    monkeypatch.setattr(validation, "make_predictor", predictor)
    images = Images(np.zeros((600, side, side, 1), np.uint8), np.zeros(600, np.int64))
    assert validation.validate(SimpleNamespace(outputs=[None]), images)[0] == [1.0]
    assert max(sizes) == most and sum(sizes) == 600


def test_a_model_of_unknown_input_shape_is_refused(parts):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(NUM_CLASSES)])
    with pytest.raises(LwcnnError, match="begin a Sequential with keras.Input"):
        train_phase(model, Phase("p", OptimizerConfig("sgd"), 1), parts, 0)


def test_a_resumed_phase_says_so(parts, tmp_path, capsys):
    phase = Phase("p", OptimizerConfig("sgd"), 3, batch_size=32)
    checkpoint = Checkpoint(tmp_path / "state.npz")
    with pytest.raises(Interruption):
        train_phase(
            build_merged_model(SHAPE, NUM_CLASSES), phase, parts, 0, checkpoint=checkpoint, progress=InterruptedAt(3)
        )
    train_phase(
        build_merged_model(SHAPE, NUM_CLASSES), phase, parts, 0, checkpoint=checkpoint, progress=Progress("line")
    )
    assert capsys.readouterr().out.startswith("p: resumed after epoch 2 of 3\np 3/3, loss")

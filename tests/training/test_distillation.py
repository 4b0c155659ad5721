"""Distillation: the ensemble, what the student learns from, and a run from training to result."""

import keras
import numpy as np
import pytest
from made_data import InterruptedAt, Interruption, describe, make_images, randomize
from scipy.special import log_softmax

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.data.batches import Batches
from lwcnn.data.images import Images, Split
from lwcnn.engine import Predictor
from lwcnn.evaluation.metrics import average_probabilities
from lwcnn.experiments.identity import Run
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.experiments.run import run_experiment
from lwcnn.experiments.teachers import find_teacher, load_teacher
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.dual import build_dual_model, build_submodel
from lwcnn.models.io import load_model, save_model
from lwcnn.models.residual_se import build_residual_se
from lwcnn.models.surgery import build_ensemble
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_json
from lwcnn.training.checkpoint import Checkpoint
from lwcnn.training.distillation import TaughtBatches, Teaching
from lwcnn.training.loop import train_phase
from lwcnn.training.losses import DistillationLoss, LabelAccuracy, build_loss
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Distillation, Phase

TINY = ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3),), se_reduction=2)


def tiny_model(seed=0):
    return randomize(build_residual_se((12, 12, 3), 10, TINY), seed)


def test_the_ensemble_votes_as_evaluate_does(tmp_path):
    members, (images, _) = [tiny_model(seed) for seed in range(3)], make_images(7)
    expected = average_probabilities([100 * member.predict(images, verbose=0) for member in members])
    for member in members:  # far apart, so that the mean of the logits would be another
        head = member.get_layer("head_logits")
        head.set_weights([100 * values for values in head.get_weights()])
    save_model(tmp_path / "ensemble.keras", build_ensemble(members))
    ensemble = load_model(tmp_path / "ensemble.keras")
    np.testing.assert_allclose(ensemble.predict(images, verbose=0), expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(Predictor(ensemble)([images])[0], expected, rtol=1e-4, atol=1e-4)


def test_the_ensemble_of_one_has_its_logits_and_votes_are_float32_in_any_precision():
    (images, _), member = make_images(7), tiny_model()
    logits = member.predict(images, verbose=0)
    np.testing.assert_array_equal(build_ensemble([member]).predict(images, verbose=0), logits)
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        assert build_ensemble([tiny_model(), tiny_model(1)]).output.dtype == "float32"
    finally:
        keras.config.set_dtype_policy(before)


def test_label_weight_zero_ignores_the_labels():
    keras.utils.set_random_seed(0)
    teacher, student = (build_residual_se((12, 12, 3), 10, TINY) for _ in range(2))
    images, labels = make_images(200)
    phase = Phase("all", OptimizerConfig("adam", 0.01), 20, batch_size=20)
    truth = Images(images, labels)
    assert train_phase(teacher, phase, Split(truth, truth), 0).history[-1]["val_accuracy"] > 0.9
    before = [np.array(w) for w in teacher.get_weights()]
    wrong = Images(images, (labels + 1) % 10)
    settings = Distillation(temperature=2, label_weight=0)
    state = train_phase(student, phase, Split(wrong, truth), 0, teaching=Teaching(teacher, settings))
    assert state.history[-1]["val_accuracy"] > 0.9
    assert state.history[-1]["accuracy"] < 0.1, "of the labels, not of what the teacher says"
    assert 0 < state.history[-1]["loss"] < state.history[0]["loss"] / 3
    assert all(np.array_equal(a, b) for a, b in zip(before, teacher.get_weights(), strict=True))


def test_the_loss_is_that_of_the_labels_and_the_divergence_at_the_temperature_times_its_square():
    images, labels = make_images(20)
    of_teacher, of_student = (4 * tiny_model(seed).predict(images, verbose=0).astype(float) for seed in (0, 1))
    taught = np.concatenate([np.eye(10)[labels], of_teacher], axis=1)
    loss = float(DistillationLoss(3, 0.2)(taught, of_student))
    soft, logs = log_softmax(of_teacher / 3, axis=1), log_softmax(of_student / 3, axis=1)
    divergence = (np.exp(soft) * (soft - logs)).sum(axis=1).mean()
    of_labels = -log_softmax(of_student, axis=1)[np.arange(20), labels].mean()
    assert divergence > 0.01
    assert loss == pytest.approx(0.2 * of_labels + 0.8 * 3**2 * divergence, rel=1e-4)
    accuracy = float(LabelAccuracy()(taught, of_student))
    assert accuracy == pytest.approx((of_student.argmax(axis=1) == labels).mean())


@pytest.mark.parametrize("cached_epochs", [None, 1, 2])
def test_an_interrupted_distillation_resumes_to_the_same_weights(tmp_path, cached_epochs):
    images, labels = make_images(60)
    parts = Split(Images(images, labels), Images(images, labels))

    def train(checkpoint, progress=None):
        keras.utils.set_random_seed(0)
        student, teacher = build_residual_se((12, 12, 3), 10, TINY), tiny_model(1)
        phase = Phase("all", OptimizerConfig("sgd", 0.01, 0.9), 3, batch_size=20)
        teaching = Teaching(teacher, Distillation(2, 0.5, cached_epochs=cached_epochs))
        train_phase(student, phase, parts, 0, checkpoint=checkpoint, progress=progress, teaching=teaching)
        return student.get_weights()

    whole, checkpoint = train(None), Checkpoint(tmp_path / "state.npz")
    assert all(np.isfinite(w).all() for w in whole)
    with pytest.raises(Interruption):
        train(checkpoint, InterruptedAt(2))
    assert checkpoint.load().epoch == 1
    for _ in range(2):  # the second time, the phase is finished
        assert all(np.array_equal(a, b) for a, b in zip(whole, train(checkpoint), strict=True))


def taught_batches(cached_epochs, mixing=None):
    images, labels = make_images(50)
    augmentation = Augmentation(rotation=0.2)
    batches = Batches(Images(images, labels), 20, 0, (augmentation,), mixing, num_classes=10, num_epochs=9)
    return TaughtBatches(batches, Teaching(tiny_model(), Distillation(4, 0.1, cached_epochs)), 10)


@pytest.mark.parametrize("mixing", [None, MixUpCutMix(0.5, 0.0)])
def test_a_teacher_classifies_the_images_that_the_student_sees(mixing):
    batches, teacher = taught_batches(None, mixing), tiny_model()
    for epoch in (0, 3):
        batches.set_epoch(epoch)
        for i in range(len(batches)):
            images, labels = batches[i]
            assert labels.dtype == np.float32 and labels.shape == (len(images), 20)
            given = batches._batches[i][1]
            np.testing.assert_array_equal(labels[:, :10], given if mixing else np.eye(10)[given])
            np.testing.assert_allclose(labels[:, 10:], teacher.predict(images, verbose=0), rtol=2e-3, atol=2e-3)


def test_cached_epochs_repeat_and_cost_no_forward_pass(monkeypatch):
    fresh, batches = taught_batches(None), taught_batches(2)
    found = []
    for epoch in range(6):
        if epoch == 2:
            monkeypatch.setattr(batches, "_teacher", None)
        fresh.set_epoch(epoch % 2)
        batches.set_epoch(epoch)
        found.append([batches[i] for i in range(len(batches))])
        for (x, y), (images, labels) in zip(found[-1], [fresh[i] for i in range(len(fresh))], strict=True):
            np.testing.assert_array_equal(x, images)
            np.testing.assert_array_equal(y, labels)
    assert not np.array_equal(found[0][0][0], found[1][0][0])


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"temperature": 0}, "Give temperature as a number above 0"),
        ({"label_weight": 1.5}, "Give label_weight as a number from 0 to 1"),
        ({"cached_epochs": 0}, "Give cached_epochs as an int of 1 or more, or None"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(LwcnnError, match=message):
        Distillation(**{"temperature": 4, "label_weight": 0.1} | settings)


@pytest.mark.parametrize(
    "teacher, phase, dtype, message",
    [
        (build_residual_se((12, 12, 3), 7, TINY), {}, "uint8", "of the student's shapes"),
        (build_residual_se((16, 16, 3), 10, TINY), {}, "uint8", "of the student's shapes"),
        (tiny_model(), {"image_side": 8}, "uint8", "in the size of the student's input"),
        (tiny_model(), {}, "float32", "images of type uint8"),
        (keras.Sequential([tiny_model(), keras.layers.Softmax()]), {}, "uint8", "without softmax"),
    ],
)
def test_a_teacher_that_does_not_fit_is_refused(teacher, phase, dtype, message):
    images, labels = make_images(20)
    parts = Split(*[Images(images.astype(dtype), labels)] * 2)
    teaching = Teaching(teacher, Distillation(4, 0.1))
    with pytest.raises(LwcnnError, match=message):
        train_phase(tiny_model(1), Phase("all", OptimizerConfig("sgd"), 1, **phase), parts, 0, teaching=teaching)


def test_a_student_with_several_inputs_has_no_teacher():
    student, teacher = (build_dual_model([build_submodel((12, 12, 3), 10, name) for name in "ab"]) for _ in range(2))
    images = Images(*make_images(20, (12, 12, 3)))
    with pytest.raises(LwcnnError, match="one input and one output"):
        phase = Phase("all", OptimizerConfig("sgd"), 1)
        teaching = Teaching(teacher, Distillation(4, 0.1))
        train_phase(student, phase, Split(images, images), 0, branches=(None, None), teaching=teaching)


def test_epochs_that_repeat_refuse_a_ramp():
    with pytest.raises(LwcnnError, match="Leave out the ramp of mixing"):
        taught_batches(2, MixUpCutMix(0.5, 0.0, ramp=1.0))


def cached(seed, data, folders):
    """The path of a teacher's model in the cache."""
    return folders.model(Run(get_experiment("residual_se", "full", data.spec), data, "full", seed).identity)


def test_teachers_are_found_in_the_cache_then_among_the_shipped(made_dataset, folders, monkeypatch):
    monkeypatch.setattr("lwcnn.experiments.shipped.SHIPPED_MODELS", folders.models)
    teacher = Teacher("residual_se", "full", (0, 1))
    with pytest.raises(LwcnnError, match="lwcnn train residual_se --dataset path/to/images --preset full --seeds 1"):
        find_teacher(teacher, 1, made_dataset, folders)
    shipped = folders.models / "teachers/made-residual_se-seed0.keras"
    save_model(shipped, tiny_model(0), describe(made_dataset))
    assert find_teacher(teacher, 0, made_dataset, folders) == shipped
    best = folders.models / "made-residual_se.keras"
    for seed, wanted in ((1, shipped), (0, best)):
        save_model(best, tiny_model(0), describe(made_dataset, preset="full", seed=seed))
        assert find_teacher(teacher, 0, made_dataset, folders) == wanted
    path = cached(0, made_dataset, folders)
    save_model(path, tiny_model(2), describe(made_dataset))
    assert find_teacher(teacher, 0, made_dataset, folders) == path, "those of this cache first"
    run = Run(get_experiment("residual_se", "full", made_dataset.spec), made_dataset, "full", 0, folders)
    config = run.identity["config"] | {"computing": {"precision": "mixed_bfloat16"}}
    result = run.identity | {"config": config, "test_accuracy": 0.9}
    write_json(run.path, result)
    save_model(folders.model(result), tiny_model(3), describe(made_dataset))
    assert find_teacher(teacher, 0, made_dataset, folders) == folders.model(result), "whatever its precision"
    write_json(run.path, result | {"config": result["config"] | {"validation": 0.5}})
    with pytest.raises(LwcnnError, match="another configuration.*differs in: validation"):
        find_teacher(teacher, 0, made_dataset, folders)


@pytest.mark.parametrize("name", ["residual_se_distilled", "residual_se_small_distilled"])
def test_three_full_runs_teach_at_temperature_4_with_a_tenth_for_the_labels(name):
    for preset, of_teacher in (("smoke", "smoke"), ("quick", "full"), ("full", "full")):
        plan = get_experiment(name, preset)
        assert plan.teacher == Teacher("residual_se", of_teacher, (0, 1, 2))
        assert plan.distillation == Distillation(temperature=4, label_weight=0.1)


@pytest.mark.parametrize("foreign", [False, True])
def test_a_teacher_of_other_images_is_refused(made_dataset, folders, foreign):
    description = describe(made_dataset, data_checksum="other") if foreign else None
    save_model(cached(0, made_dataset, folders), tiny_model(0), description)
    with pytest.raises(LwcnnError, match="other images than made's. Received: .*seed0.*.keras"):
        find_teacher(Teacher("residual_se", "full", (0,)), 0, made_dataset, folders)


def test_a_run_has_its_teachers_first(made_dataset, folders):
    with pytest.raises(LwcnnError, match="lwcnn train residual_se"):
        run_experiment("residual_se_small_distilled", made_dataset, "smoke", 0, folders)
    plan, images = get_experiment("residual_se_small_distilled", "smoke"), made_dataset.x_test[:7]
    for seed in plan.teacher.seeds:
        run = Run(get_experiment("residual_se", "smoke", made_dataset.spec), made_dataset, "smoke", seed)
        save_model(folders.model(run.identity), tiny_model(seed), describe(made_dataset))
    expected = average_probabilities([tiny_model(seed).predict(images, verbose=0) for seed in (0, 1, 2)])
    found = load_teacher(plan, made_dataset, folders).predict(images, verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    result = run_experiment("residual_se_small_distilled", made_dataset, "smoke", 0, folders)
    assert np.isfinite(result["history"][0]["history"][0]["loss"])
    assert result["config"]["teacher"]["seeds"] == [0, 1, 2]
    assert read_json(folders.result(made_dataset.name, "residual_se_small_distilled", "smoke", 0)) == result


def test_a_student_learns_from_smoothed_and_weighted_labels():
    labels = np.array([0, 0, 0, 1])
    logits = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
    phase = Phase("p", OptimizerConfig("sgd"), 1, label_smoothing=0.2, class_weight="balanced")
    taught = np.concatenate([np.eye(2)[labels], logits], axis=1).astype(np.float32)  # a teacher of the same opinion
    found = float(build_loss(phase, labels, 2, Distillation(4, 0.25))(taught, logits))
    targets = 0.8 * np.eye(2)[labels] + 0.1
    weights = np.array([4 / (2 * 3), 4 / (2 * 1)])[labels]  # images / (classes * images of the class)
    expected = 0.25 * (weights * -(targets * log_softmax(logits.astype(float), axis=1)).sum(axis=1)).mean()
    assert found == pytest.approx(expected, rel=1e-5)

"""K-fold: which images each fold sees, from scratch and leaky, and what is written."""

import hashlib
import json
import statistics
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lwcnn.experiments import identity, kfold, sequence
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.recipes import get_experiment, get_preset
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import LwcnnError
from lwcnn.training.checkpoint import PhaseState


def test_folds_from_scratch_never_see_what_they_are_assessed_on(made_dataset, folders, monkeypatch):
    seen, assessed = [], []
    train, predict = kfold.train_experiment, kfold.predict_logits

    def spy(plan, sequence):
        seen.append(np.concatenate([part.indices for part in sequence.split]))
        return train(plan, sequence)

    def spy_predict(model, images):
        assessed.append(images)
        return predict(model, images)

    monkeypatch.setattr(kfold, "train_experiment", spy)
    monkeypatch.setattr(kfold, "predict_logits", spy_predict)
    result = run_kfold("head_only", made_dataset, "smoke", num_folds=np.int64(3), folders=folders)
    assert len(result["accuracies"]) == result["num_folds"] == 3 and not result["leaky"]
    num_images = len(made_dataset.y_train)
    for inside, images in zip(seen, assessed, strict=True):
        outside = np.setdiff1d(np.arange(num_images), inside)
        assert len(inside) + len(outside) == num_images and len(np.unique(inside)) == len(inside)
        np.testing.assert_array_equal(images, made_dataset.x_train[outside])
    assert sum(map(len, assessed)) == num_images
    assert result["mean_accuracy"] == pytest.approx(np.mean(result["accuracies"]))
    assert [[phase["name"] for phase in phases] for phases in result["fold_histories"]] == [["dual", "head"]] * 3
    losses = [phases[0]["history"][0]["loss"] for phases in result["fold_histories"]]
    assert len(set(losses)) == 3, "each fold has a training of its own"


def test_leaky_folds_continue_one_model(made_dataset, folders, monkeypatch):
    starts, ends = [], []
    train = sequence.train_phase

    def spy(model, *rest, **named):
        starts.append(model.get_weights())
        state = train(model, *rest, **named)
        ends.append(model.get_weights())
        return state

    monkeypatch.setattr(sequence, "train_phase", spy)
    result = run_kfold("paper_as_published", made_dataset, "smoke", leaky=True, num_folds=2, folders=folders)
    for end, start in zip(ends[-2], starts[-1], strict=True):
        np.testing.assert_array_equal(end, start)
    assert result["leak"] == pytest.approx(np.mean(result["accuracies"]) - result["test_accuracy"])
    assert [[phase["name"] for phase in phases] for phases in result["fold_histories"]] == [["fold"]] * 2


def test_one_fold_is_refused(made_dataset, folders):
    with pytest.raises(LwcnnError, match="Received: num_folds=1$"):
        run_kfold("paper", made_dataset, "smoke", num_folds=1, folders=folders)


# What each fold's training is given; nothing is trained here


@pytest.fixture
def calls(made_dataset, monkeypatch):
    """Records the arguments with which folds are trained, in order, and trains nothing."""
    model = build_merged_model(made_dataset.input_shape, made_dataset.num_classes)
    made = SimpleNamespace(method=[], phase=[])

    def train_experiment(plan, sequence):
        made.method.append(SimpleNamespace(**sequence.split._asdict(), seed=sequence.seed, data_key=sequence.data_key))
        return model

    def train_phase(model, phase, split, seed, **named):
        made.phase.append(SimpleNamespace(**split._asdict(), phase=phase, seed=seed, **named))
        return PhaseState(best_epoch=[1], history=[{"val_accuracy": 0.5}])

    monkeypatch.setattr(kfold, "train_experiment", train_experiment)
    monkeypatch.setattr(sequence, "train_phase", train_phase)
    monkeypatch.setattr(kfold, "predict_logits", lambda model, images: np.eye(10)[np.arange(len(images)) % 10])
    return made


def test_every_fold_from_scratch_has_the_seed_of_the_run_and_a_cache_key_of_its_own(made_dataset, folders, calls):
    for num_folds in (2, 3):
        run_kfold("paper", made_dataset, "quick", seed=7, num_folds=num_folds, folders=folders)
    assert [call.seed for call in calls.method] == [7] * 5
    keys = [call.data_key for call in calls.method]
    assert len(set(keys)) == 5 and all(made_dataset.checksum in key for key in keys)


def right(labels):
    """Accuracy of the model of these tests, which predicts the class k % 10 for image k."""
    return float((np.arange(len(labels)) % 10 == labels).mean())


def test_accuracies_are_those_of_the_labels_of_each_fold(made_dataset, folders, calls):
    result = run_kfold("paper", made_dataset, "quick", num_folds=3, folders=folders)
    seen = [np.union1d(call.training.indices, call.validation.indices) for call in calls.method]
    expected = [right(np.delete(made_dataset.y_train, inside)) for inside in seen]
    assert result["accuracies"] == pytest.approx(expected) and len(set(expected)) > 1
    assert result["mean_accuracy"] == pytest.approx(statistics.mean(expected))
    assert result["std_accuracy"] == pytest.approx(statistics.stdev(expected))


def test_a_fold_without_enough_images_of_a_class_fails_before_any_training(made_dataset, folders, calls):
    few = np.flatnonzero(made_dataset.y_train == 3)[2:]
    images, labels = (np.delete(part, few, axis=0) for part in (made_dataset.x_train, made_dataset.y_train))
    with pytest.raises(LwcnnError, match="each class needs at least 2 images.*Received: 3: 1"):
        run_kfold("paper", replace(made_dataset, x_train=images, y_train=labels), "smoke", num_folds=2, folders=folders)
    assert not calls.method


def test_the_leak_is_measured_on_the_test_images(made_dataset, folders, calls):
    data = replace(made_dataset, y_test=np.arange(100) % 10)
    result = run_kfold("paper", data, "quick", leaky=True, num_folds=2, folders=folders)
    assert result["test_accuracy"] == 1
    expected = [right(data.y_train[call.validation.indices]) for call in calls.phase]
    assert result["accuracies"] == pytest.approx(expected) and len(set(expected)) == 2
    assert result["leak"] == pytest.approx(statistics.mean(result["accuracies"]) - 1)


def test_copies_of_an_image_are_never_trained_on_and_assessed(made_dataset, folders, calls):
    images, labels = made_dataset.x_train[:100], made_dataset.y_train[:100]
    data = replace(made_dataset, x_train=images.repeat(3, axis=0), y_train=labels.repeat(3))
    run_kfold("paper", data, "quick", num_folds=3, folders=folders)
    for call in calls.method:
        parts = [call.training.indices, call.validation.indices]
        parts.append(np.setdiff1d(np.arange(300), np.concatenate(parts)))
        found = [{image.tobytes() for image in data.x_train[part]} for part in parts]
        assert all(found) and sum(map(len, found)) == len(set.union(*found)) == 100


def test_leaky_folds_have_the_notebooks_limits_and_their_own_seeds(made_dataset, folders, calls):
    for num_folds, seed in ((2, 5), (3, 5), (2, 6)):
        run_kfold("paper_as_published", made_dataset, "full", seed, True, num_folds, folders)
    plan = get_experiment("paper_as_published", "full")
    expected = replace(plan.phases[-1], name="fold", epochs=10, patience=3)  # the author's cell 20
    assert expected.min_delta == 0.001 and expected.batch_size == 32
    assert all(replace(call.phase, batch_size=32) == expected for call in calls.phase)
    seeds = [call.seed for call in calls.phase]
    assert len(set(seeds)) == 3 and seeds[:2] == seeds[2:4] and seeds[4] == seeds[6]  # of seed and fold
    assert [call.seed for call in calls.method] == [5, 5, 6] and {c.data_key for c in calls.method} == {
        made_dataset.checksum
    }
    assert len({call.checkpoint.path for call in calls.phase}) == 7
    parts = [(call.training.indices, call.validation.indices) for call in calls.phase[2:5]]
    assert [tuple(map(len, part)) for part in parts] == [(200, 100)] * 3
    assert sorted(np.concatenate([validation for _, validation in parts])) == [*range(300)]
    assert not any(np.intersect1d(*part).size for part in parts)


@pytest.mark.parametrize("leaky", [False, True])
def test_folds_computed_in_two_ways_have_a_warning(made_dataset, folders, calls, monkeypatch, leaky):
    ways = iter([{"step": "engine", "threads": 1}, {"step": "keras", "threads": 1}, {"step": "keras", "threads": 1}])
    train_experiment, train_phase = kfold.train_experiment, sequence.train_phase

    def method(plan, sequence):
        sequence.records.append({"computing": [next(ways)], "seconds": 0.0})
        return train_experiment(plan, sequence)

    phase = lambda *given, **named: replace(train_phase(*given, **named), computing=[next(ways)])  # noqa: E731
    monkeypatch.setattr(kfold, "train_experiment", method)
    monkeypatch.setattr(sequence, "train_phase", phase)
    result = run_kfold("paper", made_dataset, "quick", 0, leaky, 2, folders)
    assert [warning for warning in result["warnings"] if "step engine, threads 1; step keras, threads 1" in warning]


def test_the_folds_and_their_validation_parts_are_pinned(made_dataset, folders, calls):
    """Committed results rest on them."""
    run_kfold("paper", made_dataset, "quick", seed=3, num_folds=3, folders=folders)
    parts = [part.indices for call in calls.method for part in (call.training, call.validation)]
    assert [len(part) for part in parts] == [180, 20] * 3
    digest = hashlib.sha256(np.concatenate(parts).astype("<i8").tobytes()).hexdigest()[:16]
    assert digest == "93c197257ee225da"


@pytest.mark.parametrize("leaky", [False, True])
def test_the_folds_are_of_all_training_images_also_of_the_users_validation_images(made_dataset, tmp_path, calls, leaky):
    given = replace(made_dataset, is_validation=np.arange(300) < 30)
    for name, data in (("drawn", made_dataset), ("given", given)):
        run_kfold("paper", data, "quick", 0, leaky, 2, Folders(tmp_path / name, tmp_path / "cache"))
    for phases in (calls.method, calls.phase):
        found = [np.concatenate([call.training.indices, [-1], call.validation.indices]) for call in phases]
        for drawn, given in zip(found[: len(found) // 2], found[len(found) // 2 :], strict=True):
            np.testing.assert_array_equal(drawn, given)
    assert len(calls.method) == (2 if leaky else 4)


def test_a_leaky_fold_of_other_epochs_or_of_another_method_has_another_key(made_dataset, tmp_path, calls, monkeypatch):
    size = get_preset("quick")
    for method, epochs in (("paper", 2), ("paper", 3), ("reinit_merge", 3)):  # both end in the same phase
        monkeypatch.setattr(kfold, "get_preset", lambda name, epochs=epochs: replace(size, fold_epochs=epochs))
        folders = Folders(results=tmp_path / str(epochs), cache=tmp_path / "cache")
        run_kfold(method, made_dataset, "quick", 0, True, 2, folders)
    assert [call.phase.epochs for call in calls.phase] == [2, 2, 3, 3, 3, 3]
    assert len({call.checkpoint.path for call in calls.phase}) == 6


@pytest.mark.parametrize(
    "leaky, num_folds, seed, name",
    [(False, 2, 0, "kfold2_seed0.json"), (False, 3, 4, "kfold3_seed4.json"), (True, 2, 1, "kfold2_leaky_seed1.json")],
)
def test_the_file_is_named_by_kind_number_of_folds_and_seed(made_dataset, folders, calls, leaky, num_folds, seed, name):
    result = run_kfold("paper", made_dataset, "quick", seed, leaky, num_folds, folders)
    folder = folders.result("made", "paper", "quick", 0).parent
    assert [path.name for path in folder.iterdir()] == [name]
    assert json.loads((folder / name).read_text()) == result
    assert (result["leaky"], result["num_folds"], result["seed"]) == (leaky, num_folds, seed)


@pytest.mark.parametrize("of_preset, of_plan, expected", [(120, None, 120), (None, 90, 90), (120, 90, 90)])
@pytest.mark.parametrize("leaky", [False, True])
def test_the_folds_are_of_as_many_images_as_preset_and_experiment_allow(
    made_dataset, folders, calls, monkeypatch, leaky, of_preset, of_plan, expected
):
    size, plan = get_preset("quick"), get_experiment("paper", "quick")
    monkeypatch.setattr(kfold, "get_preset", lambda name: replace(size, num_images=of_preset))
    monkeypatch.setattr(identity, "get_experiment", lambda *names: replace(plan, num_images=of_plan, validation=0.2))
    run_kfold("paper", made_dataset, "quick", 0, leaky, 3, folders)
    folds = calls.phase if leaky else calls.method
    seen = [np.union1d(call.training.indices, call.validation.indices) for call in folds]
    assert {len(indices) for indices in seen} == {expected if leaky else expected * 2 // 3}
    images = np.unique(np.concatenate(seen))
    assert len(images) == expected
    assert (np.bincount(made_dataset.y_train[images], minlength=10) == expected // 10).all()


def test_a_distilled_experiment_is_refused_since_its_teacher_has_seen_every_fold(made_dataset, folders):
    with pytest.raises(LwcnnError, match="teacher was trained on the images of every fold"):
        run_kfold("residual_se_distilled", made_dataset, "smoke", folders=folders)

"""K-fold: which images each fold sees, from scratch and leaking, and what is written."""

import json

import numpy as np
import pytest

from lwcnn.experiments import kfold
from lwcnn.experiments.kfold import run_kfold
from lwcnn.system.errors import LwcnnError


def test_folds_from_scratch_never_see_what_they_are_assessed_on(made_dataset, folders, monkeypatch):
    seen, assessed = [], []
    train, predict = kfold.train_method, kfold.predict_logits

    def spy(plan, training, validation, *rest):
        seen.append(np.concatenate([training.indices, validation.indices]))
        return train(plan, training, validation, *rest)

    def spy_predict(model, images):
        assessed.append(images)
        return predict(model, images)

    monkeypatch.setattr(kfold, "train_method", spy)
    monkeypatch.setattr(kfold, "predict_logits", spy_predict)
    result = run_kfold("head_only", made_dataset, "smoke", num_folds=3, folders=folders)
    assert len(result["accuracies"]) == 3 and not result["leaking"]
    num_images = len(made_dataset.y_train)
    for inside, images in zip(seen, assessed):
        outside = np.setdiff1d(np.arange(num_images), inside)
        assert len(inside) + len(outside) == num_images and len(np.unique(inside)) == len(inside)
        np.testing.assert_array_equal(images, made_dataset.x_train[outside])
    assert sum(map(len, assessed)) == num_images
    assert result["mean_accuracy"] == pytest.approx(np.mean(result["accuracies"]))


def test_leaking_folds_go_on_with_one_model(made_dataset, folders, monkeypatch):
    starts, ends = [], []
    train = kfold.train_phase

    def spy(model, *rest, **named):
        starts.append(model.get_weights())
        state = train(model, *rest, **named)
        ends.append(model.get_weights())
        return state

    monkeypatch.setattr(kfold, "train_phase", spy)
    result = run_kfold("paper_as_published", made_dataset, "smoke", leaking=True, num_folds=2, folders=folders)
    assert len(starts) == 2
    for end, start in zip(ends[0], starts[1]):
        np.testing.assert_array_equal(end, start)
    assert result["leak"] == pytest.approx(np.mean(result["accuracies"]) - result["test_accuracy"])


def test_finished_kfold_is_found_and_another_configuration_refused(made_dataset, folders, monkeypatch):
    first = run_kfold("head_only", made_dataset, "smoke", num_folds=2, folders=folders)
    monkeypatch.setattr(kfold, "train_method", None)
    assert run_kfold("head_only", made_dataset, "smoke", num_folds=2, folders=folders) == first
    path = folders.result("made", "head_only", "smoke", 0).with_name("kfold2_seed0.json")
    path.write_text(json.dumps(first | {"config": first["config"] | {"dropout": 0.1}}))
    with pytest.raises(LwcnnError, match="dropout"):
        run_kfold("head_only", made_dataset, "smoke", num_folds=2, folders=folders)


def test_one_fold_is_refused(made_dataset, folders):
    with pytest.raises(LwcnnError, match="Received: 1"):
        run_kfold("paper", made_dataset, "smoke", num_folds=1, folders=folders)

"""The search: trials as data, at equal size, judged without the test images."""

import dataclasses
import json

import numpy as np
import pytest

from lwcnn.data import image_spec
from lwcnn.experiments import search
from lwcnn.experiments.pipeline import TrainedMethod
from lwcnn.models.dual import build_submodel
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.system.settings import plain_settings


def test_there_are_forty_trials_or_more_each_another_and_within_the_limit():
    found = search.trials(image_spec("cifar10"), 12)
    assert len(found) >= 40
    recorded = {json.dumps([plain_settings(plan.network), plain_settings(plan.phases)]) for plan in found.values()}
    assert len(recorded) == len(found)
    for name, network in search._networks().items():
        assert 25_000 < build_residual_se((32, 32, 3), 10, network).count_params() < 30_000, name
    assert all(plan.phases[0].epochs == 12 for plan in found.values())


def test_a_trial_is_kept_without_a_look_at_the_test_images(made_dataset, tmp_path, monkeypatch):
    monkeypatch.setattr(
        search, "BASE_NETWORK", search.ResidualSEConfig(stem=8, stages=(search.Stage(8, 1, 3),), se_reduction=2)
    )
    blind = dataclasses.replace(made_dataset, x_test=None, y_test=None)
    result = search.run_trial("sgd", blind, 1, tmp_path, tmp_path / "cache")
    path = tmp_path / "search" / "made" / "1epochs" / "sgd-seed0.json"
    assert json.loads(path.read_text()) == result
    assert result["config"]["phases"][0]["optimizer"]["name"] == "sgd"
    assert not any("test" in key for key in result)
    assert 0 <= result["val_accuracy"] <= 1 and np.isfinite(result["history"][0]["loss"])
    before = path.stat().st_mtime_ns
    assert search.run_trial("sgd", blind, 1, tmp_path, tmp_path / "cache") == result
    assert path.stat().st_mtime_ns == before


def test_a_trial_trains_on_all_images_with_its_seed_and_is_judged_by_its_last_epoch(
    made_dataset, tmp_path, monkeypatch
):
    data = dataclasses.replace(
        made_dataset, x_train=np.tile(made_dataset.x_train, (3, 1, 1, 1)), y_train=np.tile(made_dataset.y_train, 3)
    )
    seen = []

    def train_method(plan, split, num_classes, seed, *, cache, progress):
        seen.append((plan.name, len(split.training), len(split.validation), seed, cache.data_key))
        history = [{"val_accuracy": value, "accuracy": value + 0.1} for value in (0.5, 0.7, 0.6)]
        return TrainedMethod(build_submodel(data.input_shape, 10), [{"history": history, "computing": []}], 1.0)

    monkeypatch.setattr(search, "train_method", train_method)
    result = search.run_trial("sgd", data, 3, tmp_path, tmp_path / "cache", seed=4)
    assert seen == [("sgd", 810, 90, 4, data.checksum)]
    assert (result["val_accuracy"], result["train_accuracy"], result["seed"]) == (0.6, 0.7, 4)
    assert (tmp_path / "search/made/3epochs/sgd-seed4.json").exists()


def test_an_unknown_trial_is_refused_with_the_nearest(made_dataset, tmp_path):
    with pytest.raises(LwcnnError, match="Did you mean 'cutmix'"):
        search.run_trial("cutmx", made_dataset, 1, tmp_path, tmp_path)


@pytest.mark.parametrize("content", ["null", "{}", "[1]", '{"config": {}, "data_checksum": "a", "val_accuracy": 1}'])
def test_a_trial_file_of_another_configuration_or_none_is_refused(made_dataset, tmp_path, monkeypatch, content):
    monkeypatch.setattr(search, "train_method", None)
    path = tmp_path / "search" / "made" / "1epochs" / "sgd-seed0.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(LwcnnError, match="sgd-seed0.json"):
        search.run_trial("sgd", made_dataset, 1, tmp_path, tmp_path / "cache")
    assert path.read_text() == content

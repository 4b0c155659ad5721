"""The results folder as data frames: a row per run, fold and trial; files that are not results are named."""

import json

import pytest
from publication.made_results import write_folds, write_run

import lwcnn
from lwcnn.experiments.results import load_correct, load_folds, load_results, load_trials
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json


def test_a_run_is_a_row_and_a_copy_is_none(tmp_path):
    write_run(tmp_path, "cifar10/paper/quick", 0, wrong=20)
    path = write_run(tmp_path, "mnist/paper/full", 10, wrong=10)
    path.with_name("seed0 (copy).json").write_text("{}")
    write_run(tmp_path, "mnist/paper/full", 9, wrong=30)
    write_run(tmp_path, "mine/paper/full", 0, wrong=0)
    runs = lwcnn.load_results(tmp_path)
    order = list(zip(runs["dataset"], runs["seed"], strict=True))
    assert order == [("mnist", 9), ("mnist", 10), ("cifar10", 0), ("mine", 0)]
    assert runs["test_accuracy"].tolist() == [0.7, 0.9, 0.8, 1.0]
    assert load_correct(tmp_path, runs[runs["dataset"] == "mnist"]).sum(axis=1).tolist() == [70, 90]


def test_an_empty_folder_has_the_columns(tmp_path):
    for load in (load_results, load_folds, load_trials):
        assert load(tmp_path).empty and "dataset" in load(tmp_path)


@pytest.mark.parametrize(
    "content, said",
    [
        ("{}", "lacks 'dataset'"),
        ("[1]", "Not a complete JSON"),
        ("null", "Not a complete JSON"),
        ('{"a"', "Not a complete JSON"),
    ],
)
def test_a_file_that_is_no_run_is_named(tmp_path, content, said):
    path = write_run(tmp_path, "mnist/paper/full", 0, wrong=0)
    path.write_text(content)
    with pytest.raises(LwcnnError, match=said) as raised:
        load_results(tmp_path)
    assert str(path) in str(raised.value)


def test_a_lacking_key_is_named(tmp_path):
    path = write_run(tmp_path, "mnist/paper/full", 0, wrong=0)
    run = json.loads(path.read_text())
    del run["ece"]
    path.write_text(json.dumps(run))
    with pytest.raises(LwcnnError, match=rf"lacks 'ece'.*{path}"):
        load_results(tmp_path)


@pytest.mark.parametrize(
    "changes", [{"test_accuracy": "high"}, {"experiment": 5}, {"history": None}, {"history": [5]}, {"params": "20k"}]
)
def test_a_value_of_another_type_is_named(tmp_path, changes):
    path = write_run(tmp_path, "mnist/paper/full", 0, wrong=0, **changes)
    (key,) = changes
    with pytest.raises(LwcnnError, match=f"{path} is damaged.*{key}="):
        load_results(tmp_path)


@pytest.mark.parametrize("trials", [5, [5], {"0": {}}])
def test_trials_of_another_type_are_named(tmp_path, trials):
    path = tmp_path / "search/cifar10-12epochs.json"
    write_json(path, {"dataset": "cifar10", "trials": trials})
    with pytest.raises(LwcnnError, match=f"{path} is damaged.*trials="):
        load_trials(tmp_path)


def test_folds_are_rows(tmp_path):
    write_folds(tmp_path, "mnist/paper/quick", [0.9, 0.92])
    write_folds(tmp_path, "mnist/paper/quick", [0.99, 0.97], leaky=True, test_accuracy=0.95, leak=0.03)
    folds = load_folds(tmp_path)
    assert folds["fold"].tolist() == [0, 1, 0, 1] and folds["accuracy"].tolist() == [0.9, 0.92, 0.99, 0.97]

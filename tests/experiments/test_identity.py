"""A finished run or K-fold cross-validation is loaded, and the reader is told what it was made with."""

import json
from dataclasses import replace

import numpy as np
import pytest

from lwcnn.data.datasets import load_dataset
from lwcnn.experiments import run
from lwcnn.experiments.identity import Run
from lwcnn.experiments.kfold import run_kfold
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.run import run_experiment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.training.progress import Progress


@pytest.fixture(params=["run", "kfold"])
def finished(request, made_dataset, folders):
    """Path, content and loader of a result of each kind."""
    plan = get_experiment("paper", "smoke", made_dataset.spec)
    result = Run(plan, made_dataset, "smoke", 0).identity
    path, progress = folders.result("made", "paper", "smoke", 0), Progress("line")
    arguments = {"folders": folders, "progress": progress}
    if request.param == "run":
        return (
            path,
            result | {"test_accuracy": 0.9},
            lambda: run_experiment("paper", made_dataset, "smoke", **arguments),
        )
    result["config"] |= {"num_folds": 2, "leaky": False}
    result |= {"mean_accuracy": 0.9}
    path = path.with_name("kfold2_seed0.json")
    return path, result, lambda: run_kfold("paper", made_dataset, "smoke", num_folds=2, **arguments)


@pytest.mark.parametrize("name", ["a/b", "../x", "..", ".", ""])
def test_a_name_that_is_no_single_folder_is_refused_before_training(name, made_dataset, folders, tmp_path):
    plan = replace(get_experiment("paper", "smoke", made_dataset.spec), name=name)
    with pytest.raises(LwcnnError, match=f"a folder's name, without separators. Received: '{name}'$"):
        run_experiment(plan, made_dataset, "smoke", folders=folders)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["step", "backend"])
def test_a_result_of_another_step_or_backend_is_taken_and_said_with_its_warnings(finished, name, capsys):
    path, result, load = finished
    write_json(path, result | {name: "another", "warnings": ["no class is predicted"]})
    assert load() == load() == json.loads(path.read_text())
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith(f"{path} is used as it is: it was made with {name} another, this process has ")
    assert said[1].startswith("finished before: ") and said[1].endswith(f"accuracy 90.00%, {path}")
    assert said[2] == "warning: no class is predicted"
    assert len(said) == 6


def test_a_result_of_more_phases_is_refused(finished):
    path, result, load = finished
    write_json(path, result | {"config": result["config"] | {"phases": 2 * list(result["config"]["phases"])}})
    with pytest.raises(LwcnnError, match="another configuration.*differs in: phases$"):
        load()


@pytest.mark.parametrize(
    "change, words",
    [
        ({"config": {}}, "another configuration"),
        ({"data_checksum": "0" * 64}, "made with other images"),
        ({"test_accuracy": None, "mean_accuracy": [0.9]}, "not the result of a run"),
    ],
)
def test_a_result_of_another_configuration_or_other_images_is_refused(finished, change, words):
    path, result, load = finished
    write_json(path, result | change)
    with pytest.raises(LwcnnError, match=words):
        load()


@pytest.mark.parametrize("limit", [None, 50])
def test_the_validation_images_of_a_source_are_those_of_a_run(limit, made_dataset, folders, monkeypatch):
    data, splits, train = made_dataset, [], run.train_experiment
    monkeypatch.setattr(run, "train_experiment", lambda *args: splits.append(args[1].split) or train(*args))
    parts = {"train": (data.x_train[90:], data.y_train[90:]), "val": (data.x_train[:90], data.y_train[:90])}
    data = load_dataset(parts | {"test": (data.x_test, data.y_test)})
    plan = replace(get_experiment("head_only", "smoke", data.spec), num_images=limit)
    result = run_experiment(plan, data, "smoke", folders=folders)
    ((training, validation),) = splits
    assert result["num_train_images"] == len(training) == (limit or 210)
    assert result["num_val_images"] == len(validation) == 90
    np.testing.assert_array_equal(data.x_train[validation.indices], made_dataset.x_train[:90])
    assert not data.is_validation[training.indices].any() and set(training.chosen_labels) == set(range(10))


@pytest.mark.parametrize("seed", [0, 2**32 - 1, np.int64(3)])
def test_a_seed_of_numpy_is_written_as_a_number(made_dataset, seed):
    plan = get_experiment("paper", "smoke", made_dataset.spec)
    assert json.dumps(Run(plan, made_dataset, "smoke", seed).identity["seed"]) == str(seed)


@pytest.mark.parametrize("seed", [-1, 2**32, 1.0])
def test_a_seed_is_one_that_keras_and_numpy_take(made_dataset, seed):
    plan = get_experiment("paper", "smoke", made_dataset.spec)
    with pytest.raises(LwcnnError, match=f"seed from 0 to 4,294,967,295. Received: {seed}"):
        Run(plan, made_dataset, "smoke", seed)

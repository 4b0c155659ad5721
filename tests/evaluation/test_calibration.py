"""Calibration of runs, measured with them or added later."""

import json

import numpy as np
import pytest

from lwcnn.evaluation import measure_calibration
from lwcnn.experiments.calibration import add_calibration
from lwcnn.experiments.run import Folders, run_experiment

KEYS = ("temperature", "ece_scaled", "test_loss_scaled")


def test_the_temperature_is_that_of_the_validation_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    logits = 2 * np.eye(3)[labels] + rng.normal(size=(4000, 3))
    honest = measure_calibration(logits[:2000], labels[:2000], logits[2000:], labels[2000:])
    loud = measure_calibration(4 * logits[:2000], labels[:2000], 4 * logits[2000:], labels[2000:])
    assert loud["temperature"] == pytest.approx(4 * honest["temperature"], rel=1e-4)
    assert loud["ece_scaled"] == pytest.approx(honest["ece_scaled"], abs=1e-4) and loud["ece_scaled"] < 0.03
    unlike = measure_calibration(4 * logits[:2000], labels[:2000], logits[2000:], labels[2000:])
    assert unlike["ece_scaled"] > 0.1  # it is not fitted on the test images


def test_a_run_has_it_and_an_older_one_gets_the_same(made_dataset, folders):
    result = run_experiment("single", made_dataset, "smoke", 0, folders)
    assert set(KEYS) <= set(result)
    path = folders.result(made_dataset.name, "single", "smoke", 0)
    path.write_text(json.dumps({k: v for k, v in result.items() if k not in KEYS}))
    assert add_calibration(made_dataset, folders) == [path]
    again = json.loads(path.read_text())
    assert {k: again[k] for k in result if k not in KEYS} == {k: v for k, v in result.items() if k not in KEYS}
    for key in KEYS:
        assert again[key] == pytest.approx(result[key], rel=1e-5)
    assert add_calibration(made_dataset, folders) == [], "it is there now"


def test_without_its_model_a_run_is_left_alone(made_dataset, folders):
    result = run_experiment("single", made_dataset, "smoke", 0, folders)
    path = folders.result(made_dataset.name, "single", "smoke", 0)
    older = json.dumps({k: v for k, v in result.items() if k not in KEYS})
    path.write_text(older)
    assert add_calibration(made_dataset, Folders(folders.results, folders.cache / "none")) == []
    assert path.read_text() == older
    other = json.loads(older) | {"test_accuracy": result["test_accuracy"] - 0.5}
    path.write_text(json.dumps(other))
    assert add_calibration(made_dataset, folders) == [], "that is not the model of this result"

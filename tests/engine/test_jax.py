"""The library on JAX, in a process in which TensorFlow can't be imported."""

import importlib.util
import json

import pytest
from made_data import run_python

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is an option", allow_module_level=True)

SMOKE = """
import dataclasses
import json
import os
import sys
from pathlib import Path


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "torch"):
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocked())
from lwcnn.data.datasets import load_dataset
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.run import Folders, run_experiment
from lwcnn.models.configs import Stage

data, folder = load_dataset(sys.argv[1]), Path(sys.argv[2])
paper, residual = (get_experiment(name, "smoke", data.spec) for name in ("paper", "residual_se_small"))
network = dataclasses.replace(residual.network, stem=16, stages=(Stage(16, 1, 3),))  # compiled sooner
for step in ("engine", "keras"):
    os.environ["LWCNN_STEP"] = step
    for plan in (paper, dataclasses.replace(residual, network=network)):
        folders = Folders(folder / step / "results", folder / "cache")
        result = run_experiment(plan, data, "smoke", 0, folders)
        print(json.dumps(result))
assert not {"tensorflow", "torch"} & set(sys.modules)
import keras

model = keras.saving.load_model(folders.model(result))
assert model.count_params() == result["params"]
"""


def test_smoke_runs_train_on_jax_with_tensorflow_blocked(made_npz, tmp_path):
    """The paper's method and the residual network, with the engine and without."""
    done = run_python(SMOKE, made_npz, tmp_path, KERAS_BACKEND="jax")
    runs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [run["experiment"] for run in runs] == ["paper", "residual_se_small"] * 2
    for run, step in zip(runs, ("engine", "engine", "keras", "keras"), strict=True):
        assert run["backend"] == "jax" and "jax" in run["versions"] and run["step"] == step
        assert run["history"][0]["history"][0]["loss"] > 0
        paper = run["experiment"] == "paper"
        assert [phase["name"] for phase in run["history"]] == (["dual", "head", "all"] if paper else ["all"])
        assert not paper or run["params"] == 5_622
        # The name of the data set ends in a checksum.
        (path,) = (tmp_path / step / "results").glob(f"made*/{run['experiment']}/smoke/seed0.json")
        assert json.loads(path.read_text()) == run

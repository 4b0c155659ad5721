"""The library on JAX and on PyTorch, in a process in which no other backend can be imported."""

import importlib.util
import json

import pytest
from made_data import run_python

SMOKE = """
import dataclasses
import json
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

BLOCKED = {"tensorflow", "jax", "torch"} - {os.environ["KERAS_BACKEND"]}


class Finder(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.split(".")[0] in BLOCKED else super().find_spec(name, path, target)


sys.meta_path[:] = [Finder if finder is PathFinder else finder for finder in sys.meta_path]
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
assert not BLOCKED & set(sys.modules)
import keras

model = keras.saving.load_model(folders.model(result))
assert model.count_params() == result["params"]
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_smoke_runs_train_with_the_other_backends_blocked(backend, made_npz, tmp_path):
    """The paper's method and the residual network, with the engine and without."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is an option")
    done = run_python(SMOKE, made_npz, tmp_path, KERAS_BACKEND=backend)
    runs = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert [run["experiment"] for run in runs] == ["paper", "residual_se_small"] * 2
    for run, step in zip(runs, ("engine", "engine", "keras", "keras"), strict=True):
        assert run["backend"] == backend and backend in run["versions"] and run["step"] == step
        assert run["history"][0]["history"][0]["loss"] > 0
        paper = run["experiment"] == "paper"
        assert [phase["name"] for phase in run["history"]] == (["dual", "head", "all"] if paper else ["all"])
        assert not paper or run["params"] == 5_622
        # The name of the dataset ends in a checksum.
        (path,) = (tmp_path / step / "results").glob(f"made*/{run['experiment']}/smoke/seed0.json")
        assert json.loads(path.read_text()) == run

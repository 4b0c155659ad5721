"""The library on JAX, in a process in which TensorFlow can't be imported."""

import importlib.util
import json

import pytest
from made_data import run_python

if importlib.util.find_spec("jax") is None:
    pytest.skip("JAX is an option", allow_module_level=True)

SMOKE = """
import json
import sys
from pathlib import Path


class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "torch"):
            raise ImportError(f"{name} is blocked")


sys.meta_path.insert(0, Blocked())
data, folder, experiment = sys.argv[1], Path(sys.argv[2]), sys.argv[3]
from lwcnn.experiments.run import Folders, run_experiment

result = run_experiment(experiment, data, "smoke", 0, Folders(folder / "results", folder / "cache"))
assert not {"tensorflow", "torch"} & set(sys.modules)
import keras

model = keras.saving.load_model(Folders(folder / "results", folder / "cache").model(result))
assert model.count_params() == result["params"]
print(json.dumps(result))
"""


def train_smoke(made_npz, folder, experiment, step):
    """The result of a run on JAX, which is that in its file."""
    done = run_python(SMOKE, made_npz, folder, experiment, KERAS_BACKEND="jax", LWCNN_STEP=step)
    result = json.loads(done.stdout.splitlines()[-1])
    assert result["backend"] == "jax" and "jax" in result["versions"]
    assert result["history"][0]["history"][0]["loss"] > 0
    (path,) = (folder / "results").glob(f"made*/{experiment}/smoke/seed0.json")  # the name ends in a checksum
    assert json.loads(path.read_text()) == result
    return result


@pytest.mark.parametrize("step", ["", "keras"])  # the engine, where Numba is there, and without
def test_smoke_trains_on_jax_with_tensorflow_blocked(made_npz, tmp_path, step):
    result = train_smoke(made_npz, tmp_path, "paper", step)
    assert [phase["name"] for phase in result["history"]] == ["dual", "head", "all"]
    assert result["params"] == 5_622


@pytest.mark.parametrize("step", ["", "keras"])
def test_the_residual_network_trains_on_jax_with_tensorflow_blocked(made_npz, tmp_path, step):
    result = train_smoke(made_npz, tmp_path, "residual_se_small", step)
    assert [phase["name"] for phase in result["history"]] == ["all"]

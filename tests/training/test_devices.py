"""Training on two virtual CPU devices with JAX, in processes of their own: the same curves as on one."""

import json
import socket
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from made_data import run_python

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.training.steps import KerasEpoch

CURVES = """
import sys
import json
import numpy as np
from lwcnn.system import environment
environment.load_backend()
environment.load_backend()  # as does each name of `lwcnn` that needs a backend
from lwcnn.data.datasets import load_dataset
from lwcnn.experiments.recipes import NetworkExperiment
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.models.configs import ResNetConfig, ResNetStage
from lwcnn.training.devices import Computing
from lwcnn.data.images import Images, Split
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase

data = load_dataset(sys.argv[1])
training = Images(data.x_train, data.y_train, np.arange(132))  # a smaller batch, of 4, is the last
validation = Images(data.x_train, data.y_train, np.arange(132, 233))
optimizer = OptimizerConfig("sgd", 0.02, momentum=0.9, weight_decay=1e-3, warmup=0.2, ema=0.9)
phase = Phase("all", optimizer, 3, batch_size=32, label_smoothing=0.05)
network = ResNetConfig(8, (ResNetStage(16, 1, 2),))  # batch norm, no dropout, whose draws differ
plan = NetworkExperiment(name="tiny", question="", phases=(phase,), network=network)


def train(devices):
    computing = Computing(devices=devices)
    computing.require_possible()
    sequence = PhaseSequence(Split(training, validation), 10, seed=0, computing=computing)
    model = train_experiment(plan, sequence)
    assert environment.num_replicas() == 1
    logits = model.predict(data.x_test, verbose=0)
    return {"history": sequence.records[0]["history"], "logits": logits.tolist()}


print(json.dumps([train(1), train(2)]))
"""
RUN = "import sys\nfrom lwcnn.cli.main import main\nsys.exit(main(sys.argv[1:]))"
TWO_DEVICES = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}


def assert_same_curves(one, two):
    for a, b in zip(one["history"], two["history"], strict=True):
        assert b["loss"] == pytest.approx(a["loss"], rel=1e-3)
        assert b["accuracy"] == pytest.approx(a["accuracy"], abs=0.02)
        assert b["val_accuracy"] == pytest.approx(a["val_accuracy"], abs=0.02)
    assert one["history"][-1]["loss"] < one["history"][0]["loss"]
    np.testing.assert_allclose(two["logits"], one["logits"], atol=0.01)


def test_two_devices_give_the_curves_of_one(made_npz):
    pytest.importorskip("jax")
    done = run_python(CURVES, made_npz, **TWO_DEVICES)
    assert_same_curves(*json.loads(done.stdout.splitlines()[-1]))


def in_two_processes(script, *arguments):
    """Runs a script in two processes of JAX, as on two hosts, and returns their standard outputs."""
    pytest.importorskip("jax")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    hosts = {"KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}", "KERAS_DISTRIBUTION_NUM_PROCESSES": "2"}

    def run(number):
        own = {"KERAS_BACKEND": "jax", "XLA_FLAGS": "", "KERAS_DISTRIBUTION_PROCESS_ID": str(number)}
        return run_python(script, *arguments, **hosts, **own).stdout

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(run, range(2)))


def test_two_hosts_give_the_curves_of_one(made_npz):
    for output in in_two_processes(CURVES, made_npz):
        assert_same_curves(*json.loads(output.splitlines()[-1]))


def test_the_command_trains_on_two_devices(made_npz, tmp_path):
    pytest.importorskip("jax")
    folders = [f"--{name}={tmp_path / name}" for name in ("results", "cache", "models")]
    line = ["train", "single", "--preset=smoke", f"--dataset={made_npz}", "--devices=2", *folders]
    run_python(RUN, *line, **TWO_DEVICES)
    (written,) = tmp_path.glob("results/made-*/single/smoke/seed0.json")
    result = json.loads(written.read_text())
    assert result["num_devices"] == 2 and result["config"]["computing"] == {"devices": 2}


class Recorder:
    def __init__(self):
        self.sizes = []

    def train_on_batch(self, x, y, return_dict):
        assert len(x[0]) == len(x[1]) == len(y)
        self.sizes.append(len(y))
        return {"loss": len(y)}


def test_devices_get_equal_parts_of_a_batch(monkeypatch):
    monkeypatch.setattr(environment, "num_replicas", lambda: 4)
    epoch = KerasEpoch(model := Recorder())
    logs = [epoch.step((np.zeros((n, 2)), np.ones((n, 2))), np.zeros(n)) for n in (8, 7, 3)]
    assert model.sizes == [8, 4]
    assert logs[1] == logs[2] == {"loss": pytest.approx((8 * 8 + 4 * 4) / 12)}
    with pytest.raises(LwcnnError, match="Received: 4 devices, 3 images"):
        KerasEpoch(Recorder()).step(np.zeros((3, 2)), np.zeros(3))

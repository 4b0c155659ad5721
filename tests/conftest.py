"""Shared fixtures: generated data, temporary folders, and quiet backends."""

import os

# Before anything imports a backend: its C++ code reads these once.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # tests compare bits and rounding: on the CPU

import logging  # noqa: E402
from dataclasses import replace  # noqa: E402

import keras  # noqa: E402
import pytest  # noqa: E402
from made_data import write_npz  # noqa: E402

from lwcnn.data.datasets import load_dataset  # noqa: E402
from lwcnn.experiments.folders import Folders  # noqa: E402

LONGEST_FIRST = (
    "test_notebook.py",
    "test_digits.py",
    "test_cluster.py",
    "test_epoch.py",
    "test_cli.py",
    "test_devices.py",
)


def pytest_collection_modifyitems(items):
    """Puts the files that take longest first, so that no process waits for another at the end."""
    items.sort(key=lambda item: LONGEST_FIRST.index(name) if (name := item.path.name) in LONGEST_FIRST else 9)


def pytest_configure(config):
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # retracing: each test has models of its own


@pytest.fixture(autouse=True)
def _own_environment():
    """Undoes each test's changes to the environment variables, including the library's."""
    before = dict(os.environ)
    yield
    if before != dict(os.environ):
        os.environ.clear()
        os.environ.update(before)


@pytest.fixture(autouse=True, scope="module")
def _without_leftovers():
    """Frees a module's models, so that they do not slow down the next one (doing so after each test is slower)."""
    yield
    keras.backend.clear_session()


@pytest.fixture(scope="session")
def made_npz(tmp_path_factory):
    """Path of an .npz with Keras's keys: 300 training and 100 test images 12x12x3 of 10 classes."""
    return write_npz(tmp_path_factory.mktemp("data") / "made.npz")


@pytest.fixture(scope="session")
def made_dataset(made_npz):
    """The dataset in `made_npz`, loaded, under a short name (a file's has its checksum)."""
    return replace(load_dataset(made_npz), name="made")


@pytest.fixture
def folders(tmp_path):
    """Temporary folders for results, cache and models."""
    return Folders(tmp_path / "results", tmp_path / "cache", models=tmp_path / "models")

"""The released run: which one, what is written, and that a better one takes its place."""

import json

import keras
import numpy as np
import pytest

from lwcnn.experiments.release import LOGIT_STEP, release_best, round_logits
from lwcnn.experiments.run import Folders, keep_model, run_experiment
from lwcnn.system.files import write_json
from lwcnn.system.npz import save_npz


@pytest.fixture
def trained(tmp_path, made_dataset):
    """Folders with one real run, and a function that adds a copy of it as another seed of other accuracy."""
    folders = Folders(tmp_path / "results", tmp_path / "cache", models=tmp_path / "models")
    first = run_experiment("paper", made_dataset, "quick", 0, folders)

    def add(seed, val_accuracy):
        result = first | {"seed": seed, "val_accuracy": val_accuracy, "weights": None}
        model = keras.saving.load_model(folders.model("made", "paper", "quick", 0), compile=False)
        keep_model(folders.model("made", "paper", "quick", seed), model)
        save_npz(folders.outputs("made", "paper", "quick", seed), logits=np.zeros((2, 2)), features=np.ones((2, 2)))
        write_json(folders.result("made", "paper", "quick", seed), result)

    return folders, add


def _weights(folders):
    paths = sorted((folders.results / "made/paper/quick").glob("seed?.json"))
    return [json.loads(path.read_text())["weights"] for path in paths]


def test_best_by_validation_is_released_and_replaced(trained):
    folders, add = trained
    add(1, 2.0)
    add(2, -1.0)
    path = release_best("made", "paper", folders)
    assert path == folders.models / "made-paper.keras" and path.exists()
    assert _weights(folders) == [None, "models/made-paper.keras", None]
    outputs = np.load(folders.results / "made/paper/quick/released.npz")
    assert outputs["seed"] == 1 and "features" in outputs
    assert release_best("made", "paper", folders) is None, "nothing new to release"
    add(3, 3.0)
    assert release_best("made", "paper", folders) == path
    assert _weights(folders) == [None, None, None, "models/made-paper.keras"]


def test_nothing_to_release(tmp_path):
    assert release_best("made", "paper", Folders(tmp_path / "a", tmp_path / "b", models=tmp_path / "c")) is None
    assert not list(tmp_path.iterdir())


def test_rounded_logits_keep_every_class():
    generator = np.random.default_rng(0)
    logits = generator.normal(0, 12, (5000, 10)).astype(np.float16)
    logits[:1000, 3] = logits[:1000].max(axis=1) + np.float16(0.004)  # nearer than a step
    rounded = round_logits(logits)
    assert rounded.dtype == np.float16
    np.testing.assert_array_equal(rounded.argmax(axis=1), logits.argmax(axis=1))
    assert np.abs(rounded.astype(float) - logits).max() <= 1.5 * LOGIT_STEP + 1e-6

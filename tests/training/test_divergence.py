"""A loss that is NaN or infinite: training stops at once, and what was good before is kept."""

import json

import keras
import numpy as np
import pytest
from made_data import make_images, randomize

from lwcnn.data.images import Images, Split
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import Diverged
from lwcnn.training import loop
from lwcnn.training.checkpoint import Checkpoint
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase
from lwcnn.training.progress import Progress
from lwcnn.training.steps import train_epoch

SHAPE, NUM_CLASSES = (10, 10, 3), 4


@pytest.fixture
def part():
    return Images(*make_images(32, SHAPE, NUM_CLASSES))


def build():
    keras.utils.set_random_seed(0)
    return randomize(build_merged_model(SHAPE, NUM_CLASSES, ("original",), dropout=0.0))


def test_divergence_in_the_first_epoch_raises_and_restores_the_weights(part):
    model = build()
    before = model.get_weights()
    phase = Phase("head", OptimizerConfig("sgd", 1e30), 3, batch_size=8)
    with pytest.raises(Diverged, match=r"epoch 1 of phase 'head'.*lower.*Received: learning_rate=1e\+30"):
        train_phase(model, phase, Split(part, part), 0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_step_is_made_after_the_loss_is_nan(part):
    model = build()
    model.compile(keras.optimizers.SGD(1e30), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    steps = []

    class Counting(Progress):
        def step(self, step, loss):
            steps.append(loss)

    images, labels = part.arrays()
    batches = [(images[i : i + 4], labels[i : i + 4]) for i in range(0, 32, 4)]
    logs = train_epoch(model, batches, Counting("none"))
    assert not np.isfinite(logs["loss"]) and len(steps) < 7


@pytest.mark.parametrize("patience", [None, 5])
@pytest.mark.parametrize("broken", ["loss", "validation"])
def test_a_later_epoch_that_diverges_ends_the_phase_with_the_best_one(part, patience, broken, monkeypatch, tmp_path):
    epochs, accuracies = iter(range(1, 9)), iter([0.5, 0.8, 0.7, 0.9])

    def train(model, *_):
        epoch = next(epochs)
        model.set_weights([np.full(w.shape, np.nan if epoch == 4 else epoch, "float32") for w in model.get_weights()])
        return {"loss": np.nan if epoch == 4 and broken == "loss" else 1.0}

    losses = iter([1.0, 1.0, 1.0, np.inf if broken == "validation" else 1.0])
    monkeypatch.setattr(loop, "validate", lambda *_: ([next(accuracies)], [next(losses)]))
    monkeypatch.setattr(loop, "train_epoch", train)
    model, path = build(), tmp_path / "state.npz"
    phase = Phase("all", OptimizerConfig("sgd", 0.1), 8, patience=patience, batch_size=8)
    state = train_phase(model, phase, Split(part, part), 0, checkpoint=Checkpoint(path))
    assert (state.finished, state.epoch, state.diverged, state.best_epoch[-1]) == (True, 3, 4, 2)
    assert {float(v) for w in model.get_weights() for v in w.flat} == {2.0}
    json.dumps(state.history, allow_nan=False)
    again = Checkpoint(path).load()  # it can be saved, and is found as it is
    assert again.diverged == 4 and again.history == state.history

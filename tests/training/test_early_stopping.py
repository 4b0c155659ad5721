"""Early stopping against Keras's own callback."""

from types import SimpleNamespace

import keras
import numpy as np

from lwcnn.training.checkpoint import PhaseState
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase
from lwcnn.training.validation import epochs_without_progress, keep_best

GENERATOR = np.random.default_rng(0)


def by_keras(phase, scores):
    """The number of epochs that are trained and the one, from 1, whose weights are kept."""
    model = SimpleNamespace(stop_training=False, weights=None)
    model.get_weights = lambda: model.weights
    model.set_weights = lambda weights: setattr(model, "weights", weights)
    callback = keras.callbacks.EarlyStopping(
        "val_accuracy",
        phase.min_delta,
        phase.patience,
        mode="max",
        restore_best_weights=True,
        start_from_epoch=phase.start_from_epoch,
    )
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, score in enumerate(scores):
        model.weights = epoch + 1
        callback.on_epoch_end(epoch, {"val_accuracy": score})
        if model.stop_training:
            break
    callback.on_train_end()
    return epoch + 1, model.weights


def by_us(phase, scores):
    variable = SimpleNamespace(path="kernel", value=None)
    model = SimpleNamespace(weights=[variable], output_names=["logits"])
    state = PhaseState()
    for score in scores:
        variable.value = np.array(state.epoch + 1)
        state.epoch += 1
        state.history.append({"val_accuracy": score})
        keep_best(state, phase, model, [score])
        assert state.wait == epochs_without_progress([record["val_accuracy"] for record in state.history], phase)
        if state.wait >= phase.patience:
            break
    return state.epoch, int(state.best_weights[0])


def test_stops_and_keeps_the_weights_as_keras_does(monkeypatch):
    monkeypatch.setattr("lwcnn.training.validation.get_values", lambda ws: [w.value.copy() for w in ws])
    seen = set()
    for _ in range(200):
        scores = GENERATOR.integers(0, 32, 12) / 64  # multiples of 1/64: no rounding decides
        phase = Phase(
            "p",
            OptimizerConfig("sgd"),
            12,
            patience=int(GENERATOR.integers(1, 5)),
            min_delta=int(GENERATOR.integers(0, 3)) / 64,
            start_from_epoch=int(GENERATOR.integers(0, 5)),
        )
        assert by_us(phase, scores) == by_keras(phase, scores), (phase, scores)
        seen.add(by_us(phase, scores)[0])
    assert len(seen) > 8  # many lengths occurred

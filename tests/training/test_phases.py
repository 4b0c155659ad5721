"""Progressive unfreezing as data: which layers a phase trains, its optimizer, and that nothing else moves."""

import re

import keras
import numpy as np
import pytest
from made_data import make_dual, make_split, randomize

from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.system.errors import LwcnnError
from lwcnn.training import frozen
from lwcnn.training.keras_optimizers import OPTIMIZERS
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import NAMES, OptimizerConfig
from lwcnn.training.phases import Phase, trainable_layer_names, unfreeze_layer_by_layer

SGD = OptimizerConfig("sgd", 0.05, momentum=0.9)
SHAPE, NUM_CLASSES = (10, 10, 3), 4
LAYERS = (
    "original_conv1",
    "augmented_conv1",
    "original_conv2",
    "augmented_conv2",
    "original_dense_as_conv",
    "augmented_dense_as_conv",
    "head_dense",
    "head_logits",
)


def phase_of(trainable="all", epochs=1, **arguments):
    return Phase("phase", arguments.pop("optimizer", SGD), epochs, trainable, batch_size=16, **arguments)


@pytest.fixture(scope="module")
def merged():
    return build_merged_model(SHAPE, NUM_CLASSES)


@pytest.mark.parametrize(
    "trains, frozen, expected",
    [
        ("all", (), LAYERS),
        (1, (), LAYERS[-1:]),
        (2, (), LAYERS[-2:]),
        (8, (), LAYERS),
        (("head_dense",), (), ("head_dense",)),
        (("*_conv?",), (), LAYERS[:4]),
        (
            ("augmented_*", "head_logits"),
            (),
            ("augmented_conv1", "augmented_conv2", "augmented_dense_as_conv", "head_logits"),
        ),
        ("all", ("head_logits",), LAYERS[:-1]),
        ("all", ("original_*", "head_*"), tuple(n for n in LAYERS if n.startswith("augmented"))),
        (3, ("head_dense",), ("augmented_dense_as_conv", "head_logits")),
    ],
)
def test_layers_that_a_phase_trains(merged, trains, frozen, expected):
    names = trainable_layer_names(merged, phase_of(trains, frozen=frozen))
    assert set(names) == set(expected) and len(names) == len(expected)
    in_the_models_order = [layer.name for layer in merged.layers if layer.name in expected]
    assert list(names) == in_the_models_order


def test_the_papers_two_steps(merged):
    head, everything = phase_of(("head_*",)), phase_of()
    assert trainable_layer_names(merged, head) == ("head_dense", "head_logits")
    assert set(trainable_layer_names(merged, everything)) == set(LAYERS)
    counts = {layer.name: layer.count_params() for layer in build_merged_model((28, 28, 1), 10).layers}
    assert sum(counts[name] for name in ("head_dense", "head_logits")) == 1_002  # the paper's summary


def test_the_reproductions_four_steps(merged):
    steps = [trainable_layer_names(merged, phase_of(trains)) for trains in (1, 2, 3, "all")]
    assert [len(step) for step in steps] == [1, 2, 3, 8]
    assert steps[0] == ("head_logits",) and steps[1] == ("head_dense", "head_logits")
    assert steps[2][0].endswith("_dense_as_conv")
    assert all(set(a) < set(b) for a, b in zip(steps, steps[1:]))


def test_layer_by_layer_from_the_last():
    model = build_merged_model(SHAPE, NUM_CLASSES)
    phases = unfreeze_layer_by_layer(model, SGD, epochs=3, patience=2, batch_size=64)
    assert [phase.trainable for phase in phases] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert len({phase.name for phase in phases}) == 8
    assert {(p.epochs, p.patience, p.batch_size, p.optimizer) for p in phases} == {(3, 2, 64, SGD)}
    steps = [trainable_layer_names(model, phase) for phase in phases]
    assert all(set(a) < set(b) for a, b in zip(steps, steps[1:]))
    assert set(steps[-1]) == set(LAYERS)


def test_layers_of_a_dual_model():
    model = make_dual(SHAPE, NUM_CLASSES)
    names = trainable_layer_names(model, phase_of(("augmented_*",)))
    assert set(names) == {"augmented_conv1", "augmented_conv2", "augmented_logits"}


@pytest.mark.parametrize("field", ["trainable", "frozen"])
def test_unknown_layers_are_refused_with_the_nearest(merged, field):
    arguments = {"trainable": "all", field: ("head_logit",)}
    with pytest.raises(LwcnnError, match="Did you mean 'head_logits'.*Received: 'head_logit'") as error:
        trainable_layer_names(merged, phase_of(**arguments))
    assert "'phase'" in str(error.value)  # which phase it stands in


@pytest.mark.parametrize("number", [9, 100])
def test_numbers_of_layers_that_are_not_there_are_refused(merged, number):
    with pytest.raises(LwcnnError, match=f"has 8 layers with weights.*last 1 to 8. Received: {number}"):
        trainable_layer_names(merged, phase_of(number))


def test_a_phase_that_trains_nothing_is_refused(merged):
    with pytest.raises(LwcnnError, match="trains no layer of merged. Received: "):
        trainable_layer_names(merged, phase_of(("head_*",), frozen=("head_*",)))


@pytest.mark.parametrize(
    "arguments",
    [
        {"epochs": 0}, {"epochs": 2.0}, {"batch_size": 0}, {"patience": 0}, {"trainable": "head_dense"},
        {"trainable": True}, {"trainable": 0}, {"trainable": -1}, {"trainable": ()}, {"frozen": "head_*"},
        {"min_delta": -0.1}, {"label_smoothing": 1.0}, {"dropout": (0.5, 1.0)}, {"dropout": (0.5,)},
        {"monitor": "loss"}, {"start_from_epoch": -1}, {"optimizer": "sgd"}, {"class_weight": "equal"},
        {"image_side": 0}, {"augmentation": "flips"}, {"mixing": 0.2}, {"best_per_branch": 1},
    ],
)  # fmt: skip
def test_impossible_phases_are_refused(arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(LwcnnError, match=f"Give {name} as .*{re.escape(f'Received: {name}={value!r}')}"):
        Phase(**{"name": "phase", "optimizer": SGD, "epochs": 1} | arguments)


# Optimizers


@pytest.mark.parametrize(
    "optimizer, kind, values",
    [
        (OptimizerConfig("nadam"), keras.optimizers.Nadam, {"learning_rate": 0.001, "weight_decay": None}),
        (OptimizerConfig("adam", 0.01), keras.optimizers.Adam, {"learning_rate": 0.01}),
        (OptimizerConfig("adamw", weight_decay=0.05), keras.optimizers.AdamW, {"weight_decay": 0.05}),
        (OptimizerConfig("rmsprop", momentum=0.5), keras.optimizers.RMSprop, {"momentum": 0.5}),
        (
            OptimizerConfig("sgd", 0.001, momentum=0.9, nesterov=True, weight_decay=1e-4),
            keras.optimizers.SGD,
            {"momentum": 0.9, "nesterov": True, "weight_decay": 1e-4, "learning_rate": 0.001},
        ),
        (OptimizerConfig("sgd", ema=0.99), keras.optimizers.SGD, {"use_ema": False, "momentum": 0.0}),
    ],
)
def test_optimizers(optimizer, kind, values):
    built = optimizer.build(num_steps=10)
    assert type(built) is kind
    for name, value in values.items():
        actual = getattr(built, name)
        actual = float(keras.ops.convert_to_numpy(actual)) if name == "learning_rate" else actual
        assert actual == (pytest.approx(value) if isinstance(value, float) else value), name
    assert optimizer.build(num_steps=10) is not built


def test_unset_arguments_keep_keras_defaults():
    assert OptimizerConfig("sgd").build(10).get_config()["momentum"] == keras.optimizers.SGD().get_config()["momentum"]
    ours, default = (o.get_config() for o in (OptimizerConfig("nadam", 0.001).build(10), keras.optimizers.Nadam()))
    assert {k: v for k, v in ours.items() if k != "name"} == {k: v for k, v in default.items() if k != "name"}


def rates(optimizer, num_steps):
    """The learning rate of every step, and of one after the last."""
    schedule = optimizer.build(num_steps)._learning_rate
    return np.array([float(keras.ops.convert_to_numpy(schedule(step))) for step in range(num_steps + 1)])


def test_schedule_rises_linearly_then_falls_to_zero_as_a_cosine():
    actual = rates(OptimizerConfig("sgd", 0.4, warmup=0.2), 50)
    steps = np.arange(51)
    rising = 0.4 * steps / 10
    falling = 0.2 * (1 + np.cos(np.pi * (steps - 10) / 40))
    np.testing.assert_allclose(actual, np.where(steps < 10, rising, falling), atol=1e-7)
    assert actual[0] == 0 and actual[10] == pytest.approx(0.4) and actual[50] == pytest.approx(0, abs=1e-8)


def test_schedule_without_warm_up_is_a_cosine():
    np.testing.assert_allclose(
        rates(OptimizerConfig("adamw", 0.4, warmup=0.0), 20), 0.2 * (1 + np.cos(np.pi * np.arange(21) / 20)), atol=1e-7
    )


def test_schedule_of_a_single_step_and_of_warm_up_alone():
    assert np.isfinite(rates(OptimizerConfig("sgd", 0.4, warmup=0.2), 1)).all()
    np.testing.assert_allclose(rates(OptimizerConfig("sgd", 0.4, warmup=1.0), 4)[:4], [0, 0.1, 0.2, 0.3], atol=1e-7)


def test_unknown_optimizers_are_refused_with_the_nearest():
    with pytest.raises(LwcnnError, match="Unknown optimizer. Did you mean 'nadam'.*Received: 'nadm'"):
        OptimizerConfig("nadm")
    assert list(OPTIMIZERS) == list(NAMES)


@pytest.mark.parametrize("optimizer", [OptimizerConfig("nadam", momentum=0.9), OptimizerConfig("adam", nesterov=True)])
def test_arguments_of_another_optimizer_are_refused(optimizer):
    with pytest.raises(LwcnnError, match=f"{optimizer.name} cannot be built: .*Received: "):
        optimizer.build(10)


@pytest.mark.parametrize(
    "settings",
    [
        {"learning_rate": -0.1}, {"learning_rate": float("nan")}, {"learning_rate": "high"}, {"momentum": 1.5},
        {"momentum": True}, {"nesterov": 1}, {"weight_decay": -1}, {"warmup": 5}, {"ema": 1.0}, {"ema": -0.1},
        {"no_weight_decay": "bias"}, {"adam_ratio": -1}, {"lookahead": 0}, {"drops": (0.5, 1.5)}, {"drops": 0.5},
    ],
)  # fmt: skip
def test_values_of_an_optimizer_out_of_range_are_refused(settings):
    ((name, value),) = settings.items()
    with pytest.raises(LwcnnError, match=f"Give {name} as .*{re.escape(f'Received: {name}={value!r}')}"):
        OptimizerConfig("sgd", **settings)


@pytest.mark.parametrize("changes", [{"drops": (0.7, 0.5)}, {"warmup": 0.2}, {"name": "one_cycle"}])
def test_drops_are_in_order_and_the_only_schedule(changes):
    with pytest.raises(LwcnnError, match="Give drops in ascending order and without any other schedule"):
        OptimizerConfig(**{"name": "sgd", "drops": (0.5, 0.7)} | changes)


# What a phase moves


@pytest.fixture(scope="module")
def parts():
    return make_split(48, 16, SHAPE, NUM_CLASSES)


def weights_by_layer(model):
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def assert_only_these_moved(before, after, names):
    for name in before:
        same = [np.array_equal(a, b) for a, b in zip(before[name], after[name], strict=True)]
        assert not any(same) if name in names else all(same), (name, same)


NADAM = OptimizerConfig("nadam", 0.01)
DECAYING = OptimizerConfig("adamw", 0.01, weight_decay=0.1, ema=0.9, warmup=0.1)


@pytest.mark.parametrize(
    "phases",
    [
        (phase_of(("head_*",), optimizer=NADAM), phase_of("all")),  # the paper
        (phase_of(1), phase_of(2), phase_of(3), phase_of("all")),  # the reproduction
        (phase_of("all", frozen=("head_logits",)), phase_of(("original_*",), optimizer=DECAYING, patience=1)),
    ],
    ids=["paper", "reproduction", "inverted"],
)
def test_weights_outside_a_phase_stay_bit_identical_and_those_inside_move(phases, parts):
    model = randomize(build_merged_model(SHAPE, NUM_CLASSES))
    for seed, phase in enumerate(phases):
        names = trainable_layer_names(model, phase)
        before = weights_by_layer(model)
        train_phase(model, phase, parts, seed)
        assert_only_these_moved(before, weights_by_layer(model), names)
        assert {layer.name for layer in model.layers if layer.trainable_weights} == set(names)


def test_a_model_that_was_saved_frozen_is_trained(parts):
    model = randomize(build_merged_model(SHAPE, NUM_CLASSES))
    model.trainable = False
    before = weights_by_layer(model)
    train_phase(model, phase_of(("head_*",)), parts, 0)
    assert_only_these_moved(before, weights_by_layer(model), ("head_dense", "head_logits"))


def test_training_one_branch_of_a_dual_model_leaves_the_other(parts):
    submodels = [build_submodel(SHAPE, NUM_CLASSES, name) for name in ("original", "augmented")]
    model = randomize(build_dual_model(submodels))
    before = weights_by_layer(model)
    phase = phase_of(("augmented_*",))
    train_phase(model, phase, parts, 0, branches=(None, None))
    assert_only_these_moved(before, weights_by_layer(model), trainable_layer_names(model, phase))
    for layer in submodels[1].layers:  # and the submodels are the ones that were trained
        if layer.weights:
            assert layer is model.get_layer(layer.name)


@pytest.mark.parametrize("branches", [("original", "augmented"), ("original",)])
def test_head_phase_reads_features_computed_once_and_equals_training_under_a_frozen_trunk(branches, parts, monkeypatch):
    """All images in one batch, no dropout: then Keras on the whole model must come to the same weights."""
    training, validation = parts
    epochs = 4

    def build():
        return randomize(build_merged_model(SHAPE, NUM_CLASSES, branches, dropout=0.0))

    whole = build()
    for layer in whole.layers:
        layer.trainable = layer.name.startswith("head_")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    whole.compile(keras.optimizers.SGD(0.05, momentum=0.9), loss)
    losses = [float(whole.train_on_batch(*training.arrays())) for _ in range(epochs)]

    calls = []
    compute = frozen.compute_features
    monkeypatch.setattr(frozen, "compute_features", lambda *a: calls.append(1) or compute(*a))
    ours = build()
    phase = Phase("head", SGD, epochs, ("head_*",), batch_size=48)
    state = train_phase(ours, phase, parts, seed=0)
    assert len(calls) == 2  # the training and the validation images, whatever the number of epochs
    np.testing.assert_allclose([record["loss"] for record in state.history], losses, rtol=1e-4)
    for a, b in zip(ours.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    logits = whole.predict(validation.arrays()[0], verbose=0)
    expected = float((logits.argmax(1) == validation.arrays()[1]).mean())
    assert state.history[-1]["val_accuracy"] == pytest.approx(expected)

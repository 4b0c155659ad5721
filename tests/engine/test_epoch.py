"""Training on arrays against Keras: the same weights, state and measures after some steps, within rounding."""

import contextlib
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from against_keras import EAGERLY
from made_data import make_images, randomize
from threadpoolctl import threadpool_info, threadpool_limits

from lwcnn.data.images import Images, Split
from lwcnn.engine import epoch as engine
from lwcnn.engine.network import Predictor, Weights
from lwcnn.engine.operations import numpy_layers
from lwcnn.engine.optimizers import VectorOptimizer
from lwcnn.engine.threads import OneBlasThread, run_in_group
from lwcnn.models.baselines.reproduction import build_repo_merged, build_repo_residual_se
from lwcnn.models.configs import RepoResidualSEConfig, ResidualSEConfig, Stage
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.training.average import MovingAverage, batch_norm_statistics
from lwcnn.training.checkpoint import get_values, random_states, set_values
from lwcnn.training.keras_optimizers import PointwiseMuon
from lwcnn.training.loop import train_phase
from lwcnn.training.losses import CrossEntropy, DistillationLoss, LabelAccuracy
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase
from lwcnn.training.progress import Progress
from lwcnn.training.steps import KerasEpoch, open_epoch, prefetch, train_epoch

SHAPE, CLASSES, COUNT = (12, 12, 3), 4, 40
SMALL = ResidualSEConfig(stem=8, stages=(Stage(8, 1, 3), Stage(16, 1)), se_reduction=4)


def dual():
    return build_dual_model([build_submodel(SHAPE, CLASSES, n) for n in ("original", "augmented")])


MODELS = {
    "dual": dual,
    "merged": lambda: build_merged_model(SHAPE, CLASSES, dropout=0.0),
    "repo_merged": lambda: _without_dropout(build_repo_merged(SHAPE, CLASSES, ("a", "b"))),
    "repo_residual_se": lambda: build_repo_residual_se(
        SHAPE, CLASSES, RepoResidualSEConfig(4, (8, 16), se_reduction=4, hidden=8, dropout=0.0)
    ),
    "residual_se": lambda: build_residual_se(SHAPE, CLASSES, SMALL),
    "no_se": lambda: build_residual_se(
        SHAPE, CLASSES, ResidualSEConfig(8, (Stage(8, 1),), "relu", None, residual=False)
    ),
    "wren": lambda: build_residual_se(
        SHAPE, CLASSES, ResidualSEConfig(12, (Stage(12, 1), Stage(16, 1, 3)), attention="eca", stem_pooling=False)
    ),
    "head": lambda: build_residual_se(SHAPE, CLASSES, ResidualSEConfig(8, (Stage(8, 1),), "relu", 4, head=16)),
}
OPTIMIZERS = {
    "nadam": OptimizerConfig("nadam", 0.003),
    "adam": OptimizerConfig("adam", 0.003),
    "adamw": OptimizerConfig("adamw", 0.01, weight_decay=0.1, warmup=0.4, ema=0.9, no_weight_decay=("bias", "gamma")),
    "sgd": OptimizerConfig("sgd", 0.05),
    "momentum": OptimizerConfig("sgd", 0.05, momentum=0.9, weight_decay=0.01),
    "nesterov": OptimizerConfig("sgd", 0.05, momentum=0.9, nesterov=True, warmup=0.0),
    "rmsprop": OptimizerConfig("rmsprop", 0.002, ema=0.5),
    "lion": OptimizerConfig("lion", 0.001, weight_decay=0.1),
    "muon": OptimizerConfig(
        "muon", 0.01, weight_decay=0.1, warmup=0.3, ema=0.9, no_weight_decay=("bias", "gamma", "beta")
    ),
}


def _without_dropout(model):
    for layer in model.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    return model


class Given:
    """Batches from a list in memory."""

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def some_batches(num_inputs=1, soft=False, size=16):
    """Several inputs' are of one size: Keras does not weigh the losses of each output by the batch's."""
    size = size if num_inputs == 1 else 20
    images, labels = make_images(COUNT, SHAPE, CLASSES)
    labels = labels.astype(np.int32)
    if soft:
        labels = 0.7 * np.eye(CLASSES, dtype=np.float32)[labels] + np.float32(0.3 / CLASSES)
    found = []
    for i in range(0, COUNT, size):
        part, truth = images[i : i + size], labels[i : i + size]
        inputs = tuple(part[::-1] if k else part for k in range(num_inputs))
        truths = tuple(truth[::-1] if k else truth for k in range(num_inputs))
        found.append((inputs, truths) if num_inputs > 1 else (part, truth))
    return Given(found)


def trained(build, step, monkeypatch, optimizer, loss=None, batches=None, epochs=2, frozen=(), metrics=None):
    """Weights, the optimizer's variables, averages and logs after some epochs from the same beginning."""
    monkeypatch.setenv("LWCNN_STEP", step)
    keras.utils.set_random_seed(0)
    model = randomize(build())
    for layer in model.layers:
        layer.trainable = layer.name not in frozen
    batches = batches or some_batches(len(model.inputs))
    loss = loss or keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    count = len(model.outputs)
    losses, metrics = ([loss] * count, [["accuracy"]] * count) if count > 1 else (loss, metrics or ["accuracy"])
    model.compile(optimizer.build(10), losses, metrics=metrics, jit_compile=False, run_eagerly=EAGERLY)
    model.optimizer.build(model.trainable_variables)
    average = MovingAverage([*model.trainable_variables, *batch_norm_statistics(model)], 0.9)
    with open_epoch(model) as begun:
        assert isinstance(begun, engine.Epoch if step == "engine" else KerasEpoch)
    logs = [train_epoch(model, batches, Progress(), average) for _ in range(epochs)]
    return get_values(model.weights), get_values(model.optimizer.variables), average.values, logs


def assert_same(build, monkeypatch, optimizer, tolerance=2e-4, **arguments):
    of_keras, ours = (trained(build, step, monkeypatch, optimizer, **arguments) for step in ("keras", "engine"))
    before = get_values(randomize(build()).weights)
    assert any(not np.array_equal(a, b) for a, b in zip(before, ours[0], strict=True))
    for expected, actual in zip(of_keras[:3], ours[:3], strict=True):
        assert len(expected) == len(actual)
        for a, b in zip(expected, actual, strict=True):
            np.testing.assert_allclose(b, a, rtol=tolerance, atol=tolerance * max(1e-3, np.abs(a).max()))
    for expected, actual in zip(of_keras[3], ours[3], strict=True):
        assert set(expected) == set(actual)
        assert actual == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("name", MODELS)
def test_models_train_as_in_keras(name, monkeypatch):
    assert_same(MODELS[name], monkeypatch, OPTIMIZERS["sgd"])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_optimizers_step_as_in_keras(name, monkeypatch):
    """Adam and its kin divide by the gradient's own size, which makes much of rounding where that is small."""
    assert_same(MODELS["dual"], monkeypatch, OPTIMIZERS[name], tolerance=2e-3)


@pytest.mark.parametrize("name", ["residual_se", "wren"])
def test_muon_steps_as_in_keras_on_pointwise_kernels(name, monkeypatch):
    """Newton-Schulz amplifies small singular values, and so their rounding errors: one epoch."""
    assert_same(MODELS[name], monkeypatch, OPTIMIZERS["muon"], tolerance=5e-3, epochs=1)


@pytest.mark.parametrize("fixed_norm", [False, True])
def test_steps_of_muon_are_keras_steps(fixed_norm):
    """Gradients of white noise have no small singular values, so the changes agree, not only the weights.

    The first step of Nesterov momentum is that of plain momentum.
    """
    settings = OptimizerConfig("muon", 0.01, weight_decay=0.1, no_weight_decay=("bias", "gamma"), fixed_norm=fixed_norm)
    models = [randomize(MODELS["wren"]()) for _ in range(2)]
    rng = np.random.default_rng(0)
    optimizers = [settings.build(10) for _ in models]
    for optimizer, model in zip(optimizers, models, strict=True):
        optimizer.build(model.trainable_variables)
    weights = Weights(models[0].trainable_variables, [])
    ours = VectorOptimizer(optimizers[0], weights)
    for _ in range(2):
        gradients = [rng.standard_normal(v.shape).astype(np.float32) for v in models[0].trainable_variables]
        before, of_keras = weights.vector.copy(), get_values(models[1].trainable_variables)
        ours.step(weights.gather(gradients))
        optimizers[1].apply([keras.ops.convert_to_tensor(g) for g in gradients], models[1].trainable_variables)
        changes = weights.parts(weights.vector - before)
        for change, start, end in zip(changes, of_keras, get_values(models[1].trainable_variables), strict=True):
            expected = end - start
            assert np.abs(expected).max() > 1e-4
            np.testing.assert_allclose(change, expected, rtol=0, atol=2e-3 * np.abs(expected).max())


def test_muon_with_a_fixed_norm(monkeypatch):
    optimizer = replace(OPTIMIZERS["muon"], fixed_norm=True)
    assert_same(MODELS["wren"], monkeypatch, optimizer, tolerance=5e-3, epochs=1)


def test_keras_muon(monkeypatch):
    optimizer = SimpleNamespace(build=lambda steps: keras.optimizers.Muon(0.01))
    assert_same(MODELS["merged"], monkeypatch, optimizer, tolerance=5e-3, epochs=1)


@pytest.mark.parametrize("soft", [False, True])
def test_label_smoothing_and_soft_labels(soft, monkeypatch):
    loss = CrossEntropy(0.2)
    if soft:
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
    batches = some_batches(soft=soft)
    assert_same(MODELS["residual_se"], monkeypatch, OPTIMIZERS["momentum"], loss=loss, batches=batches)


@pytest.mark.parametrize("smoothing, soft", [(0.0, False), (0.2, False), (0.1, True)])
def test_class_weights(smoothing, soft, monkeypatch):
    loss, batches = CrossEntropy(smoothing, (0.2, 3.0, 1.0, 0.5)), some_batches(soft=soft)
    assert_same(MODELS["merged"], monkeypatch, OPTIMIZERS["momentum"], loss=loss, batches=batches)


def test_weight_decay_skips_excluded_variables(monkeypatch):
    """Without a gradient only the decay moves a weight: by rate times decay, that is a half."""
    monkeypatch.setenv("LWCNN_STEP", "engine")
    model = randomize(MODELS["residual_se"]())
    optimizer = OptimizerConfig("sgd", 0.5, weight_decay=1.0, no_weight_decay=("bias", "gamma", "beta")).build(1)
    optimizer.build(model.trainable_variables)
    weights = Weights(model.trainable_variables, [])
    before = [np.array(weights.array(v)) for v in model.trainable_variables]
    VectorOptimizer(optimizer, weights).step(np.zeros_like(weights.vector))
    excluded = [any(part in v.path for part in ("bias", "gamma", "beta")) for v in model.trainable_variables]
    assert any(excluded) and not all(excluded)
    for variable, value, kept in zip(model.trainable_variables, before, excluded, strict=True):
        np.testing.assert_allclose(weights.array(variable), value * (1 if kept else 0.5), rtol=1e-6)


def test_the_engine_trains_what_the_unusual_optimizers_are_given():
    model = MODELS["merged"]()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    assert engine.unsupported(model) is None


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (keras.optimizers.Adam(clipnorm=1.0), "clipnorm=1.0"),
        (keras.optimizers.Adam(clipvalue=1.0), "clipvalue=1.0"),
        (keras.optimizers.SGD(global_clipnorm=1.0), "global_clipnorm=1.0"),
        (keras.optimizers.SGD(gradient_accumulation_steps=2), "gradient_accumulation_steps=2"),
        (keras.optimizers.SGD(loss_scale_factor=2.0), "loss_scale_factor=2.0"),
        (keras.optimizers.SGD(use_ema=True), "use_ema=True"),
        (keras.optimizers.Adam(amsgrad=True), "amsgrad=True"),
        (keras.optimizers.AdamW(amsgrad=True), "amsgrad=True"),
        (keras.optimizers.RMSprop(centered=True), "centered=True"),
        (keras.optimizers.RMSprop(momentum=0.9), "momentum=0.9"),
        (
            keras.optimizers.SGD(keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)),
            "the schedule ExponentialDecay",
        ),
        (keras.optimizers.Adamax(), "is not supported"),
        (keras.optimizers.Muon(adam_weight_decay=0.2), "two weight decays"),
        (PointwiseMuon(weight_decay=0.1, adam_weight_decay=0.2), "two weight decays"),
    ],
)
def test_unusual_optimizers_train_in_keras(optimizer, reason):
    model = MODELS["merged"]()
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    found = engine.unsupported(model)
    assert found.startswith(f"the optimizer {optimizer.name} ") and found.endswith(reason)


def test_an_exception_leaves_the_model_unchanged(monkeypatch):
    monkeypatch.setenv("LWCNN_STEP", "engine")
    model = randomize(MODELS["residual_se"]())
    model.compile(OPTIMIZERS["momentum"].build(10), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    variables = [*model.weights, *model.optimizer.variables]
    before = get_values(variables)
    with pytest.raises(ZeroDivisionError), open_epoch(model) as epoch:
        epoch.step(*some_batches()[0])
        raise ZeroDivisionError
    for a, b in zip(before, get_values(variables), strict=True):
        np.testing.assert_array_equal(a, b)
    with open_epoch(model) as epoch:
        epoch.step(*some_batches()[0])
    assert not all(np.array_equal(a, b) for a, b in zip(before, get_values(variables), strict=True))


def test_blas_has_one_thread_within_an_epoch():
    def blas_threads():
        return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}

    model = MODELS["merged"]()
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with threadpool_limits(2, "blas"):
        for error in (None, ZeroDivisionError):
            with contextlib.suppress(ZeroDivisionError), engine.Epoch(model):
                assert blas_threads() == {1}
                if error:
                    raise error
            assert blas_threads() == {2}


def test_blas_has_one_thread_during_a_prediction(monkeypatch):
    found = []

    def look(group, function):
        found.extend(library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas")
        return run_in_group(group, function)

    monkeypatch.setattr("lwcnn.engine.network.run_in_group", look)
    with threadpool_limits(2, "blas"):
        Predictor(MODELS["merged"]())([make_images(4, SHAPE, CLASSES)[0]])
    assert set(found) == {1}


def test_of_contexts_at_once_the_last_restores_the_blas_threads():
    with threadpool_limits(2, "blas"):
        first, second = OneBlasThread(), OneBlasThread()
        for begin, end, expected in ((first, None, 1), (second, None, 1), (None, first, 1), (None, second, 2)):
            if begin:
                begin.__enter__()
            if end:
                end.__exit__()
            assert {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"} == {expected}


def test_frozen_layers_stay_unchanged(monkeypatch):
    names = [layer.name for layer in MODELS["merged"]().layers]
    frozen = [name for name in names if name.startswith("original_") or name == "augmented_conv1"]
    assert_same(MODELS["merged"], monkeypatch, OPTIMIZERS["momentum"], frozen=frozen)
    monkeypatch.setenv("LWCNN_STEP", "engine")
    before = dict(zip(names, (layer.get_weights() for layer in randomize(MODELS["merged"]()).layers)))
    weights, *_ = trained(MODELS["merged"], "engine", monkeypatch, OPTIMIZERS["momentum"], frozen=frozen)
    model = MODELS["merged"]()
    model.set_weights(weights)
    for layer in model.layers:
        same = all(np.array_equal(a, b) for a, b in zip(before[layer.name], layer.get_weights(), strict=True))
        assert same == (layer.name in frozen or not layer.weights)


@pytest.mark.parametrize(
    "frozen_layers", [["stage1_block1_"], ["stage1_block1_norm"], ["stage1_block1_expand"], ["stem_"]]
)
def test_gradients_flow_through_frozen_layers(frozen_layers, monkeypatch):
    """A frozen block passes gradients to the trained layers before it, as in Keras."""
    names = [layer.name for layer in MODELS["residual_se"]().layers]
    frozen = [name for name in names if name.startswith(tuple(frozen_layers))]
    assert_same(MODELS["residual_se"], monkeypatch, OPTIMIZERS["momentum"], frozen=frozen)


def test_cosine_schedule_with_a_floor(monkeypatch):
    """Four steps, at rates from 0.1 to 0.067; without the floor the last would be at 0.035."""
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 5, alpha=0.5)
    optimizer = SimpleNamespace(build=lambda steps: keras.optimizers.SGD(schedule))
    assert_same(MODELS["dual"], monkeypatch, optimizer)


def test_a_rate_that_drops_twice(monkeypatch):
    """Four steps: two at 0.1, one at 0.01, one at 0.001."""
    assert_same(MODELS["dual"], monkeypatch, OptimizerConfig("sgd", 0.1, drops=(0.5, 0.75)))


@pytest.mark.parametrize("weights", [None, tuple(range(1, CLASSES + 1))])
def test_distillation(monkeypatch, weights):
    loss = DistillationLoss(3, 0.2, label_smoothing=0.1, class_weights=weights)
    rng = np.random.default_rng(0)
    taught = [
        (x, np.concatenate([np.eye(CLASSES)[y], rng.normal(0, 3, (len(y), CLASSES))], axis=1, dtype=np.float32))
        for x, y in some_batches(size=20).batches
    ]
    given = {"loss": loss, "batches": Given(taught), "metrics": [LabelAccuracy("accuracy")]}
    assert_same(MODELS["residual_se"], monkeypatch, OPTIMIZERS["momentum"], **given)


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.Dropout(0.25),
        keras.layers.SpatialDropout2D(0.25),
        keras.layers.Dropout(0.25, noise_shape=(None, 1, 1, 1)),
    ],
)
def test_dropout_scales_what_it_keeps(layer):
    inputs = keras.Input((5, 4, 6))
    keras.Model(inputs, layer(inputs))
    dropout, ones = numpy_layers.Dropout(layer, None), np.ones((400, 5, 4, 6), np.float32)
    dropout.draws = np.random.default_rng(0).random((400, *dropout.random), np.float32)
    out = dropout.forward(ones, training=True)
    assert set(np.unique(out)) == {0, np.float32(1 / 0.75)} and abs((out == 0).mean() - 0.25) < 0.06
    np.testing.assert_array_equal(dropout.backward(ones, True), out)
    np.testing.assert_array_equal(dropout.forward(ones, training=False), ones)


@pytest.mark.parametrize("name", ["dropout", "depth"])
def test_random_layers_drop_their_rate_and_continue_their_state(name, monkeypatch):
    monkeypatch.setenv("LWCNN_STEP", "engine")
    if name == "dropout":
        model = build_merged_model(SHAPE, CLASSES, dropout=0.4)
    else:
        model = build_residual_se(SHAPE, CLASSES, ResidualSEConfig(8, (Stage(8, 2),), "relu", 4, drop_rate=0.4))
    keras.utils.set_random_seed(1)
    randomize(model)
    model.compile(OptimizerConfig("sgd", 0.0).build(1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.optimizer.build(model.trainable_variables)
    before = get_values(random_states(model))
    epoch = open_epoch(model)
    first = epoch._draw(2000)
    draws = first[-1]
    assert (draws < 0.4).mean() == pytest.approx(0.4, abs=0.05)
    assert not np.array_equal(draws, epoch._draw(2000)[-1])
    with epoch:
        losses = [epoch.step(*some_batches()[0])["loss"] for _ in range(2)]
    assert losses[0] != losses[1]  # nothing learns, so what was dropped differs
    after = get_values(random_states(model))
    assert any(not np.array_equal(a, b) for a, b in zip(before, after, strict=True))
    set_values(random_states(model), before)
    np.testing.assert_array_equal(open_epoch(model)._draw(2000)[-1], draws)


@pytest.mark.parametrize("name", ["dual", "residual_se"])
def test_threads_give_the_result_of_one_thread(name, monkeypatch):
    """Parts of a batch add up to the batch, moments included; with one thread nothing is made in advance."""
    results = []
    for threads in ("1", "2"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        results.append(trained(MODELS[name], "engine", monkeypatch, OPTIMIZERS["sgd"])[0])
        assert [b[1].tolist() for b in prefetch(some_batches())] == [b[1].tolist() for b in some_batches().batches]
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


def test_a_phase_trains_as_in_keras(monkeypatch):
    images, labels = make_images(COUNT, SHAPE, CLASSES)
    histories = []
    for step in ("keras", "engine"):
        monkeypatch.setenv("LWCNN_STEP", step)
        keras.utils.set_random_seed(0)
        model = randomize(MODELS["residual_se"]())
        phase = Phase("all", OptimizerConfig("adamw", 0.002, ema=0.9, ema_batch_norm=True), 2, batch_size=16)
        state = train_phase(model, phase, Split(Images(images, labels), Images(images, labels)), seed=0)
        histories.append([record["loss"] for record in state.history])
    assert histories[1] == pytest.approx(histories[0], rel=1e-3)


def test_another_loss_with_the_attributes_of_ours_trains_in_keras():
    class Focal(keras.losses.Loss):
        from_logits, label_smoothing, class_weights = True, 0.0, None

        def call(self, y_true, y_pred):
            return keras.ops.sum(y_pred, axis=-1)

    model = MODELS["residual_se"]()
    model.compile("sgd", Focal())
    assert "is not a categorical cross-entropy" in engine.unsupported(model)


def test_unsupported_models_train_in_keras_with_a_reason():
    model = MODELS["dual"]()
    crossentropy = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    for optimizer, losses, reason in (
        ("ftrl", [crossentropy] * 2, "Ftrl"),
        (keras.optimizers.SGD(clipnorm=1.0), [crossentropy] * 2, "clipnorm=1.0"),
        ("sgd", ["mse"] * 2, "loss"),
    ):
        model.compile(optimizer, losses)
        assert reason in engine.unsupported(model)
        assert isinstance(open_epoch(model).enter_result, KerasEpoch)
    model.compile("sgd", [crossentropy] * 2)
    assert engine.unsupported(model) is None
    assert isinstance(open_epoch(model), engine.Epoch)


@pytest.mark.parametrize("setting", ["kernel_regularizer", "kernel_constraint"])
def test_regularized_and_constrained_weights_train_in_keras(setting):
    images = keras.Input(SHAPE)
    value = {"kernel_regularizer": "l2", "kernel_constraint": "max_norm"}[setting]
    for given in ({}, {setting: value}):
        logits = keras.layers.Dense(CLASSES, **given)(keras.layers.Flatten()(images))
        model = keras.Model(images, logits)
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        assert bool(engine.unsupported(model)) == bool(given)


def test_an_unknown_step_is_an_error(monkeypatch):
    monkeypatch.setenv("LWCNN_STEP", "jax")
    with pytest.raises(LwcnnError, match="engine or keras. Received: 'jax'"):
        open_epoch(MODELS["dual"]())

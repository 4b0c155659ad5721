"""`fast_fit` against `Model.fit`: history, weights, callbacks, what is left to Keras and why."""

import keras
import numpy as np
import pytest
from keras import layers

from lwcnn import fast_fit
from lwcnn.engine.epoch import Epoch
from lwcnn.system.errors import LwcnnError

X = np.random.default_rng(0).normal(size=(30, 6, 6, 2)).astype(np.float32)
Y = (np.arange(30) % 3)[:, None]  # as Keras's datasets have them


def build(metrics=("accuracy",), loss="sparse_categorical_crossentropy", **settings):
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((6, 6, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.BatchNormalization(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), loss, metrics=list(metrics), jit_compile=False, **settings)
    return model


def block(images, gate=8, third=False, narrow=8):
    """A block with attention and shortcut that only looks like those of `lwcnn.models.blocks`, unless by default."""
    x = layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(images))
    x = layers.Conv2D(narrow, 1)(layers.Conv2D(16, 1, activation="relu")(x))
    if gate:
        pooled = layers.GlobalAveragePooling2D(keepdims=True)(x)
        factor = layers.Dense(gate, activation="sigmoid")(layers.Dense(4, activation="relu")(pooled))
        x = layers.Multiply()([x, factor, layers.Conv2D(narrow, 1)(images)] if third else [x, factor])
    return layers.Add()([x, images])


def frozen_kernel(images):
    convolution = layers.Conv2D(8, 3, activation="relu")
    maps = layers.MaxPooling2D()(convolution(images))
    convolution.kernel.trainable = False
    return maps


@pytest.mark.parametrize(
    "middle",
    [
        block,
        lambda maps: block(maps, gate=1),
        lambda maps: block(maps, third=True),
        lambda maps: block(maps, gate=0, narrow=1),
        frozen_kernel,
        lambda maps: layers.Add()([maps]),
    ],
)
def test_what_looks_like_a_fast_pattern_trains_as_in_keras(middle):
    def one():
        keras.utils.set_random_seed(0)
        images = keras.Input((6, 6, 2))
        maps = middle(layers.Conv2D(8, 3, padding="same")(images))
        model = keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling2D()(maps)))
        model.compile(keras.optimizers.SGD(0.1), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    (_, expected), (_, found) = trained(keras.Model.fit, one()), trained(fast_fit, one())
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


class OtherTest(keras.Model):
    def test_step(self, data):
        return super().test_step(data)


def partly_frozen():
    model = build()
    model.layers[0].trainable = False
    model.layers[0].kernel.trainable = True
    return compiled(model)


def of_bytes():
    images = keras.Input((6, 6, 2), dtype="uint8")
    x = layers.Flatten()(layers.Rescaling(1 / 255)(images))
    return compiled(keras.Model(images, layers.Dense(3, "softmax")(x)))


def compiled(model):
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


class OtherCall(keras.Model):
    def call(self, inputs, training=None, mask=None):
        return 2 * super().call(inputs, training=training, mask=mask)


class TenTimes(keras.Model):
    def compute_loss(self, *arguments, **named):
        return 10 * super().compute_loss(*arguments, **named)


@pytest.mark.parametrize("kind", ["float64", "float16", "int64", "uint8", "bool"])
@pytest.mark.parametrize(
    "middle", [block, lambda maps: layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(maps))]
)
def test_one_hot_labels_of_any_type_train_alike(middle, kind, capfd):
    def one():
        keras.utils.set_random_seed(0)
        images = keras.Input((6, 6, 2))
        maps = middle(layers.Conv2D(8, 3, padding="same")(images))
        model = keras.Model(images, layers.Dense(3, "softmax")(layers.Flatten()(maps)))
        model.compile(keras.optimizers.SGD(0.1), "categorical_crossentropy", metrics=["accuracy"])
        return model

    labels, arguments = np.eye(3)[Y[:, 0]], {"batch_size": 10, "epochs": 2, "verbose": 0, "shuffle": False}
    expected, found = one(), one()
    history = expected.fit(X, labels.astype("float32"), **arguments).history
    ours = fast_fit(found, X, labels.astype(kind), **arguments).history
    assert "model.fit" not in capfd.readouterr().err
    np.testing.assert_allclose(ours["loss"], history["loss"], rtol=1e-3)
    assert ours["accuracy"] == pytest.approx(history["accuracy"])
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def with_head(head, kind=keras.Model):
    images = keras.Input((6, 6, 2))
    return compiled(kind(images, head(layers.Flatten()(images))))


def renormalized(x):
    return layers.Dense(3, "softmax")(layers.BatchNormalization(renorm=True)(x))


def any_size():
    images = keras.Input((None, None, 2))
    maps = layers.Dropout(0.5)(layers.Conv2D(4, 3)(images))
    model = keras.Model(images, layers.Dense(3, "softmax")(layers.GlobalAveragePooling2D()(maps)))
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def trained(fit, model, **arguments):
    """The history and the weights after some epochs on batches of one size: Keras weighs a smaller one alike."""
    found = fit(
        model, X, Y, batch_size=10, epochs=4, verbose=0, shuffle=False, validation_data=(X[:20], Y[:20]), **arguments
    )
    return found, model.get_weights()


@pytest.mark.parametrize("metrics", [("accuracy",), (), (keras.metrics.SparseCategoricalAccuracy(name="acc"),)])
def test_history_and_weights_are_those_of_fit(metrics, capfd):
    expected, weights = trained(keras.Model.fit, build(metrics))
    history, ours = trained(fast_fit, build(metrics))
    assert capfd.readouterr().err.count("model.fit") == 0
    assert history.epoch == expected.epoch and set(history.history) == set(expected.history)
    for name, values in expected.history.items():
        np.testing.assert_allclose(history.history[name], values, rtol=2e-3, err_msg=name)
    for a, b in zip(ours, weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4)


def test_several_inputs_and_outputs_train_as_in_keras(capfd):
    def one():
        keras.utils.set_random_seed(0)
        inputs = [keras.Input((6, 6, 2)) for _ in range(2)]
        flat = [layers.Flatten()(layers.Conv2D(4, 3)(images)) for images in inputs]
        outputs = [layers.Dense(3, name="three")(flat[0]), layers.Dense(2, name="two")(layers.Concatenate()(flat))]
        model = keras.Model(inputs, outputs)
        losses = [keras.losses.SparseCategoricalCrossentropy(from_logits=True) for _ in outputs]
        model.compile(keras.optimizers.SGD(0.02), losses, metrics=[["accuracy"]] * 2)
        return model

    x, y = [X, X[::-1]], [Y, (np.arange(30) % 2)[:, None]]
    held_out = tuple([array[:20] for array in part] for part in (x, y))
    arguments = {"batch_size": 10, "epochs": 2, "verbose": 0, "shuffle": False, "validation_data": held_out}
    expected, found = one(), one()
    history = expected.fit(x, y, **arguments).history
    ours = fast_fit(found, x, y, **arguments).history
    assert "model.fit" not in capfd.readouterr().err and set(ours) == set(history)
    for name, values in history.items():
        np.testing.assert_allclose(ours[name], values, rtol=2e-3, err_msg=name)
    for a, b in zip(found.get_weights(), expected.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_every_epoch_is_shuffled_anew_and_has_each_image_once_with_its_own_label(monkeypatch):
    seen, step = [], Epoch.step
    monkeypatch.setattr(Epoch, "step", lambda self, x, y: seen.append((x[0], y[0])) or step(self, x, y))
    fast_fit(build(), X, Y, batch_size=7, epochs=2, verbose=0)
    assert [len(images) for images, _ in seen] == [7, 7, 7, 7, 2] * 2
    images, labels = map(np.concatenate, zip(*seen))
    orders = (images[:, None] == X).all((2, 3, 4)).argmax(1).reshape(2, 30)
    np.testing.assert_array_equal(labels, Y[orders.ravel()])
    in_order = [*range(30)]
    assert [sorted(order) for order in orders.tolist()] == [in_order] * 2
    assert len(np.unique([in_order, *orders], axis=0)) == 3


def test_callbacks_act_at_the_end_of_an_epoch():
    """Early stopping gives back the best weights, and a schedule sets the rate of each epoch."""
    rates = []

    def schedule(epoch, rate):
        rates.append(rate)
        return rate / 2

    model = build()
    callbacks = [
        keras.callbacks.EarlyStopping("val_loss", patience=0, min_delta=10, restore_best_weights=True),
        keras.callbacks.LearningRateScheduler(schedule),
    ]
    history, weights = trained(fast_fit, model, callbacks=callbacks)
    assert history.epoch == [0, 1] and rates == pytest.approx([0.01, 0.005])
    first = build()
    halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    fast_fit(first, X, Y, 10, callbacks=[halved], shuffle=False, verbose=0)
    for a, b in zip(weights, first.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_error_in_a_callback_leaves_the_model_as_before_the_epoch():
    model = build()
    before = model.get_weights()

    class Fails(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fast_fit(model, X, Y, batch_size=10, verbose=0, callbacks=[Fails()])
    assert int(model.optimizer.iterations) == 0
    assert all(np.array_equal(*pair) for pair in zip(before, model.get_weights(), strict=True))


def test_callbacks_see_the_number_of_the_step():
    def rates(fit):
        seen = []

        class WarmUp(keras.callbacks.Callback):
            def on_train_batch_begin(self, batch, logs=None):
                seen.append(int(keras.ops.convert_to_numpy(self.model.optimizer.iterations)))
                self.model.optimizer.learning_rate = 0.001 * (seen[-1] + 1)

        model = build()
        fit(model, X, Y, 10, epochs=2, callbacks=[WarmUp()], shuffle=False, verbose=0)
        return seen, model.get_weights()

    (seen, weights), (_, wanted) = rates(fast_fit), rates(keras.Model.fit)
    assert seen == [*range(6)]
    for a, b in zip(weights, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


@pytest.mark.parametrize(
    "make, arguments, reason",
    [
        (lambda: build(loss="mean_squared_error"), {}, "loss"),
        (lambda: build(metrics=["mae"]), {}, "metric 'mae'"),
        (lambda: build([keras.metrics.CategoricalAccuracy()]), {}, "expects labels in another form than the loss"),
        (lambda: build(loss_weights=[2.0]), {}, "has loss weights"),
        (build, {"class_weight": {0: 1.0, 1: 2.0, 2: 1.0}}, "argument class_weight"),
        (build, {"validation_data": (X, Y, np.ones(30))}, "validation_data is not (x, y)"),
        (lambda: with_head(layers.Dense(3, "softmax", activity_regularizer="l2")), {}, "regularizers"),
        (lambda: with_head(renormalized), {}, "renorm=True"),
        (lambda: with_head(layers.Dense(3, "softmax"), TenTimes), {}, "TenTimes overrides compute_loss"),
        (lambda: with_head(layers.Dense(3, "softmax"), OtherCall), {}, "OtherCall overrides call"),
        (lambda: with_head(layers.Dense(3, "softmax"), OtherTest), {}, "OtherTest overrides test_step"),
        (partly_frozen, {}, "kernel is trainable, but its layer is not"),
        (of_bytes, {}, "x has type float32, but the model's input uint8"),
        (build, {"batch_size": None}, "batch_size=None"),
        (any_size, {}, "Dropout) has output shape (None, None, None, 4)"),
    ],
)
def test_unsupported_models_fall_back_to_fit_with_a_reason(make, arguments, reason, capfd):
    model = make()
    labels = np.eye(3, dtype=np.float32)[Y[:, 0]] if model.loss == "mean_squared_error" else Y
    history = fast_fit(model, X, labels, epochs=1, verbose=0, **arguments)
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("fast_fit trains")]
    assert len(lines) == 1 and reason in lines[0] and len(history.history["loss"]) == 1


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_that_are_no_class_are_refused(label):
    labels = Y.copy()
    labels[3] = label
    with pytest.raises(LwcnnError, match="Give labels from 0 to 2, the model's classes. Received: .*"):
        fast_fit(build(), X, labels)


def test_arrays_of_unequal_lengths_are_refused():
    with pytest.raises(LwcnnError, match=r"of equal length.*Received: shapes \(30, 6, 6, 2\), \(29, 1\)"):
        fast_fit(build(), X, Y[:-1])


@pytest.mark.parametrize(
    "number", [{"batch_size": 0}, {"batch_size": -3}, {"batch_size": 2.5}, {"epochs": 1.5}, {"epochs": None}]
)
def test_numbers_out_of_range_are_refused(number):
    ((name, value),) = number.items()
    with pytest.raises(LwcnnError, match=f"Give {name} as an integer of . or more. Received: {name}={value}"):
        fast_fit(build(), X, Y, **number)


def test_a_model_must_be_compiled_and_images_one_array():
    with pytest.raises(LwcnnError, match="Compile the model"):
        fast_fit(keras.Sequential([layers.Input((6, 6, 2)), layers.Flatten()]), X, Y)
    with pytest.raises(LwcnnError, match=r"one array for each input .*numpy.stack\(x\). Received: a list of 30 for 1"):
        fast_fit(build(), list(X), Y)
    with pytest.raises(LwcnnError, match=r"one array for each output .*numpy.stack\(y\). Received: a list of 30 for 1"):
        fast_fit(build(), X, list(Y))


def test_what_is_like_an_array_is_converted_once(capfd):
    class Like:
        def __init__(self, array):
            self.array, self.times = array, 0

        def __array__(self, dtype=None, copy=None):
            self.times += 1
            return self.array

    given = [Like(array) for array in (X, Y, X[:9], Y[:9])]
    history = fast_fit(build(), *given[:2], verbose=0, validation_data=tuple(given[2:]))
    assert "val_loss" in history.history and [one.times for one in given] == [1, 1, 1, 1]
    assert capfd.readouterr().err == ""


def test_images_and_labels_of_other_shapes_are_left_to_keras(capfd):
    """The kernels check no bounds: images without an axis of channels aborted the process."""

    def gray():
        model = keras.Sequential([layers.Input((6, 6, 1)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)])
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return model

    fast_fit(gray(), X[..., 0], Y, verbose=0)  # Keras adds the axis
    with pytest.raises(ValueError, match="expected axis -1 of input shape to have value 1"):
        fast_fit(gray(), X, Y, verbose=0)
    with pytest.raises(ValueError, match="target.shape"):
        fast_fit(build(), X, np.eye(3)[Y[:, 0]], verbose=0)
    soft = gray()
    soft.compile("sgd", keras.losses.CategoricalCrossentropy(from_logits=True))
    fast_fit(soft, X[..., :1], 2 * np.eye(3)[Y[:, 0]], verbose=0)
    reasons = [line.partition("because ")[2] for line in capfd.readouterr().err.splitlines() if "model.fit" in line]
    shapes = ["x has shape (30, 6, 6)", "x has shape (30, 6, 6, 2)", "y has shape (30, 3)"]
    assert reasons == [*shapes, "rows of y do not sum to 1"]


def test_an_optimizer_kept_after_freezing_updates_the_right_state():
    def run(fit):
        keras.utils.set_random_seed(0)
        images = keras.Input((72,))
        first = layers.Dense(8)
        model = keras.Model(images, layers.Dense(3)(layers.Dense(8)(first(images))))
        optimizer = keras.optimizers.Adam(0.05)
        for is_frozen in (False, True):
            first.trainable = not is_frozen
            model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
            fit(model, X.reshape(30, -1), Y, batch_size=10, epochs=2, shuffle=False, verbose=0)
        return model.get_weights()

    for a, b in zip(run(fast_fit), run(keras.Model.fit), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_an_interrupted_training_continues_at_its_epoch(tmp_path):
    class Stop(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                raise KeyboardInterrupt

    def backup():
        return keras.callbacks.BackupAndRestore(tmp_path / "backup")

    settings = {"epochs": 4, "verbose": 0, "shuffle": False}
    with pytest.raises(KeyboardInterrupt):
        fast_fit(build(), X, Y, callbacks=[backup(), Stop()], **settings)
    resumed, whole = build(), build()
    assert fast_fit(resumed, X, Y, callbacks=[backup()], **settings).epoch == [2, 3]
    fast_fit(whole, X, Y, **settings)
    for a, b in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_callback_can_end_the_training_after_a_batch_and_sees_validation():
    seen = []

    class Stop(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            self.model.stop_training = batch == 1

        def on_test_end(self, logs=None):
            seen.append(set(logs))

    model = build()
    fast_fit(model, X, Y, 5, epochs=3, verbose=0, callbacks=[Stop()], validation_data=(X, Y))
    assert int(model.optimizer.iterations) == 2 and seen == [{"loss", "accuracy"}]

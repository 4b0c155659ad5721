"""Frozen layers before the first trained one, on any network."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from made_data import TINY_NETWORK, make_images, randomize

from lwcnn.data.augment import Augmentation, MixUpCutMix
from lwcnn.data.images import Images, Split
from lwcnn.models.dual import build_merged_model
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError
from lwcnn.training import frozen, loop
from lwcnn.training.frozen import FeatureBatches, compute_features, split_frozen_prefix
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase, unfreeze_layer_by_layer

SHAPE, NUM_CLASSES = (12, 12, 3), 4
SGD = OptimizerConfig("sgd", 0.05, momentum=0.9)


def any_size():
    x = keras.layers.Conv2D(4, 3, name="first")(images := keras.Input((None, None, 3)))
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(keras.layers.GlobalAveragePooling2D()(x)))


def plain():
    images = keras.Input(SHAPE)
    x = keras.layers.Rescaling(1 / 255)(images)
    x = keras.layers.Conv2D(4, 3, activation="relu", name="first")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dense(8, activation="relu", name="hidden")(x)
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(x))


def augmented():
    images = keras.Input(SHAPE)
    x = keras.layers.Conv2D(4, 3)(keras.layers.RandomFlip()(images))
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(keras.layers.GlobalMaxPooling2D()(x)))


def with_operations():
    images = keras.Input(SHAPE)
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="first")(images))
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(keras.ops.tanh(x) + x))


def with_model_inside(pooling):
    images = keras.Input(SHAPE)
    inner = keras.Sequential([keras.Input(SHAPE), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()])
    x = keras.layers.BatchNormalization()(inner(images)) if pooling else inner(images)
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(x))


def transferred():
    """A model of layers that were called in another model before."""
    images = x = keras.Input(SHAPE)
    for layer in plain().layers[1:4]:
        x = layer(x)
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(x))


def called_twice(read):
    """A model of which the last layers read one or both of the outputs of a layer that is called twice."""
    images = keras.Input(SHAPE)
    once = keras.layers.GlobalAveragePooling2D()(keras.layers.Conv2D(4, 3, name="first")(images))
    again = keras.layers.Dense(4, name="hidden")
    x, y = again(once), again(again(once))
    x = keras.layers.Add(name="sum")([x, y]) if read == 2 else y
    return keras.Model(images, keras.layers.Dense(NUM_CLASSES, name="last")(x))


def residual(**changes):
    return build_residual_se(SHAPE, NUM_CLASSES, replace(TINY_NETWORK, **changes))


def sequential(units=8):
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Flatten(), keras.layers.Dense(units, name="hidden")]
    return keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dense(NUM_CLASSES, name="last")])


@pytest.fixture(scope="module")
def part():
    return Images(*make_images(32, SHAPE, NUM_CLASSES))


@pytest.mark.parametrize("build", [plain, residual, sequential])
def test_layer_by_layer_trains_the_last_layers_and_nothing_else(build, part):
    model = build()
    phases = unfreeze_layer_by_layer(model, SGD, epochs=1, batch_size=16)
    names = [layer.name for layer in model.layers if layer.weights]
    assert len(phases) == len(names)
    for seed, phase in enumerate(phases[:3]):
        before = {layer.name: layer.get_weights() for layer in model.layers if layer.weights}
        train_phase(model, phase, Split(part, part), seed)
        for name in names:
            same = all(
                np.array_equal(a, b) for a, b in zip(before[name], model.get_layer(name).get_weights(), strict=True)
            )
            assert same == (name not in names[-phase.trainable :]), name


@pytest.mark.parametrize(
    "build, trained, cut",
    [
        (residual, ("head_logits",), (1, 1, 8)),
        (lambda: residual(dropout=0.5), ("head_logits",), None),  # the frozen dropout draws anew in every epoch
        (plain, ("hidden", "last"), (4,)),
        (plain, ("first", "last"), None),
        (augmented, ("last",), None),
        (lambda: build_merged_model(SHAPE, NUM_CLASSES), ("head_dense", "head_logits"), (8,)),
        (lambda: build_merged_model(SHAPE, NUM_CLASSES), ("original_dense_as_conv", "head_logits"), None),
        (lambda: build_merged_model((32, 32, 1), NUM_CLASSES, ("a",)), ("a_conv2", "head_logits"), None),  # too large
        (sequential, ("hidden",), None),
        (any_size, ("last",), None),
        (with_operations, ("last",), (4,)),
        (lambda: with_model_inside(pooling=True), ("last",), (4,)),
        (lambda: with_model_inside(pooling=False), ("last",), (4,)),
        (transferred, ("last",), (4,)),
        (lambda: called_twice(read=1), ("last",), None),
        (lambda: called_twice(read=2), ("sum", "last"), None),
        (lambda: sequential(108), ("last",), (108,)),  # in float32 as many bytes as the image of 12x12x3
        (lambda: sequential(109), ("last",), None),
    ],
)
def test_where_the_frozen_prefix_ends(build, trained, cut):
    model = randomize(build())
    found = split_frozen_prefix(model, trained)
    assert (found and found[0].output_shape[1:]) == cut
    if found:
        images = make_images(8, SHAPE, NUM_CLASSES)[0].astype("float32")
        np.testing.assert_allclose(found[1](found[0](images)), model(images), rtol=1e-5, atol=1e-6)


def test_batches_of_features_are_in_an_order_of_each_seed_and_epoch():
    features, labels = np.arange(20, dtype=np.float32)[:, np.newaxis], np.arange(20)
    orders = []
    for seed in (0, 1):
        batches = FeatureBatches(features, labels, 8, seed)
        for epoch in (0, 1):
            batches.set_epoch(epoch)
            parts = [batches[i] for i in range(len(batches))]
            assert [len(truth) for _, truth in parts] == [8, 8, 4]
            x, y = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
            np.testing.assert_array_equal(x[:, 0], y)
            assert sorted(y) == list(range(20))
            orders.append(tuple(y))
    assert len(set(orders)) == 4


def test_mixing_reaches_a_phase_that_trains_the_head_only(part, monkeypatch):
    seen = []
    monkeypatch.setattr(loop, "train_epoch", lambda model, batches, *_: seen.append(batches) or {"loss": 0.0})
    phase = Phase("head", SGD, 3, ("head_logits",), batch_size=16, mixing=MixUpCutMix(0.0, 1.0, probability=1.0))
    train_phase(residual(), phase, Split(part, part), 0)
    assert seen[0].num_epochs == 3 and len(seen) == 3  # a ramp of the mixing spans them
    images, labels = seen[0][0]
    assert images.shape[1:] == SHAPE and labels.shape == (16, NUM_CLASSES)
    assert ((labels > 0).sum(axis=1) > 1).any()


def test_scheduled_dropout_before_a_head_acts(part):
    heads = []
    for rates in (None, (0.9, 0.9)):
        model = randomize(residual())
        train_phase(model, Phase("head", SGD, 2, ("head_logits",), batch_size=16, dropout=rates), Split(part, part), 0)
        heads.append(model.get_layer("head_logits").get_weights()[0])
    assert not np.allclose(*heads)


def test_averages_of_a_head_are_those_of_what_trains(part):
    """The norms of the frozen prefix are none of the head's."""
    model = residual()
    before = model.get_layer("stem_norm").get_weights()
    phase = Phase(
        "head", OptimizerConfig("sgd", 0.05, ema=0.9, ema_batch_norm=True), 2, ("head_logits",), batch_size=16
    )
    state = train_phase(model, phase, Split(part, part), 0)
    assert state.epoch == 2
    for a, b in zip(before, model.get_layer("stem_norm").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_images_that_are_no_bytes_are_not_silently_left_unaugmented(part):
    images, labels = part.arrays()
    floats = Images(images.astype("float32"), labels)
    phase = Phase("all", SGD, epochs=1, augmentation=Augmentation(horizontal_flip=True))
    with pytest.raises(LwcnnError, match="Give images of type uint8 to augment them.*Received: images of type float32"):
        train_phase(plain(), phase, Split(floats, floats), 0)


def test_features_of_several_batches_are_in_order(monkeypatch):
    monkeypatch.setattr(frozen, "images_at_once", lambda shape: 10)
    inputs = keras.Input((4, 4, 1))
    images = np.random.default_rng(0).integers(0, 256, (23, 4, 4, 1), dtype=np.uint8)
    features = compute_features(keras.Model(inputs, keras.layers.Flatten()(inputs)), images)
    np.testing.assert_array_equal(features, images.reshape(23, 16))

"""The fused layer against Conv2D + MaxPooling2D, in each formulation: outputs, gradients, training."""

import importlib.util

import keras
import numpy as np
import pytest
from made_data import make_images, randomise

from lwcnn.engine.fused import ConvReluMaxPool, formulation
from lwcnn.models.dual import build_merged_model, build_submodel
from lwcnn.system.errors import LwcnnError

HAS_NUMBA = importlib.util.find_spec("numba") is not None
needs_numba = pytest.mark.skipif(not HAS_NUMBA, reason="Numba is an option")
FORMULATIONS = [pytest.param("numba", marks=needs_numba), "ops"]
SIZES = [(4, 4, 1), (5, 4, 2), (12, 12, 3), (13, 14, 3), (15, 11, 1)]


@pytest.fixture(params=FORMULATIONS)
def chosen(request, monkeypatch):
    monkeypatch.setenv("LWCNN_FUSED", request.param)
    return request.param


def fused_and_plain(shape, filters=6):
    """The fused layer and the two layers it stands for, as models with the same random weights."""
    images = keras.Input(shape)
    fused = keras.Model(images, ConvReluMaxPool(filters)(images))
    x = keras.layers.Conv2D(filters, 3, activation="relu")(images)
    plain = keras.Model(images, keras.layers.MaxPooling2D(2)(x))
    randomise(plain)
    fused.set_weights(plain.get_weights())
    return fused, plain


def random_inputs(shape, num_images=7, seed=0):
    return np.random.default_rng(seed).normal(size=(num_images, *shape)).astype(np.float32)


@pytest.mark.parametrize("shape", SIZES)
def test_outputs_equal_convolution_and_pooling(chosen, shape):
    assert formulation() == chosen
    fused, plain = fused_and_plain(shape)
    x = random_inputs(shape)
    expected = keras.ops.convert_to_numpy(plain(x))
    actual = keras.ops.convert_to_numpy(fused(x))
    assert actual.shape == expected.shape == (7, *fused.output_shape[1:])
    assert (expected == 0).any() or expected.size < 50  # some ReLUs are off
    np.testing.assert_allclose(actual, expected, atol=2e-6 * np.abs(expected).max())


def two_deep(fused, shape):
    """Two convolutions, so that the second's gradient by its input reaches the first's weights."""
    x = images = keras.Input(shape)
    for filters in (5, 7):
        if fused:
            x = ConvReluMaxPool(filters)(x)
        else:
            x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
            x = keras.layers.MaxPooling2D(2)(x)
    return keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(x)))


@pytest.mark.parametrize("shape", [(10, 10, 1), (13, 15, 3), (16, 11, 2)])
def test_gradients_equal_convolution_and_pooling(chosen, shape):
    x = random_inputs(shape, 9)
    y = np.arange(9) % 3
    gradients = []
    start = None
    for fused in (True, False):
        model = two_deep(fused, shape)
        start = start or randomise(model).get_weights()
        model.set_weights(start)
        # One step of plain SGD at rate 1 moves each weight by its gradient.
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(1.0), loss, run_eagerly=keras.backend.backend() != "jax")
        model.train_on_batch(x, y)
        gradients.append([a - b for a, b in zip(start, model.get_weights())])
    for actual, expected in zip(*gradients):
        assert np.abs(expected).max() > 1e-4
        np.testing.assert_allclose(actual, expected, atol=1e-5 * max(1, np.abs(expected).max()))


def test_training_goes_the_same_way(chosen):
    images, labels = make_images(48, (13, 12, 3), 4)
    weights = []
    for fused in (True, False):
        model = randomise(build_submodel((13, 12, 3), 4, fused=fused))
        start = model.get_weights()
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.SGD(0.01, momentum=0.9), loss)  # compiled as it is for training
        for i in range(0, 48, 16):
            model.train_on_batch(images[i : i + 16], labels[i : i + 16])
        weights.append(model.get_weights())
    for actual, expected, before in zip(*weights, start):
        moved = np.abs(expected - before).max()
        assert moved > 0
        np.testing.assert_allclose(actual, expected, atol=1e-3 * moved)


def test_both_formulations_agree_on_a_whole_model(monkeypatch):
    images, _ = make_images(10, (15, 12, 3))
    logits = []
    for name in ("numba", "ops") if HAS_NUMBA else ("ops",):
        monkeypatch.setenv("LWCNN_FUSED", name)
        logits.append(randomise(build_merged_model((15, 12, 3), 10, fused=True)).predict(images, verbose=0))
    logits.append(randomise(build_merged_model((15, 12, 3), 10)).predict(images, verbose=0))
    for actual in logits[:-1]:
        np.testing.assert_allclose(actual, logits[-1], atol=1e-5 * np.abs(logits[-1]).max())


def test_weights_are_those_of_a_convolution():
    layer = ConvReluMaxPool(6, kernel_initializer="he_normal")
    layer.build((None, 12, 12, 3))
    conv = keras.layers.Conv2D(6, 3)
    conv.build((None, 12, 12, 3))
    assert [(w.name, w.shape) for w in layer.weights] == [(w.name, w.shape) for w in conv.weights]
    assert layer.compute_output_shape((None, 13, 12, 3)) == (None, 5, 5, 6)


def test_layer_is_rebuilt_from_its_configuration():
    layer = ConvReluMaxPool(6, kernel_initializer="he_normal", name="conv1")
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert isinstance(again, ConvReluMaxPool)
    assert (again.name, again.filters) == ("conv1", 6)
    assert isinstance(again.kernel_initializer, keras.initializers.HeNormal)


def test_unknown_formulation_is_refused(monkeypatch):
    monkeypatch.setenv("LWCNN_FUSED", "nonsense")
    with pytest.raises(LwcnnError, match="LWCNN_FUSED must be ops, or numba.*Received: 'nonsense'"):
        ConvReluMaxPool(3)


def test_numba_that_is_not_installed_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("LWCNN_FUSED", "numba")
    with pytest.raises(LwcnnError, match="with Numba installed. Received: 'numba'"):
        ConvReluMaxPool(3)
    monkeypatch.delenv("LWCNN_FUSED")
    assert formulation() == "ops"


def test_an_accelerator_gets_the_formulation_for_everywhere(monkeypatch):
    monkeypatch.delenv("LWCNN_FUSED", raising=False)
    monkeypatch.setattr("lwcnn.system.environment.accelerator", lambda: "NVIDIA H200")
    assert formulation() == "ops"


@pytest.mark.parametrize("shape", [(3, 8, 1), (8, 3, 1)])
def test_images_that_are_too_small_are_refused(shape):
    with pytest.raises(LwcnnError, match=r"at least 4x4. Received: \(") as error:
        ConvReluMaxPool(3)(keras.Input(shape))
    assert str(shape) in str(error.value)

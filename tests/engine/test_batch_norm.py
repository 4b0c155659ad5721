"""The kernel of batch normalisation against Keras's layer: outputs, gradients, moving statistics, training."""

import importlib.util

import keras
import numpy as np
import pytest

from lwcnn.engine.fused import FusedBatchNormalization

pytestmark = pytest.mark.skipif(importlib.util.find_spec("numba") is None, reason="Numba is an option")
SHAPES = [(7, 5, 3, 8), (130, 4, 4, 24), (3, 70, 5), (200, 40)]


def layers(shape, kinds=(FusedBatchNormalization, keras.layers.BatchNormalization)):
    """Both layers with the same random weights."""
    rng = np.random.default_rng(0)
    made = [kind(epsilon=1e-3, momentum=0.9) for kind in kinds]
    for layer in made:
        layer.build(shape)
    values = [rng.uniform(0.5, 2, w.shape) for w in made[0].weights]
    for layer in made:
        layer.set_weights(values)
    return made


def maps(shape, seed=1):
    """A map with channels of unlike means, far from nought beside their deviation."""
    rng = np.random.default_rng(seed)
    return (rng.normal(size=shape) + rng.normal(0, 4, shape[-1])).astype(np.float32)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_outputs_and_moving_statistics_are_kerass(shape, training):
    fused, plain = layers(shape)
    assert fused.by_kernel
    x = maps(shape)
    actual, expected = (keras.ops.convert_to_numpy(layer(x, training=training)) for layer in (fused, plain))
    np.testing.assert_allclose(actual, expected, atol=5e-5)
    for a, b in zip(fused.get_weights(), plain.get_weights()):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)
    if training:
        exact = x.reshape(-1, shape[-1]).astype(float)
        scaled = (exact - exact.mean(0)) / np.sqrt(exact.var(0) + 1e-3)
        gamma, beta = (keras.ops.convert_to_numpy(w) for w in (fused.gamma, fused.beta))
        np.testing.assert_allclose(actual.reshape(exact.shape), scaled * gamma + beta, atol=1e-5)


def exact_gradients(x, weight, gamma):
    """Of sum(weight * batch_norm(x)) by x, gamma and beta, in float64."""
    rows, weight = x.reshape(-1, x.shape[-1]).astype(float), weight.reshape(-1, x.shape[-1]).astype(float)
    inverse = 1 / np.sqrt(rows.var(0) + 1e-3)
    scaled = (rows - rows.mean(0)) * inverse
    by_gamma, by_beta = (weight * scaled).sum(0), weight.sum(0)
    by_x = gamma * inverse * (weight - by_beta / len(rows) - scaled * by_gamma / len(rows))
    return by_x.reshape(x.shape), by_gamma, by_beta


@pytest.mark.parametrize("shape", SHAPES)
def test_gradients_are_exact_and_kerass_within_its_rounding(shape):
    tf = pytest.importorskip("tensorflow")
    fused, plain = layers(shape)
    x, weight = tf.constant(maps(shape)), tf.constant(maps(shape, 2))
    found = []
    for layer in (fused, plain):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(layer(x, training=True) * weight)
        found.append(tape.gradient(loss, [x, layer.gamma.value, layer.beta.value]))
    gamma = keras.ops.convert_to_numpy(fused.gamma).astype(float)
    for actual, kerass, exact in zip(*found, exact_gradients(x.numpy(), weight.numpy(), gamma)):
        scale = np.abs(exact).max()
        np.testing.assert_allclose(actual, exact, atol=1e-5 * scale)
        np.testing.assert_allclose(actual, kerass, atol=1e-3 * scale)


def test_training_goes_the_same_way():
    x, y = maps((96, 6, 6, 8)), np.arange(96) % 3

    def train(kind):
        keras.utils.set_random_seed(0)
        images = keras.Input((6, 6, 8))
        normed = kind(name="norm")(images)
        model = keras.Model(images, keras.layers.Dense(3)(keras.layers.Flatten()(normed)))
        model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        losses = model.fit(x, y, batch_size=32, epochs=3, verbose=0, shuffle=False).history["loss"]
        return losses, model.get_weights()

    (losses, weights), (expected, plain) = train(FusedBatchNormalization), train(keras.layers.BatchNormalization)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    for a, b in zip(weights, plain):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_threads_change_nothing_but_rounding(monkeypatch):
    from lwcnn.engine.kernels import arrays
    from lwcnn.engine.kernels.batch_norm import batch_norm_operation

    x, gamma, beta = maps((50, 4, 4, 8)), np.ones(8, np.float32), np.zeros(8, np.float32)
    operation, found = batch_norm_operation(1e-3), []
    for threads in (1, 3):
        monkeypatch.setattr(arrays, "num_threads", lambda threads=threads: threads)
        found.append(operation.forward(x, gamma, beta))
    for a, b in zip(*found):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_frozen_it_keeps_its_statistics():
    fused, plain = layers((20, 4, 4, 8))
    before = fused.get_weights()
    fused.trainable = plain.trainable = False
    x = maps((20, 4, 4, 8))
    np.testing.assert_allclose(fused(x, training=True), plain(x, training=True), atol=1e-6)
    assert all(np.array_equal(a, b) for a, b in zip(before, fused.get_weights()))


@pytest.mark.parametrize("options", [{"axis": 1}, {"scale": False}, {"center": False}])
def test_what_the_kernel_does_not_serve_is_kerass(options):
    fused, plain = (kind(**options) for kind in (FusedBatchNormalization, keras.layers.BatchNormalization))
    x = maps((9, 5, 4, 8))
    np.testing.assert_allclose(fused(x, training=True), plain(x, training=True), atol=1e-6)
    assert not fused.by_kernel

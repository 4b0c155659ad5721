"""Tests which weights are pruned, that they remain zero, and the file size."""

import keras
import numpy as np
import pytest
from keras import layers
from made_data import randomize

from lwcnn import build_merged_model
from lwcnn.export.prune import (
    PruneGradually,
    apply_masks,
    gradual_sparsity,
    kernels,
    magnitude_masks,
    prune,
    sparsity_of,
)
from lwcnn.system.errors import LwcnnError


@pytest.fixture
def model():
    """Builds a model with every kind of kernel, batch normalization and a nested model."""
    inner = keras.Sequential([layers.Input((8, 8, 4)), layers.DepthwiseConv2D(3), layers.BatchNormalization()])
    images = layers.Input((10, 10, 3))
    x = layers.SeparableConv2D(4, 3)(images)
    x = layers.Flatten()(inner(x))
    return randomize(keras.Model(images, layers.Dense(5)(x)))


def test_kernels_are_those_of_convolutions_and_dense_layers(model):
    assert [(weight.name, tuple(weight.shape)) for weight in kernels(model)] == [
        ("depthwise_kernel", (3, 3, 3, 1)),
        ("pointwise_kernel", (1, 1, 3, 4)),
        ("kernel", (3, 3, 4, 1)),
        ("kernel", (144, 5)),
    ]


def test_the_smallest_weights_go_over_the_whole_model():
    model = keras.Sequential([layers.Input((2,)), layers.Dense(2), layers.Dense(2)])
    first, second = np.array([[0.1, -5.0], [0.3, 4.0]]), np.array([[-0.2, 6.0], [7.0, -8.0]])
    model.set_weights([first, np.array([0.01, 0.01]), second, np.array([0.02, 0.0])])
    masks = magnitude_masks(model, 3 / 8)
    assert np.array_equal(masks[0], [[False, True], [False, True]])
    assert np.array_equal(masks[1], [[False, True], [True, True]])
    pruned = prune(model, 3 / 8)
    np.testing.assert_allclose(pruned.get_weights()[0], [[0, -5], [0, 4]])
    np.testing.assert_allclose(pruned.get_weights()[1], [0.01, 0.01])
    np.testing.assert_allclose(pruned.get_weights()[2], [[0, 6], [7, -8]])
    np.testing.assert_allclose(model.get_weights()[0], first)


@pytest.mark.parametrize("sparsity", [0.0, 0.5, 0.9])
def test_prune_gives_a_new_model_of_that_sparsity(model, sparsity):
    before = [weight.copy() for weight in model.get_weights()]
    pruned = prune(model, sparsity)
    assert sparsity_of(pruned) == pytest.approx(sparsity, abs=1 / 700)
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    kernel_names = {id(weight) for weight in kernels(pruned)}
    for old, weight in zip(before, pruned.weights, strict=True):
        new = weight.numpy()
        if id(weight) in kernel_names:
            assert np.array_equal(new[new != 0], old[new != 0])
        else:
            assert np.array_equal(new, old), "biases and normalization stay"
    assert pruned(np.zeros((1, 10, 10, 3))).shape == (1, 5)


def test_equal_magnitudes_give_the_exact_share():
    model = keras.Sequential([layers.Input((10,)), layers.Dense(10, kernel_initializer="ones")])
    assert sparsity_of(prune(model, 0.37)) == 0.37
    assert sparsity_of(prune(model, 0.29)) == 0.29  # 0.29 * 100 is less than 29 in floating point
    (mask,) = magnitude_masks(model, 0.37)
    assert np.array_equal(mask.ravel(), np.arange(100) >= 37)  # the first in the model's order go first


def test_masks_are_kept_apart_from_other_models(model):
    masks = magnitude_masks(model, 0.5)
    before = model.get_weights()
    with pytest.raises(LwcnnError, match="Received"):
        apply_masks(model, masks[1:])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))
    for sparsity in (-0.1, 1.0, float("nan")):
        with pytest.raises(LwcnnError, match=f"Received: {sparsity}"):
            prune(model, sparsity)
    with pytest.raises(LwcnnError, match="convolutions or dense"):
        prune(keras.Sequential([layers.Input((2,)), layers.Activation("relu")]), 0.5)


def test_gradual_sparsity_rises_to_the_final_one():
    values = [gradual_sparsity(epoch, 4, 0.8) for epoch in range(6)]
    np.testing.assert_allclose(values, [0.8 * (1 - 0.75**3), 0.8 * (1 - 0.5**3), 0.8 * (1 - 0.25**3), 0.8, 0.8, 0.8])
    with pytest.raises(LwcnnError, match="Received: 0"):
        gradual_sparsity(0, 0, 0.8)


def test_fine_tuning_prunes_gradually_and_learns(made_dataset):
    keras.utils.set_random_seed(0)
    model = build_merged_model(made_dataset.input_shape, made_dataset.num_classes, dropout=0.1)
    model.compile("nadam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.005
    images, labels = made_dataset.x_train.astype("float32"), made_dataset.y_train
    model.fit(images, labels, epochs=6, batch_size=30, verbose=0)
    sparsities, zeros = [], []

    class Watch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            sparsities.append(sparsity_of(self.model))
            zeros.append(np.concatenate([weight.numpy().ravel() == 0 for weight in kernels(self.model)]))

    pruning = PruneGradually(0.8, num_epochs=3)
    model.fit(images, labels, epochs=5, batch_size=30, verbose=0, callbacks=[pruning, Watch()])
    expected = [gradual_sparsity(epoch, 3, 0.8) for epoch in range(5)]
    np.testing.assert_allclose(sparsities, expected, atol=0.001)
    assert all((later >= earlier).all() for earlier, later in zip(zeros, zeros[1:])), "a zero came back"
    assert model.evaluate(images, labels, verbose=0)[1] > 0.8
    model.fit(images, labels, epochs=1, batch_size=30, verbose=0, callbacks=[PruneGradually(0.8, 3), Watch()])
    assert sparsities[-1] == pytest.approx(0.8, abs=0.001), "pruning on must not go back"
    with pytest.raises(LwcnnError, match="Received: 1.5"):
        PruneGradually(1.5, 3)


def test_a_pruned_model_is_smaller_after_gzip():
    for package in ("tensorflow", "ai_edge_litert"):
        pytest.importorskip(package)
    from lwcnn.export.litert import draw_calibration_images
    from lwcnn.export.sizes import int8_gzip_bytes

    model = randomize(build_merged_model((28, 28, 1), 10))
    images = np.random.default_rng(0).integers(0, 256, (5, 28, 28, 1), dtype=np.uint8)
    images = draw_calibration_images(images, 5)
    dense, sparse = int8_gzip_bytes(model, images), int8_gzip_bytes(prune(model, 0.9), images)
    assert sparse < 0.6 * dense

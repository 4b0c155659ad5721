"""The engine's forward pass for inference against Keras's."""

import keras
import numpy as np
import pytest
from against_keras import random_weights
from keras import layers

from lwcnn.engine import Predictor, Unsupported
from lwcnn.models.dual import build_dual_model, build_submodel
from lwcnn.training.predictor import make_predictor

SHAPE = (12, 12, 3)
IMAGES = [np.random.default_rng(seed).integers(0, 256, (7, *SHAPE), dtype=np.uint8) for seed in (0, 1)]


@pytest.mark.parametrize("threads", ["1", "3", "9"])
def test_outputs_of_two_branches_whatever_the_number_of_threads(threads, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    model = random_weights(build_dual_model([build_submodel(SHAPE, 4, name) for name in ("a", "b")]))
    expected = [keras.ops.convert_to_numpy(output) for output in model(IMAGES, training=False)]
    for ours, theirs in zip(Predictor(model)(IMAGES), expected, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(theirs).max())


def test_images_whose_channels_came_first_are_read_in_their_own_order():
    images = keras.Input(SHAPE)
    x = layers.ReLU()(layers.BatchNormalization()(images))
    model = random_weights(keras.Model(images, layers.Dense(3)(layers.Flatten()(x))))
    pixels = np.random.default_rng(0).normal(size=(7, 3, 12, 12)).astype(np.float32).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(*Predictor(model)([pixels]), *Predictor(model)([pixels.copy("C")]))


def test_unsupported_models_are_predicted_by_keras():
    images = keras.Input(SHAPE)
    model = keras.Model(images, layers.Conv2D(6, 3, groups=3)(images))
    with pytest.raises(Unsupported, match="groups=3"):
        Predictor(model)
    (ours,) = make_predictor(model)(IMAGES[:1])
    np.testing.assert_allclose(ours, model.predict_on_batch(IMAGES[0]), rtol=1e-5, atol=1e-5)

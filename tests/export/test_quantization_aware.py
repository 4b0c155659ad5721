"""The simulated rounding of benchmarks/quantization_aware.py: known values, and the outputs of the int8 file."""

import runpy

import keras
import numpy as np
import pytest
from made_data import ROOT, make_images

from lwcnn.data.batches import Batches
from lwcnn.data.images import Images
from lwcnn.export.convert import build_deployable, convert_deployable, rewrite_for_int8
from lwcnn.export.formats import LitertModel
from lwcnn.export.int8.files import restore_relu6_ranges
from lwcnn.models.configs import ResidualSEConfig, Stage
from lwcnn.models.residual_se import build_residual_se

for package in ("tensorflow", "ai_edge_litert"):
    pytest.importorskip(package)


@pytest.fixture(scope="module")
def bench():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        return runpy.run_path(str(ROOT / "benchmarks/quantization_aware.py"))


@pytest.fixture(scope="module")
def images():
    return make_images(100, (16, 16, 3))[0]


@pytest.fixture(scope="module")
def rewritten(images):
    keras.utils.set_random_seed(0)
    model = build_residual_se((16, 16, 3), 10, ResidualSEConfig(8, (Stage(8, 1, 3),), se_reduction=4))
    return rewrite_for_int8(build_deployable(model, short_names=True), images)


def test_a_kernel_is_rounded_by_channel(bench):
    kernel = np.zeros((1, 1, 3, 2), np.float32)
    kernel[0, 0] = [[127, 12.7], [3.4, -0.34], [-100.6, 6.46]]  # steps of 1 and 0.1
    expected = [[127, 12.7], [3, -0.3], [-101, 6.5]]
    np.testing.assert_allclose(bench["rounded_kernel"](kernel, axis=3)[0, 0], expected, rtol=1e-5)
    depthwise = kernel.transpose(0, 2, 3, 1)  # (1, 3, 2, 1)
    np.testing.assert_allclose(bench["rounded_kernel"](depthwise, axis=2)[0, :, :, 0], expected, rtol=1e-5)


def test_activations_have_256_values_and_the_gradient_of_the_identity(bench):
    import tensorflow as tf

    values = tf.constant(np.linspace(-1, 4, 10_001), tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(values)
        outputs = bench["Rounded"](0.0, 2.55)(values)
    expected = np.round(np.clip(values, 0, 2.55) / 0.01) * 0.01
    np.testing.assert_allclose(outputs, expected, atol=0.0101)  # halves may go either way
    assert len(np.unique(outputs)) == 256
    gradient = tape.gradient(outputs, values)
    np.testing.assert_array_equal(gradient, (values >= 0) & (values <= 2.55))


def test_the_rounded_network_gives_the_outputs_of_its_int8_file(bench, rewritten, images):
    content = restore_relu6_ranges(convert_deployable(rewritten, images))
    in_int8, pixels = LitertModel(content)(images), images.astype(np.float32)
    simulated, exact = bench["rounded"](rewritten, pixels)([pixels]), rewritten([pixels])
    assert np.abs(simulated - in_int8).mean() < 0.3 * np.abs(exact - in_int8).mean()


def test_training_lowers_the_loss_and_keeps_zeros(bench, rewritten, images):
    labels = np.arange(len(images)) % 10
    model = bench["same_model"](rewritten)
    weights = [weight.copy() for weight in model.get_weights()]
    weights[2][:, :, 0] = 0  # of the convolution of the stem
    model.set_weights(weights)
    network = bench["rounded"](model, images.astype(np.float32))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    before = float(loss(labels, network([images.astype(np.float32)])))
    trained = bench["trained"](network, Batches(Images(images, labels), 10, 0, (None,)), 5)
    assert all((found[weight == 0] == 0).all() for found, weight in zip(trained, weights, strict=True))
    assert float(loss(labels, network([images.astype(np.float32)]))) < before

"""Tests Grad-CAM against a case computed by hand, on TensorFlow and JAX."""

import importlib.util
import json
import sys

import cv2
import keras
import numpy as np
import pytest
from made_data import randomize, run_python

from lwcnn.evaluation.gradcam import default_layers, gradcam_heatmap
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError

# A 1x1 convolution to two channels, global average pooling and a dense layer: the gradient of logit c by channel k
# is dense[k, c] / (h * w) everywhere, so the map is ReLU(sum of dense[k, c] * channel k), up to a factor.
HAND_MADE = """
import json, sys
import numpy as np
import keras
from lwcnn.evaluation.gradcam import gradcam_heatmap

images = np.array([[[0, 1, 2], [3, 4, 5]], [[9, 0, 0], [0, 0, 1]]], np.float32)[..., None]
inputs = keras.Input((2, 3, 1))
x = keras.layers.Conv2D(2, 1, use_bias=True, name="conv")(inputs)
x = keras.layers.GlobalAveragePooling2D()(x)
model = keras.Model(inputs, keras.layers.Dense(2)(x))
model.set_weights([np.array([[[[1.0, -2.0]]]]), np.array([0.0, 6.0]), np.array([[1.0, 3.0], [0.5, -1.0]]), np.zeros(2)])
maps = [gradcam_heatmap(model, images, c, "conv") for c in (0, 1, np.array([1, 0]))]
print(json.dumps({"backend": keras.backend.backend(), "maps": [m.tolist() for m in maps]}))
"""


def _by_hand():
    x = np.array([[[0, 1, 2], [3, 4, 5]], [[9, 0, 0], [0, 0, 1]]], float)
    channels = [x, 6 - 2 * x]
    maps = []
    for weights in ([1.0, 0.5], [3.0, -1.0]):
        cam = np.maximum(weights[0] * channels[0] + weights[1] * channels[1], 0)
        maps.append(cam / cam.max(axis=(1, 2), keepdims=True))
    return [maps[0], maps[1], np.stack([maps[1][0], maps[0][1]])]


@pytest.mark.parametrize("backend", [keras.backend.backend(), "jax"])
def test_heatmap_is_the_hand_computed_one(backend, monkeypatch, capsys):
    """On JAX in a process without TensorFlow, on the backend of the tests in this one without JAX."""
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is an option")
    if backend == "jax":
        blocked = "import sys; sys.modules['tensorflow'] = None\n"
        output = run_python(blocked + HAND_MADE, KERAS_BACKEND=backend).stdout
    else:
        monkeypatch.setitem(sys.modules, "jax", None)
        exec(HAND_MADE, {})
        output = capsys.readouterr().out
    found = json.loads(output.splitlines()[-1])
    assert found["backend"] == backend
    for maps, wanted in zip(found["maps"], _by_hand(), strict=True):
        np.testing.assert_allclose(maps, wanted, atol=1e-6)


def test_gradient_through_what_follows_the_layer():
    """Tests the mean gradient of a channel against finite differences."""
    model = randomize(build_residual_se((16, 16, 3), 4))
    image = np.random.default_rng(1).integers(0, 256, (1, 16, 16, 3)).astype(np.float32)
    layer = "stage1_block1_add"
    trunk = keras.Model(model.inputs[0], model.get_layer(layer).output)
    rest = keras.Model([model.inputs[0], model.get_layer(layer).output], model.outputs[0])
    activations, step = np.array(trunk(image)), 1e-2
    weights = np.zeros(activations.shape[-1])
    for channel in range(len(weights)):
        moved = np.stack([activations[0], activations[0]])
        moved[:, ..., channel] += np.array([step, -step])[:, None, None]
        up, down = np.array(rest([np.repeat(image, 2, axis=0), moved]))[:, 2]
        weights[channel] = (up - down) / (2 * step)
    cam = np.maximum((activations[0] * weights).sum(axis=-1), 0)
    small = gradcam_heatmap(model, image, 2, layer)[0]
    assert small.shape == (16, 16) and 0 <= small.min() <= small.max() <= 1
    np.testing.assert_allclose(small, cv2.resize((cam / cam.max()).astype(np.float32), (16, 16)), atol=0.05)


def test_other_branches_still_read_the_images():
    model = randomize(build_merged_model((12, 12, 3), 10))
    images = np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)
    assert default_layers(model) == ["original_conv2", "augmented_conv2"]
    together = gradcam_heatmap(model, images, np.arange(5), "original_conv1")
    alone = [gradcam_heatmap(model, images[i : i + 1], i, "original_conv1")[0] for i in range(5)]
    assert together.shape == (5, 12, 12) and together.max() > 0
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_no_evidence_for_the_class_gives_zeros():
    inputs = keras.Input((4, 4, 1))
    x = keras.layers.Conv2D(1, 1, name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)))
    model.set_weights([np.ones((1, 1, 1, 1)), np.zeros(1), -np.ones((1, 2)), np.zeros(2)])
    assert not gradcam_heatmap(model, np.full((2, 4, 4, 1), 9.0), 0, "conv").any()


def test_other_images_and_a_dual_model_are_refused():
    submodels = [build_submodel((12, 12, 3), 4, name) for name in ("original", "augmented")]
    with pytest.raises(LwcnnError, match=r"images of shape \(n, 12, 12, 3\). Received: \(3, 28, 28, 1\)"):
        gradcam_heatmap(submodels[0], np.zeros((3, 28, 28, 1)), 0, "original_conv1")
    with pytest.raises(LwcnnError, match="one input and one output.*Received"):
        gradcam_heatmap(build_dual_model(submodels), np.zeros((3, 12, 12, 3)), 0, "original_conv1")
    with pytest.raises(LwcnnError, match=r"at least one image. Received: \(0, 12, 12, 3\)"):
        gradcam_heatmap(submodels[0], np.zeros((0, 12, 12, 3)), 0, "original_conv1")
    for layer in ("original_logits", "original_conv9"):
        with pytest.raises(LwcnnError, match=f"a layer with feature maps.*Received: '{layer}'"):
            gradcam_heatmap(submodels[0], np.zeros((3, 12, 12, 3)), 0, layer)
    with pytest.raises(LwcnnError, match="classes from 0 to 3. Received: 4 to 4"):
        gradcam_heatmap(submodels[0], np.zeros((3, 12, 12, 3)), 4, "original_conv1")


def test_a_normalization_after_a_dense_layer_has_no_map():
    parts = [keras.layers.Conv2D(4, 3, name="conv"), keras.layers.Flatten(), keras.layers.Dense(5)]
    last = [keras.layers.BatchNormalization(), keras.layers.Dense(2)]
    assert default_layers(keras.Sequential([keras.Input((8, 8, 3)), *parts, *last])) == ["conv"]


def test_layers_that_were_called_in_another_model():
    base = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3), keras.layers.GlobalAveragePooling2D()])
    images = x = keras.Input((16, 16, 1))
    for layer in base.layers:
        x = layer(x)
    model = randomize(keras.Model(images, keras.layers.Dense(3)(x)))
    pixels, (layer,) = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 1)), default_layers(model)
    expected = gradcam_heatmap(_copy(model), pixels, np.arange(3), layer)
    assert expected.max() > 0
    np.testing.assert_allclose(gradcam_heatmap(model, pixels, np.arange(3), layer), expected, atol=1e-6)


def _copy(model):
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def test_a_network_of_one_path_with_names_as_in_vgg_has_one_last_map():
    parts = [keras.layers.Conv2D(4, 3, name=f"block{block}_conv{i}") for block in (1, 2) for i in (1, 2)]
    last = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2)]
    assert default_layers(keras.Sequential([keras.Input((12, 12, 3)), *parts, *last])) == ["block2_conv2"]


def test_last_maps_of_a_residual_network():
    assert default_layers(build_residual_se((16, 16, 3), 4)) == ["head_norm"]


@pytest.mark.parametrize("kernel", [(3, 1), (1, 3), (3, 3)])
def test_the_last_map_is_higher_and_wider_than_one(kernel):
    parts = [keras.layers.Conv2D(4, 3, name="map"), keras.layers.Conv2D(4, kernel, name="line")]
    model = keras.Sequential([keras.Input((5, 5, 3)), *parts, keras.layers.Flatten(), keras.layers.Dense(2)])
    assert default_layers(model) == ["map"]

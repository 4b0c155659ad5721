"""The paper's networks: exact parameter counts, outputs against NumPy, and saving and loading."""

import keras
import numpy as np
import pytest
from made_data import make_dual, make_images, randomize, run_python

from lwcnn.models.configs import ResidualSEConfig
from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.residual_se import build_residual_se
from lwcnn.system.errors import LwcnnError


def parameters_by_layer(model):
    return {layer.name: layer.count_params() for layer in model.layers if layer.weights}


def map_features(shape):
    """Size of the flattened feature map: two valid 3x3 convolutions, each followed by 2x2 pooling."""
    height, width = (((side - 2) // 2 - 2) // 2 for side in shape[:2])
    return height * width * 20


def test_dual_model_on_28x28x1_has_the_papers_13860_parameters():
    model = make_dual((28, 28, 1), 10)
    assert model.count_params() == 13_860
    branch = {"conv1": 100, "conv2": 1_820, "logits": 5_010}
    assert parameters_by_layer(model) == {
        f"{name}_{layer}": count for name in ("original", "augmented") for layer, count in branch.items()
    }


@pytest.mark.parametrize(
    "shape, total, conv1, dense", [((28, 28, 1), 14_862, 100, 5_010), ((32, 32, 3), 19_622, 280, 7_210)]
)
def test_merged_model_has_the_papers_parameters(shape, total, conv1, dense):
    model = build_merged_model(shape, 10)
    assert model.count_params() == total
    assert sum(np.prod(w.shape) for w in model.trainable_weights) == total
    branch = {"conv1": conv1, "conv2": 1_820, "dense_as_conv": dense}
    expected = {f"{name}_{layer}": n for name in ("original", "augmented") for layer, n in branch.items()}
    assert parameters_by_layer(model) == expected | {"head_dense": 672, "head_logits": 330}


@pytest.mark.parametrize("shape, num_classes", [((10, 10, 1), 2), ((13, 20, 2), 7), ((40, 31, 4), 100)])
def test_counts_of_other_shapes_and_class_counts(shape, num_classes):
    convolutions = 9 * shape[2] * 10 + 10 + 9 * 10 * 20 + 20
    submodel = convolutions + (map_features(shape) + 1) * num_classes
    head = (2 * num_classes + 1) * 32 + 33 * num_classes
    assert build_submodel(shape, num_classes).count_params() == submodel
    assert make_dual(shape, num_classes).count_params() == 2 * submodel
    assert build_merged_model(shape, num_classes).count_params() == 2 * submodel + head
    one_branch = build_merged_model(shape, num_classes, ("original",))
    assert one_branch.count_params() == submodel + (num_classes + 1) * 32 + 33 * num_classes


def pooled_convolution(x, kernel, bias):
    """Conv 3x3, ReLU, max-pool 2 in float64 NumPy."""
    n, h, w, _ = x.shape
    maps = bias + sum(x[:, i : i + h - 2, j : j + w - 2] @ kernel[i, j] for i in range(3) for j in range(3))
    p, q = (h - 2) // 2, (w - 2) // 2
    return np.maximum(maps[:, : 2 * p, : 2 * q].reshape(n, p, 2, q, 2, -1).max((2, 4)), 0)


def submodel_in_numpy(model, name, images):
    """Logits of the submodel for 0..255 images, in float64 NumPy."""
    x = images / 255
    for layer in ("conv1", "conv2"):
        x = pooled_convolution(x, *(w.astype(float) for w in model.get_layer(f"{name}_{layer}").get_weights()))
    kernel, bias = model.get_layer(f"{name}_logits").get_weights()
    return x.reshape(len(x), -1) @ kernel + bias


@pytest.mark.parametrize("shape", [(28, 28, 1), (13, 11, 3)])
def test_submodel_gives_logits_of_0_to_255_images(shape):
    model = randomize(build_submodel(shape, 10))
    images, _ = make_images(20, shape)
    expected = submodel_in_numpy(model, "original", images)
    assert (expected < 0).any() and not np.allclose(expected.sum(1), 1)  # a softmax could not be mistaken for it
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5 * np.abs(expected).max())


def test_dual_model_is_its_submodels_side_by_side():
    submodels = [randomize(build_submodel((12, 12, 3), 5, name), i) for i, name in enumerate(("a", "b"))]
    left, right = make_images(8, num_classes=5)[0], make_images(8, num_classes=5, seed=1)[0]
    outputs = build_dual_model(submodels).predict([left, right], verbose=0)
    np.testing.assert_allclose(outputs[0], submodel_in_numpy(submodels[0], "a", left), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(outputs[1], submodel_in_numpy(submodels[1], "b", right), rtol=1e-4, atol=1e-5)


def test_one_submodel_alone_gives_a_model_of_one_input_and_one_output():
    model = build_dual_model([build_submodel((12, 12, 3), 5)])
    assert model(np.zeros((3, 12, 12, 3), np.float32)).shape == (3, 5)  # no list


def test_merged_model_in_numpy():
    model = randomize(build_merged_model((12, 12, 3), 5, dropout=0.5))
    images, _ = make_images(20, num_classes=5)
    features = []
    for name in ("original", "augmented"):
        x = images / 255
        for layer in ("conv1", "conv2"):
            x = pooled_convolution(x, *(w.astype(float) for w in model.get_layer(f"{name}_{layer}").get_weights()))
        kernel, bias = model.get_layer(f"{name}_dense_as_conv").get_weights()
        assert kernel.shape == (1, 1, map_features((12, 12)), 5)
        features.append(np.maximum(x.reshape(len(x), -1) @ kernel[0, 0] + bias, 0))
    (w1, b1), (w2, b2) = (model.get_layer(f"head_{layer}").get_weights() for layer in ("dense", "logits"))
    expected = np.maximum(np.concatenate(features, 1) @ w1 + b1, 0) @ w2 + b2
    np.testing.assert_allclose(model.predict(images, verbose=0), expected, atol=1e-5 * np.abs(expected).max())


def test_initial_weights_are_he_normal():
    model = build_submodel((32, 32, 3), 10)
    for layer, fan_in in (("original_conv1", 27), ("original_conv2", 90)):
        kernel, bias = model.get_layer(layer).get_weights()
        assert kernel.std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.2)
        assert not bias.any()
        assert isinstance(model.get_layer(layer).kernel_initializer, keras.initializers.HeNormal)
    head = build_merged_model((12, 12, 3), 10).get_layer("head_dense")
    assert isinstance(head.kernel_initializer, keras.initializers.HeNormal)


@pytest.mark.parametrize("shape", [(9, 10, 1), (10, 9, 3), (8, 8, 1), (28, 28), (28, 28, 0)])
@pytest.mark.parametrize("build", [build_submodel, build_merged_model])
def test_images_that_are_too_small_are_refused_with_their_shape(build, shape):
    with pytest.raises(LwcnnError, match=r"at least 10.*Received: ") as error:
        build(shape, 10)
    assert str(shape) in str(error.value)


@pytest.mark.parametrize("build", [build_submodel, build_merged_model])
@pytest.mark.parametrize("num_classes", [1, 0, -3])
def test_fewer_than_two_classes_are_refused_with_their_number(build, num_classes):
    with pytest.raises(LwcnnError, match=f"at least 2. Received: {num_classes}"):
        build((28, 28, 1), num_classes)


@pytest.mark.parametrize("branches", [(), ("original", "original"), ("original", "")])
def test_branches_must_have_different_names(branches):
    with pytest.raises(LwcnnError, match="different, non-empty names. Received: "):
        build_merged_model((28, 28, 1), 10, branches)


def test_a_single_name_is_not_a_sequence_of_letters():
    with pytest.raises(LwcnnError, match="as a sequence.*Received: branches='original'"):
        build_merged_model((28, 28, 1), 10, "original")


LOAD_ALL = """
import sys
import keras
import lwcnn
import numpy as np
folder = sys.argv[1]
images = np.load(folder + "/images.npy")
outputs = {}
for name in ("submodel", "dual", "merged", "residual_se"):
    model = keras.saving.load_model(f"{folder}/{name}.keras")
    inputs = [images, images] if len(model.inputs) == 2 else images
    outputs[name] = np.concatenate(keras.tree.flatten(model.predict(inputs, verbose=0)))
np.savez(folder + "/outputs.npz", **outputs)
"""


def test_saved_models_load_in_a_process_that_imports_only_keras_and_lwcnn(tmp_path):
    shape, num_classes = (12, 13, 3), 6
    images, _ = make_images(16, shape, num_classes)
    np.save(tmp_path / "images.npy", images)
    expected = {}
    models = {
        "submodel": build_submodel(shape, num_classes),
        "dual": make_dual(shape, num_classes),
        "merged": build_merged_model(shape, num_classes),
        "residual_se": build_residual_se(shape, num_classes, ResidualSEConfig(block="cbam")),  # with a layer of ours
    }
    for name, model in models.items():
        randomize(model).save(tmp_path / f"{name}.keras")
        inputs = [images, images] if name == "dual" else images
        expected[name] = np.concatenate(keras.tree.flatten(model.predict(inputs, verbose=0)))
    run_python(LOAD_ALL, tmp_path)
    with np.load(tmp_path / "outputs.npz") as outputs:
        for name, wanted in expected.items():
            np.testing.assert_allclose(outputs[name], wanted, rtol=1e-6, atol=1e-6, err_msg=name)

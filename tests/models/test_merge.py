"""The merge and its reverse: Dense to 1x1 convolution, exact before its activation, submodels unchanged."""

import keras
import numpy as np
import pytest
from made_data import make_images, randomize

from lwcnn.models.dual import build_dual_model, build_merged_model, build_submodel
from lwcnn.models.merge import check_merge, merge_submodels
from lwcnn.system.errors import LwcnnError

SHAPES = [(28, 28, 1), (32, 32, 3)]


def random_submodels(shape, num_classes=10, names=("original", "augmented")):
    return [randomize(build_submodel(shape, num_classes, n), seed) for seed, n in enumerate(names)]


def images_of(shape, num_images=12):
    return make_images(num_images, shape)[0]


def close_to_rounding(actual, expected, num_terms):
    """Asserts that two float32 sums of `num_terms` terms agree up to rounding."""
    scale = np.abs(expected).max()
    np.testing.assert_allclose(actual, expected, atol=scale * np.finfo(np.float32).eps * num_terms**0.5, rtol=0)


@pytest.mark.parametrize("shape", SHAPES)
def test_convolution_before_its_activation_gives_what_the_dense_gave(shape):
    submodels = random_submodels(shape)
    merged = merge_submodels(submodels)
    images = images_of(shape)
    for submodel in submodels:
        conv = merged.get_layer(f"{submodel.name}_dense_as_conv")
        assert conv.kernel_size == (1, 1) and conv.activation is keras.activations.relu
        flat = keras.Model(merged.inputs, conv.input).predict(images, verbose=0)  # (n, 1, 1, F)
        assert flat.shape[1:3] == (1, 1)
        linear = keras.layers.Conv2D(10, 1)  # the same convolution without activation
        linear.build(flat.shape)
        linear.set_weights(conv.get_weights())
        before_activation = keras.ops.convert_to_numpy(linear(flat))[:, 0, 0]
        logits = submodel.predict(images, verbose=0)
        assert (logits < 0).any() and (logits > 0).any()
        close_to_rounding(before_activation, logits, num_terms=flat.shape[-1])


@pytest.mark.parametrize("shape", SHAPES)
def test_features_of_the_merged_model_are_relu_of_the_logits(shape):
    submodels = random_submodels(shape)
    merged = merge_submodels(submodels)
    images = images_of(shape)
    features = keras.Model(merged.inputs, merged.get_layer("features").output).predict(images, verbose=0)
    logits = np.concatenate([submodel.predict(images, verbose=0) for submodel in submodels], axis=1)
    assert features.shape == (len(images), 20)
    close_to_rounding(features, np.maximum(logits, 0), num_terms=720)


def test_trained_convolutions_and_converted_dense_are_taken_over_bit_for_bit():
    submodels = random_submodels((28, 28, 1))
    merged = merge_submodels(submodels)
    for submodel in submodels:
        for layer in ("conv1", "conv2"):
            name = f"{submodel.name}_{layer}"
            for a, b in zip(merged.get_layer(name).get_weights(), submodel.get_layer(name).get_weights(), strict=True):
                np.testing.assert_array_equal(a, b)
        kernel, bias = merged.get_layer(f"{submodel.name}_dense_as_conv").get_weights()
        dense_kernel, dense_bias = submodel.get_layer(f"{submodel.name}_logits").get_weights()
        assert kernel.shape == (1, 1, 500, 10)
        np.testing.assert_array_equal(kernel[0, 0], dense_kernel)
        np.testing.assert_array_equal(bias, dense_bias)


def test_the_submodels_stay_unchanged():
    submodels = random_submodels((12, 12, 3))
    images = images_of((12, 12, 3))
    weights = [submodel.get_weights() for submodel in submodels]
    logits = [submodel.predict(images, verbose=0) for submodel in submodels]
    merged = merge_submodels(submodels)
    merged.set_weights([np.zeros_like(w) for w in merged.get_weights()])  # and nothing is shared with them
    for submodel, before, gave in zip(submodels, weights, logits, strict=True):
        assert submodel.trainable and all(layer.trainable for layer in submodel.layers)
        for a, b in zip(before, submodel.get_weights(), strict=True):
            np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(gave, submodel.predict(images, verbose=0))


@pytest.mark.parametrize("reused", [(), ("original",), ("augmented",)])
def test_branches_that_do_not_reuse_their_dense_weights_keep_a_random_draw(reused):
    submodels = random_submodels((12, 12, 3))
    keras.utils.set_random_seed(3)
    converted = merge_submodels(submodels)
    keras.utils.set_random_seed(3)
    merged = merge_submodels(submodels, reuse_dense_weights=reused)
    drawn = {f"{submodel.name}_dense_as_conv" for submodel in submodels if submodel.name not in reused}
    for layer in merged.layers:
        if not layer.weights:
            continue
        pairs = list(zip(layer.get_weights(), converted.get_layer(layer.name).get_weights(), strict=True))
        if layer.name in drawn:
            assert not any(np.array_equal(a, b) for a, b in pairs)
            kernel, bias = layer.get_weights()
            limit = (6 / (kernel.shape[2] + kernel.shape[3])) ** 0.5  # Glorot, uniform
            assert 0.9 * limit < np.abs(kernel).max() <= limit and not bias.any()
        else:
            assert all(np.array_equal(a, b) for a, b in pairs), layer.name


def test_dense_weights_of_an_unknown_submodel_are_refused():
    with pytest.raises(LwcnnError, match="Did you mean 'augmented'.*Received: 'augmentd'"):
        merge_submodels(random_submodels((12, 12, 3)), reuse_dense_weights=("augmentd",))
    with pytest.raises(LwcnnError, match="as a sequence.*Received: reuse_dense_weights='original'"):
        merge_submodels(random_submodels((12, 12, 3)), reuse_dense_weights="original")


def test_a_single_submodel_merges_too():
    (submodel,) = random_submodels((12, 12, 3), names=("original",))
    merged = merge_submodels([submodel])
    images = images_of((12, 12, 3))
    features = keras.Model(merged.inputs, merged.get_layer("features").output).predict(images, verbose=0)
    np.testing.assert_allclose(features, np.maximum(submodel.predict(images, verbose=0), 0), atol=1e-5)


def test_submodels_of_other_widths_merge_and_different_ones_are_refused():
    wide, narrow = build_submodel((32, 32, 3), 10, filters=(18, 35)), build_submodel((32, 32, 3), 10, "augmented")
    merged = merge_submodels([wide])
    assert merged.count_params() == (27 + 1) * 18 + (9 * 18 + 1) * 35 + (36 * 35 + 1) * 10 + 11 * 32 + 33 * 10
    (check,) = check_merge([wide], merged, images_of((32, 32, 3)))
    assert check.same_weights and check.largest_difference < 1e-4
    with pytest.raises(LwcnnError, match=r"equally many filters. Received: .*\(18, 35\).*\(10, 20\)"):
        merge_submodels([wide, narrow])


@pytest.mark.parametrize("filters", [(), (10,), (10, 20, 30), (0, 20), (10, 20.5), (True, 2), "12", 5, None])
def test_filters_are_two_whole_numbers(filters):
    for build in (build_submodel, build_merged_model):
        with pytest.raises(LwcnnError, match=r"two whole numbers of 1 or more. Received: "):
            build((32, 32, 3), 10, filters=filters)


def test_dropout_of_the_new_head():
    assert merge_submodels(random_submodels((12, 12, 3)), dropout=0.25).get_layer("head_dropout").rate == 0.25


def test_submodels_of_different_shapes_are_refused():
    submodels = [build_submodel((28, 28, 1), 10, "original"), build_submodel((28, 29, 1), 10, "augmented")]
    with pytest.raises(LwcnnError, match=r"agree.*Received: original: \(28, 28, 1\) -> 10, augmented: \(28, 29, 1\)"):
        merge_submodels(submodels)


def test_submodels_of_different_class_counts_are_refused():
    submodels = [build_submodel((28, 28, 1), 10, "original"), build_submodel((28, 28, 1), 9, "augmented")]
    with pytest.raises(LwcnnError, match="agree.*-> 10, augmented.*-> 9"):
        merge_submodels(submodels)


def test_submodels_with_equal_names_are_refused():
    submodels = [build_submodel((12, 12, 1), 10, "original") for _ in range(2)]
    with pytest.raises(LwcnnError, match="different, non-empty names. Received: .*original.*original"):
        merge_submodels(submodels)


def test_no_submodels_are_refused():
    with pytest.raises(LwcnnError, match="Received: "):
        merge_submodels([])


def test_check_merge_detects_an_inexact_merge():
    submodels, images = random_submodels((12, 12, 3)), images_of((12, 12, 3))
    merged = merge_submodels(submodels)
    for check, submodel in zip(check_merge(submodels, merged, images), submodels, strict=True):
        assert check.name == submodel.name and check.same_weights
        largest = np.abs(submodel.predict(images, verbose=0)).max()
        assert check.largest_logit == pytest.approx(largest) and check.largest_difference < 1e-5 * largest
    kernel, bias = merged.get_layer("augmented_dense_as_conv").get_weights()
    bias[3] -= 0.25  # of one class alone: the mean of the differences is a tenth of the largest
    merged.get_layer("augmented_dense_as_conv").set_weights([kernel, bias])
    original, augmented = check_merge(submodels, merged, images)
    assert original.same_weights and not augmented.same_weights
    assert augmented.largest_difference == pytest.approx(0.25, abs=1e-4)


def test_models_of_another_kind_are_refused():
    submodels, images = random_submodels((12, 12, 3)), images_of((12, 12, 3))
    merged = merge_submodels(submodels)
    with pytest.raises(LwcnnError, match="build_submodel.*has no layer 'sequential_conv1'"):
        merge_submodels([keras.Sequential([keras.Input((12, 12, 3)), keras.layers.Dense(10)], name="sequential")])
    with pytest.raises(LwcnnError, match="merge_submodels.*has no layer 'third_dense_as_conv'"):
        check_merge([*submodels, build_submodel((12, 12, 3), 10, "third")], merged, images)


def test_a_list_of_submodels_is_needed():
    submodels = random_submodels((12, 12, 3))
    for function in (merge_submodels, build_dual_model):
        with pytest.raises(LwcnnError, match="Give a list of submodels.*Received: the model 'original'"):
            function(submodels[0])
        with pytest.raises(LwcnnError, match="Give submodels.*Received: 'dual' with 2 inputs and 2 outputs"):
            function([build_dual_model(submodels)])


def test_check_merge_needs_images_of_the_submodels_shape():
    submodels = random_submodels((12, 12, 3))
    merged = merge_submodels(submodels)
    for shape in ((2, 12, 12), (2, 12, 12, 1), (0, 12, 12, 3)):
        with pytest.raises(LwcnnError, match=r"Give images of shape \(n, 12, 12, 3\)") as caught:
            check_merge(submodels, merged, np.zeros(shape, np.uint8))
        assert f"Received: {shape}" in str(caught.value)
    with pytest.raises(LwcnnError, match="merge_submodels.*has no layer 'original_dense_as_conv'"):
        check_merge(submodels, submodels[0], np.zeros((2, 12, 12, 3), np.uint8))

"""Tests the mean and standard deviation of channels."""

import numpy as np
import pytest

from lwcnn.training.images import Images


def test_by_hand():
    images = np.zeros((2, 1, 2, 2), np.uint8)
    images[..., 0] = 7
    images[..., 1] = [[[0, 100]], [[100, 200]]]
    mean, std = Images(images, None).channel_statistics()
    assert mean.dtype == std.dtype == np.float64
    assert mean.tolist() == [7, 100]
    np.testing.assert_allclose(std, [0, np.sqrt(5000)], rtol=1e-15)


@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_numpy_over_several_parts_and_for_chosen_images(channels):
    images = np.random.default_rng(0).integers(0, 256, (2500, 5, 4, channels), dtype=np.uint8)
    for indices in (None, np.arange(0, 2500, 2), np.array([3])):
        some = images if indices is None else images[indices]
        mean, std = Images(images, None, indices).channel_statistics()
        np.testing.assert_allclose(mean, some.mean(axis=(0, 1, 2)), rtol=1e-13)
        np.testing.assert_allclose(std, some.std(axis=(0, 1, 2)), rtol=1e-12)


def test_normalized_images_have_mean_zero_and_deviation_one():
    import keras

    images = np.random.default_rng(0).integers(40, 200, (50, 6, 6, 3), dtype=np.uint8)
    mean, std = Images(images, None).channel_statistics()
    layer = keras.layers.Normalization(mean=mean, variance=std**2)
    normalized = keras.ops.convert_to_numpy(layer(images.astype(np.float32)))
    np.testing.assert_allclose(normalized.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(normalized.std(axis=(0, 1, 2)), 1, atol=1e-5)

"""Tests the mean and standard deviation of channels, and which labels and pixels are refused."""

import re

import numpy as np
import pytest

from lwcnn.data.images import Images, Split
from lwcnn.system.errors import LwcnnError
from lwcnn.training.loop import train_phase
from lwcnn.training.optimizers import OptimizerConfig
from lwcnn.training.phases import Phase


def test_by_hand():
    images = np.zeros((2, 1, 2, 2), np.uint8)
    images[..., 0] = 7
    images[..., 1] = [[[0, 100]], [[100, 200]]]
    mean, std = Images(images, np.zeros(len(images), int)).channel_statistics()
    assert mean.dtype == std.dtype == np.float64
    assert mean.tolist() == [7, 100]
    np.testing.assert_allclose(std, [0, np.sqrt(5000)], rtol=1e-15)


@pytest.mark.parametrize("channels", [1, 3])
def test_agrees_with_numpy_over_several_parts_and_for_chosen_images(channels):
    images = np.random.default_rng(0).integers(0, 256, (2500, 5, 4, channels), dtype=np.uint8)
    for indices in (None, np.arange(0, 2500, 2), np.array([3])):
        some = images if indices is None else images[indices]
        mean, std = Images(images, np.zeros(len(images), int), indices).channel_statistics()
        np.testing.assert_allclose(mean, some.mean(axis=(0, 1, 2)), rtol=1e-13)
        np.testing.assert_allclose(std, some.std(axis=(0, 1, 2)), rtol=1e-12)


def test_indices_are_kept_as_one_type():
    """Checkpoints are named by the bytes of the indices."""
    images, labels = np.zeros((3, 4, 4, 1), np.uint8), np.zeros(3, int)
    for indices in ([2, 0], np.array([2, 0], np.int32), np.array([2, 0], np.uint8), []):
        assert Images(images, labels, indices).indices.dtype == np.int64


@pytest.mark.parametrize("labels", [np.zeros((3, 1), int), np.zeros(3), np.zeros(2, int), np.zeros((3, 10), int)])
def test_labels_are_one_integer_per_image(labels):
    received = re.escape(f"Received: {labels.dtype} of shape {labels.shape}")
    with pytest.raises(LwcnnError, match=rf"one integer label for each image, shape \(3,\). {received}"):
        Images(np.zeros((3, 4, 4, 1), np.uint8), labels)


def test_pixels_from_0_to_1_are_refused(made_dataset):
    from lwcnn.evaluation.predict import predict_logits
    from lwcnn.models.dual import build_submodel

    model = build_submodel((12, 12, 3), 10)
    scaled = made_dataset.x_train[:20].astype(np.float32) / 255
    part, said = Images(scaled, made_dataset.y_train[:20]), "Give pixels from 0 to 255.*Received: float32 from 0.* to 0"
    with pytest.raises(LwcnnError, match=said):
        train_phase(model, Phase("all", OptimizerConfig("sgd"), 1), Split(part, part), 0)
    with pytest.raises(LwcnnError, match=said):
        predict_logits(model, scaled)
    same = [predict_logits(model, images) for images in (made_dataset.x_train[:20], 255 * scaled)]
    np.testing.assert_allclose(*same, atol=1e-5)


@pytest.mark.parametrize(
    "indices, message",
    [
        ([True, False, True], r"as integers, shape \(m,\). Received: bool of shape \(3,\)"),
        ([[0], [1]], r"as integers, shape \(m,\). Received: int64 of shape \(2, 1\)"),
        ([0, 3], "from 0 to 2. Received: 0 to 3"),
        ([-1, 1], "from 0 to 2. Received: -1 to 1"),
    ],
)
def test_indices_are_positions_and_no_mask(indices, message):
    with pytest.raises(LwcnnError, match=f"Give indices {message}"):
        Images(np.zeros((3, 4, 4, 1), np.uint8), np.arange(3), indices)


def test_lists_become_arrays():
    images = np.zeros((3, 4, 4, 1), np.uint8)
    _, labels = Images(images, [2, 1, 0], [0, 2]).arrays()
    assert labels.tolist() == [2, 0]
    _, labels = Images(images, [2, 1, 0], []).arrays()
    assert labels.tolist() == []


def test_statistics_are_those_of_uint8_images():
    with pytest.raises(LwcnnError, match="Give images as uint8.*Received: float32 of shape"):
        Images(np.zeros((3, 4, 4, 1), np.float32), np.arange(3)).channel_statistics()

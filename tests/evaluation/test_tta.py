"""Test-time augmentation: each view on images whose answer is known, the mean by hand, the command's two columns."""

import json

import keras
import numpy as np
import pytest
from made_data import randomize
from scipy.ndimage import correlate1d
from scipy.special import softmax

from lwcnn.cli.main import main
from lwcnn.evaluation import VIEWS, accuracy, default_views, predict_logits, predict_over_views, summarize
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import LwcnnError


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model():
    return randomize(build_merged_model((12, 12, 3), 10))


def test_each_view_of_images_whose_answer_is_known(images):
    before = images.copy()
    seen = {name: np.asarray(view(images)) for name, view in VIEWS.items()}
    assert all(view.dtype == np.uint8 and view.shape == images.shape for view in seen.values())
    np.testing.assert_array_equal(seen["original"], images)
    np.testing.assert_array_equal(seen["center_crop"], images)  # padding by 4, then the center, gives it back
    np.testing.assert_array_equal(seen["horizontal_flip"][:, 3, 0], images[:, 3, 11])
    np.testing.assert_array_equal(seen["vertical_flip"][:, 0, 3], images[:, 11, 3])
    side = np.exp(-0.5)
    kernel = np.array([side, 1, side]) / (1 + 2 * side)
    blurred = correlate1d(correlate1d(images.astype(float), kernel, 1, mode="mirror"), kernel, 2, mode="mirror")
    np.testing.assert_allclose(seen["blur"], blurred, atol=0.51)
    np.testing.assert_array_equal(images, before)


def test_the_mean_is_that_of_the_probabilities(model, images):
    views = ("original", "horizontal_flip", "blur")
    each = [softmax(predict_logits(model, VIEWS[name](images)).astype(float), axis=1) for name in views]
    averaged = predict_over_views(model, images, views, batch_size=2)
    np.testing.assert_allclose(softmax(averaged, axis=1), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(np.exp(averaged).sum(axis=1), 1)
    alone = predict_over_views(model, images, ["original"])
    np.testing.assert_allclose(softmax(alone, axis=1), each[0], atol=1e-6)


def test_probabilities_of_zero_stay_finite(images):
    image = keras.Input((12, 12, 3))
    dense = keras.layers.Dense(3)
    certain = keras.Model(image, dense(keras.layers.Flatten()(image)))
    dense.set_weights([np.zeros((432, 3)), np.array([5_000.0, 0.0, -5_000.0])])
    averaged = predict_over_views(certain, images)
    assert np.isfinite(averaged).all()
    assert summarize(averaged, np.zeros(5, int))["loss"] == 0


def test_a_mistaken_view_is_refused(model, images):
    with pytest.raises(LwcnnError, match="Did you mean 'blur'"):
        predict_over_views(model, images, ["blurr"])
    for views in ([], ["blur", "blur"]):
        with pytest.raises(LwcnnError, match="each once. Received"):
            predict_over_views(model, images, views)


def test_digits_are_not_mirrored_unasked():
    assert default_views(may_flip=True) == tuple(VIEWS)
    assert default_views(may_flip=False) == ("original", "center_crop", "blur")


def test_the_command_keeps_both_apart(model, made_npz, made_dataset, tmp_path, capsys):
    path, written = tmp_path / "made-paper.keras", tmp_path / "measured.json"
    model.save(path)
    views = ["original", "vertical_flip"]
    assert main(["evaluate", str(path), f"--dataset={made_npz}", f"--json={written}", "--tta", *views]) == 0
    printed, measured = capsys.readouterr().out, json.loads(written.read_text())
    without = predict_logits(model, made_dataset.x_test)
    mean = predict_over_views(model, made_dataset.x_test, views)
    assert measured["accuracy"] == accuracy(without, made_dataset.y_test)
    assert measured["tta"]["accuracy"] == accuracy(mean, made_dataset.y_test)
    assert measured["tta"]["views"] == views and measured["tta"]["averaged"] == "softmax probabilities"
    assert measured["class_names"] == list(made_dataset.class_names) and len(measured["f1"]) == 10
    (line,) = [line for line in printed.splitlines() if line.startswith("test accuracy")]
    assert line.split()[2::2] == [f"{100 * one['accuracy']:.2f}" for one in (measured, measured["tta"])]
    assert main(["evaluate", str(path), f"--dataset={made_npz}", f"--json={written}"]) == 0
    assert "tta" not in json.loads(written.read_text()) and "mean of views" not in capsys.readouterr().out
    assert main(["evaluate", str(path), f"--dataset={made_npz}", "--tta"]) == 0
    assert "views            original, center_crop, blur:" in capsys.readouterr().out

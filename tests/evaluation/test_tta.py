"""Tests of test-time augmentation: transforms of known images, the average computed by hand, the command's columns."""

import json

import keras
import numpy as np
import pytest
from made_data import describe, randomize
from scipy.ndimage import correlate1d
from scipy.special import softmax

from lwcnn.cli.main import main
from lwcnn.evaluation.metrics import accuracy, average_probabilities, summarize
from lwcnn.evaluation.predict import TTA_TRANSFORMS, predict_images, predict_logits, predict_tta
from lwcnn.models.dual import build_merged_model
from lwcnn.models.io import save_model
from lwcnn.system.errors import LwcnnError


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (5, 12, 12, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def models(made_dataset):
    """Two models, each of which predicts several classes: their logits have a mean of zero."""
    made = [randomize(build_merged_model((12, 12, 3), 10), seed) for seed in range(2)]
    for one in made:
        one.layers[-1].bias.assign_sub(predict_logits(one, made_dataset.x_test).mean(axis=0))
    return made


@pytest.fixture(scope="module")
def model(models):
    return models[0]


def test_each_transform_of_known_images(images):
    before = images.copy()
    seen = {name: np.asarray(transform(images)) for name, transform in TTA_TRANSFORMS.items()}
    assert all(seen_one.dtype == np.uint8 and seen_one.shape == images.shape for seen_one in seen.values())
    np.testing.assert_array_equal(seen["original"], images)
    np.testing.assert_array_equal(
        seen["center_crop"], images
    )  # padding by 4, then cropping the center, restores the image
    np.testing.assert_array_equal(seen["horizontal_flip"][:, 3, 0], images[:, 3, 11])
    np.testing.assert_array_equal(seen["vertical_flip"][:, 0, 3], images[:, 11, 3])
    side = np.exp(-0.5)
    kernel = np.array([side, 1, side]) / (1 + 2 * side)
    blurred = correlate1d(correlate1d(images.astype(float), kernel, 1, mode="mirror"), kernel, 2, mode="mirror")
    np.testing.assert_allclose(seen["blur"], blurred, atol=0.51)
    np.testing.assert_array_equal(images, before)


def test_probabilities_are_averaged(model, images):
    transforms = ("original", "horizontal_flip", "blur")
    each = [softmax(predict_logits(model, TTA_TRANSFORMS[name](images)).astype(float), axis=1) for name in transforms]
    averaged = predict_tta(model, images, transforms)
    np.testing.assert_allclose(softmax(averaged, axis=1), np.mean(each, axis=0), atol=1e-6)
    np.testing.assert_allclose(np.exp(averaged).sum(axis=1), 1)
    alone = predict_tta(model, images, ["original"])
    np.testing.assert_allclose(softmax(alone, axis=1), each[0], atol=1e-6)


def test_the_temperature_divides_the_logits_of_each_view(model, images):
    views = ("original", "horizontal_flip")
    logits = [predict_logits(model, view).astype(float) / 2 for view in (images, images[:, :, ::-1])]
    expected = np.mean([softmax(one, axis=1) for one in logits], axis=0)
    found = predict_images(model, images, 1, list("0123456789"), 2.0, views)
    assert list(found["label"]) == [str(label) for label in expected.argmax(axis=1)]
    np.testing.assert_allclose(found["probability"], expected.max(axis=1), atol=1e-6)


def test_probabilities_of_zero_stay_finite(images):
    image = keras.Input((12, 12, 3))
    dense = keras.layers.Dense(3)
    certain = keras.Model(image, dense(keras.layers.Flatten()(image)))
    dense.set_weights([np.zeros((432, 3)), np.array([5_000.0, 0.0, -5_000.0])])
    averaged = predict_tta(certain, images)
    assert np.isfinite(averaged).all()
    assert summarize(averaged, np.zeros(5, int))["loss"] == 0


def test_probabilities_are_refused_and_logits_that_look_like_them_are_not(images):
    image = keras.Input((12, 12, 3))
    dense = keras.layers.Dense(2)
    logits = keras.Model(image, dense(keras.layers.Flatten()(image)))
    dense.set_weights([np.zeros((432, 2)), np.array([0.3, 0.7])])
    np.testing.assert_allclose(predict_logits(logits, images[:1]), [[0.3, 0.7]], rtol=1e-6)
    shares = keras.Model(image, keras.layers.Softmax()(logits(image)))
    hidden = keras.Model(image, keras.ops.softmax(logits(image)))
    for model, number in ((shares, 1), (shares, 5), (hidden, 5)):
        with pytest.raises(LwcnnError, match="logits as output, without softmax"):
            predict_logits(model, images[:number])


def test_transforms_are_a_sequence_of_known_names(model, images):
    with pytest.raises(LwcnnError, match="Did you mean 'horizontal_flip'.*Received: 'horizontl_flip'"):
        predict_tta(model, images, ["horizontl_flip"])
    with pytest.raises(LwcnnError, match="as a sequence.*Received: transforms='original'"):
        predict_tta(model, images, "original")
    for temperature in (0, -1, float("nan")):
        with pytest.raises(LwcnnError, match="temperature as a positive number"):
            predict_tta(model, images, temperature=temperature)
    with pytest.raises(LwcnnError, match="at least one transform"):
        predict_tta(model, images, ())


def test_the_command_averages_several_models_with_tta(models, made_npz, made_dataset, tmp_path):
    paths, written = [str(tmp_path / f"{k}.keras") for k in range(2)], tmp_path / "measured.json"
    for one, path in zip(models, paths, strict=True):
        one.save(path)
    transforms = ["original", "vertical_flip"]
    assert main(["evaluate", *paths, f"--dataset={made_npz}", f"--json={written}", "--tta", *transforms]) == 0
    votes = [predict_tta(one, made_dataset.x_test, transforms) for one in models]
    found = json.loads(written.read_text())["tta"]["accuracy"]
    assert found == accuracy(average_probabilities(votes), made_dataset.y_test)
    assert found not in [accuracy(vote, made_dataset.y_test) for vote in votes]


def test_command_reports_both_separately(model, made_npz, made_dataset, tmp_path, capsys):
    path, written = tmp_path / "made-paper.keras", tmp_path / "measured.json"
    model.save(path)
    transforms = ["original", "vertical_flip"]
    assert main(["evaluate", str(path), f"--dataset={made_npz}", f"--json={written}", "--tta", *transforms]) == 0
    printed, measured = capsys.readouterr().out, json.loads(written.read_text())
    without = predict_logits(model, made_dataset.x_test)
    averaged = predict_tta(model, made_dataset.x_test, transforms)
    assert measured["accuracy"] == accuracy(without, made_dataset.y_test)
    assert measured["tta"]["accuracy"] == accuracy(averaged, made_dataset.y_test)
    assert measured["tta"]["transforms"] == transforms and measured["tta"]["averaged"] == "softmax probabilities"
    assert measured["class_names"] == list(made_dataset.class_names) and len(measured["f1"]) == 10
    (line,) = [line for line in printed.splitlines() if line.startswith("test accuracy")]
    assert line.split()[2:] == [f"{100 * one['accuracy']:.2f}%" for one in (measured, measured["tta"])]
    by_class = [line.split() for line in printed.splitlines()[-len(made_dataset.class_names) :]]
    assert [int(one[-1]) for one in by_class] == np.bincount(made_dataset.y_test).tolist()
    assert main(["evaluate", str(path), f"--dataset={made_npz}", f"--json={written}"]) == 0
    assert "tta" not in json.loads(written.read_text()) and "with TTA" not in capsys.readouterr().out
    assert main(["evaluate", str(path), f"--dataset={made_npz}", "--tta"]) == 0
    assert "TTA              original, horizontal_flip:" in capsys.readouterr().out
    save_model(path, model, describe(made_dataset))
    assert main(["evaluate", str(path), f"--dataset={made_npz}", "--tta"]) == 1
    assert "Leave out --tta, or name its transforms" in capsys.readouterr().err

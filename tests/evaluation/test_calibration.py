"""The temperature is fitted on validation images, and thresholds undo a known shift."""

import runpy

import numpy as np
import pytest
from made_data import ROOT
from scipy.special import softmax
from sklearn.metrics import log_loss

from lwcnn.evaluation.metrics import accuracy, measure_calibration


@pytest.fixture
def fit_thresholds(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks/after_training.py"))["fit_thresholds"]


def test_the_temperature_is_that_of_the_validation_images():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 4000)
    logits = 2 * np.eye(3)[labels] + rng.normal(size=(4000, 3))
    honest = measure_calibration(logits[:2000], labels[:2000], logits[2000:], labels[2000:])
    loud = measure_calibration(4 * logits[:2000], labels[:2000], 4 * logits[2000:], labels[2000:])
    assert loud["temperature"] == pytest.approx(4 * honest["temperature"], rel=1e-4)
    assert loud["ece_scaled"] == pytest.approx(honest["ece_scaled"], abs=1e-4) and loud["ece_scaled"] < 0.03
    unlike = measure_calibration(4 * logits[:2000], labels[:2000], logits[2000:], labels[2000:])
    assert unlike["ece_scaled"] > 0.1  # it is not fitted on the test images


def test_thresholds_undo_a_known_shift(fit_thresholds):
    generator = np.random.default_rng(0)
    logits = generator.normal(size=(20_000, 3)) * 2
    labels = (softmax(logits, axis=1).cumsum(1) < generator.random((20_000, 1))).sum(1)  # drawn from the probabilities
    shift = np.array([1.0, -0.5, -0.5])
    found = fit_thresholds(logits + shift, labels)
    np.testing.assert_allclose(found - found.mean(), -shift, atol=0.06)
    better = accuracy(logits + shift + found, labels)
    assert abs(better - accuracy(logits, labels)) < 0.004 < better - accuracy(logits + shift, labels)


def test_a_class_without_images_has_the_largest_threshold(fit_thresholds):
    logits = np.random.default_rng(0).normal(size=(50, 3))
    assert fit_thresholds(logits, np.arange(50) % 2).argmin() == 2


def test_the_scaled_loss_is_that_of_the_test_images_at_the_fitted_temperature():
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 3, 4000)
    logits = 4 * (2 * np.eye(3)[labels] + draws.normal(size=(4000, 3)))
    found = measure_calibration(logits[:2000], labels[:2000], logits[2000:], labels[2000:])
    probabilities = softmax(logits[2000:] / found["temperature"], axis=1)
    assert found["test_loss_scaled"] == pytest.approx(log_loss(labels[2000:], probabilities), rel=1e-6)

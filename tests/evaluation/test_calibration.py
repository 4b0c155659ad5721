"""Tests that the temperature is fitted on validation images."""

import numpy as np
import pytest

from lwcnn.evaluation.calibration import measure_calibration


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

"""Tests metrics against scikit-learn, SciPy and manual counts."""

import json
import math

import keras
import numpy as np
import pytest
import sklearn.metrics
from scipy.special import softmax

from lwcnn.data.checks import images_at_once
from lwcnn.evaluation.metrics import (
    accuracy,
    cross_entropy,
    drop_large_confusion_matrix,
    expected_calibration_error,
    fit_temperature,
    precision_recall_f1,
    reliability_bins,
    summarize,
    top_k_accuracy,
)
from lwcnn.evaluation.predict import predict_logits
from lwcnn.evaluation.statistics import mcnemar_exact
from lwcnn.system.errors import LwcnnError


@pytest.fixture
def scored():
    """Makes logits with an accuracy of about one half, and their labels."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 10, 2_000)
    logits = generator.normal(size=(2_000, 10)).astype(np.float32)
    logits[np.arange(2_000), labels] += 1.5
    return logits, labels


def of_probabilities(*rows):
    return np.log(np.array(rows))


def test_against_scikit_learn(scored):
    logits, labels = scored
    predicted = logits.argmax(axis=1)
    loss = sklearn.metrics.log_loss(labels, softmax(logits.astype(float), axis=1))
    assert accuracy(logits, labels) == sklearn.metrics.accuracy_score(labels, predicted)
    assert cross_entropy(logits, labels) == pytest.approx(loss, rel=1e-6)


def test_cross_entropy_by_hand_and_far_out():
    logits = of_probabilities([0.5, 0.25, 0.25], [0.1, 0.1, 0.8])
    assert cross_entropy(logits, np.array([0, 1])) == pytest.approx((math.log(2) + math.log(10)) / 2)
    assert cross_entropy(logits + 1e4, np.array([0, 1])) == pytest.approx((math.log(2) + math.log(10)) / 2)
    assert cross_entropy(np.array([[1e4, -1e4]]), np.array([1])) == pytest.approx(2e4)
    # An image's loss does not depend on how large another's logits are.
    assert cross_entropy(np.array([[0.0, 0.0], [1e4, 0.0]]), np.array([0, 0])) == pytest.approx(math.log(2) / 2)


def test_rows_of_the_confusion_matrix_are_labels():
    logits = np.eye(3)[[2, 2, 0]]
    expected = [[0, 0, 1], [0, 0, 1], [1, 0, 0]]
    assert summarize(logits, np.array([0, 1, 2]))["confusion_matrix"] == expected


def test_precision_recall_and_f1_by_hand():
    # Class 0: predicted 3 times, right twice, 4 images. Class 1: predicted twice, right once, 1 image. Class 2: an
    # image, never predicted. Class 3: predicted once, no image. Class 4: neither.
    predicted = np.array([0, 0, 1, 3, 1, 0])
    labels = np.array([0, 0, 0, 0, 1, 2])
    measured = precision_recall_f1(np.eye(5)[predicted], labels)
    assert measured["precision"] == pytest.approx([2 / 3, 1 / 2, 0, np.nan, np.nan], nan_ok=True)
    assert measured["recall"] == pytest.approx([2 / 4, 1, 0, np.nan, np.nan], nan_ok=True)
    assert measured["f1"] == pytest.approx([4 / 7, 2 / 3, 0, np.nan, np.nan], nan_ok=True)
    summary = summarize(np.eye(5)[predicted], labels)
    assert summary["macro_f1"] == pytest.approx((4 / 7 + 2 / 3) / 3) and summary["f1"][4] is None
    assert summary["per_class_accuracy"] == [0.5, 1, 0, None, None]


def test_top_k_accuracy_is_scikit_learn_s(scored):
    logits, labels = scored
    for k in (1, 3, 5, 9):
        wanted = sklearn.metrics.top_k_accuracy_score(labels, logits, k=k)
        assert top_k_accuracy(logits, labels, k) == pytest.approx(wanted)
    assert top_k_accuracy(logits, labels, 1) == accuracy(logits, labels)
    assert top_k_accuracy(logits, labels, 10) == 1.0
    ties = np.zeros((4, 4))
    assert top_k_accuracy(ties, np.array([0, 1, 2, 2]), 3) == 1  # the lower class comes first, as in argmax


def test_temperature_is_that_of_the_least_loss(scored):
    logits, labels = 3 * scored[0], scored[1]  # over-confident
    temperature = fit_temperature(logits, labels)
    losses = [cross_entropy(logits / t, labels) for t in (temperature, 1.02 * temperature, 0.98 * temperature)]
    assert losses[0] == min(losses) < cross_entropy(logits, labels)
    assert fit_temperature(5 * logits, labels) == pytest.approx(5 * temperature, rel=1e-3)
    assert fit_temperature(0.1 * logits, labels) == pytest.approx(0.1 * temperature, rel=1e-3)
    always_right = np.eye(3)[[0, 1, 2]]
    assert fit_temperature(always_right, np.arange(3)) == 1  # no reason to be surer than the model
    assert fit_temperature(always_right, np.array([1, 2, 0])) == pytest.approx(20, rel=1e-3)


def test_calibration_error_by_hand():
    # Of 10 bins, (0.5, 0.6] holds 0.55 (right) and 0.6 (wrong); (0.8, 0.9] holds 0.85 (right), 0.9 (right).
    logits = of_probabilities([0.55, 0.45], [0.4, 0.6], [0.85, 0.15], [0.9, 0.1])
    labels = np.array([0, 0, 0, 0])
    expected = 0.5 * abs(0.5 - 0.575) + 0.5 * abs(1 - 0.875)
    # 0.6 and 0.9 are on an edge: a rounding may put them above it.
    nudged = of_probabilities([0.55, 0.45], [0.4001, 0.5999], [0.85, 0.15], [0.8999, 0.1001])
    assert expected_calibration_error(nudged, labels, num_bins=10) == pytest.approx(expected, abs=1e-4)
    assert expected_calibration_error(logits, labels, num_bins=1) == pytest.approx(abs(0.75 - 0.725))


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # Confidences 0.5, right, and 0.75, wrong; on some CPUs a rounding would put the latter above its edge.
    logits = np.array([[0.0, 0.0], [np.log(3) - 1e-9, 0.0]])
    labels = np.array([0, 1])
    assert expected_calibration_error(logits, labels, num_bins=2) == pytest.approx((0.5 + 0.75) / 2)
    assert expected_calibration_error(logits, labels, num_bins=1) == pytest.approx(0.125)
    confidence, accuracies, counts = reliability_bins(logits, labels, num_bins=4)
    np.testing.assert_allclose(confidence, [np.nan, 0.5, 0.75, np.nan])
    np.testing.assert_array_equal(accuracies, [np.nan, 1, 0, np.nan])
    assert counts.tolist() == [0, 1, 1, 0]


def test_calibration_error_bin_by_bin(scored):
    logits, labels = scored
    probabilities = softmax(logits.astype(float), axis=1)
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    total = 0.0
    for low in np.arange(15) / 15:
        inside = (confidence > low) & (confidence <= low + 1 / 15)
        if inside.any():
            total += inside.mean() * abs(correct[inside].mean() - confidence[inside].mean())
    assert expected_calibration_error(logits, labels) == pytest.approx(total, abs=1e-9)


def test_calibration_error_of_certainty():
    certain = np.array([[1e3, 0.0], [0.0, 1e3], [1e3, 0.0], [1e3, 0.0]])
    assert expected_calibration_error(certain, np.array([0, 1, 0, 0])) == 0
    assert expected_calibration_error(certain, np.array([1, 0, 1, 1])) == 1
    assert expected_calibration_error(certain, np.array([0, 1, 0, 1])) == pytest.approx(0.25)


def test_mcnemar_counts_only_where_the_models_differ():
    a = np.array([True] * 9 + [False] * 1 + [True] * 50 + [False] * 20)
    b = np.array([False] * 9 + [True] * 1 + [True] * 50 + [False] * 20)
    by_hand = 2 * sum(math.comb(10, k) for k in (0, 1)) / 2**10
    assert mcnemar_exact(a, b) == mcnemar_exact(b, a) == pytest.approx(by_hand)
    assert mcnemar_exact(a, a) == 1.0
    worse, better = np.zeros(5, bool), np.ones(5, bool)
    assert mcnemar_exact(worse, better) == mcnemar_exact(better, worse) == pytest.approx(2 / 2**5)
    assert mcnemar_exact(np.array([True, False]), np.array([False, True])) == 1.0


def test_summary_goes_to_json_and_back(scored):
    logits, labels = scored
    summary = summarize(logits, labels)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert {"accuracy", "top_3_accuracy", "loss", "ece", "macro_f1", "per_class_accuracy", "recall"} <= summary.keys()
    assert "top_3_accuracy" not in summarize(np.eye(3), np.arange(3)), "always 100%"
    assert summary["recall"] == summary["per_class_accuracy"]
    assert summary["macro_precision"] == pytest.approx(np.mean(summary["precision"]))
    assert summary["accuracy"] == accuracy(logits, labels)
    assert summary["loss"] == cross_entropy(logits, labels)
    assert summary["ece"] == expected_calibration_error(logits, labels, num_bins=15)
    assert sum(map(sum, summary["confusion_matrix"])) == len(labels)


@pytest.mark.parametrize("function", [accuracy, cross_entropy, fit_temperature, top_k_accuracy, summarize])
@pytest.mark.parametrize(
    "logits, labels, said",
    [
        (np.zeros((3, 2)), np.zeros(2, int), r"\(2,\)"),
        (np.zeros((3, 2)), np.zeros((3, 1), int), r"\(3, 1\)"),
        (np.zeros((3, 2)), np.zeros(3), "float64"),
        (np.zeros((3, 2)), np.array([0, 1, 2]), "0 to 2"),
        (np.zeros((3, 2)), np.array([0, 1, -1]), "-1 to 1"),
        (np.zeros(3), np.zeros(3, int), r"\(3,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), r"\(0, 2\)"),
        (np.zeros((3, 2), int), np.zeros(3, int), "int64"),
        (np.array([[0.0, np.nan], [1.0, 0.0]]), np.array([0, 1]), "1 of 2 images"),
    ],
)
def test_refuses_arrays_that_do_not_fit(function, logits, labels, said):
    with pytest.raises(LwcnnError, match=f"Received: .*{said}"):
        function(logits, labels)


def make_model(num_outputs=1, num_inputs=1):
    inputs = [keras.Input((4, 4, 1)) for _ in range(num_inputs)]
    features = keras.layers.Dropout(0.5)(sum(keras.layers.Flatten()(x / 255.0) for x in inputs))
    outputs = [keras.layers.Dense(3)(features) for _ in range(num_outputs)]
    return keras.Model(inputs if num_inputs > 1 else inputs[0], outputs if num_outputs > 1 else outputs[0])


def test_logits_are_the_models_without_dropout():
    model = make_model()
    images = np.random.default_rng(0).integers(0, 256, (23, 4, 4, 1), dtype=np.uint8)
    kernel, bias = model.layers[-1].get_weights()
    logits = predict_logits(model, images)
    assert logits.dtype == np.float32 and logits.shape == (23, 3)
    np.testing.assert_allclose(logits, images.reshape(23, 16) / 255 @ kernel + bias, atol=1e-5)


def test_predict_refuses_other_models_and_images():
    images = np.zeros((2, 4, 4, 1), np.uint8)
    with pytest.raises(LwcnnError, match="2 inputs and 1 outputs"):
        predict_logits(make_model(num_inputs=2), images)
    with pytest.raises(LwcnnError, match="1 inputs and 2 outputs"):
        predict_logits(make_model(num_outputs=2), images)
    with pytest.raises(LwcnnError, match=r"Received: \(2, 4, 4, 3\)"):
        predict_logits(make_model(), np.zeros((2, 4, 4, 3), np.uint8))
    with pytest.raises(LwcnnError, match=r"Received: \(0, 4, 4, 1\)"):
        predict_logits(make_model(), images[:0])
    image = keras.Input((4, 4, 1))
    with pytest.raises(LwcnnError, match=r"Received: \(None, 4, 4, 2\)"):
        predict_logits(keras.Model(image, keras.layers.Dense(2)(image)), images)


@pytest.mark.parametrize(
    "side, most, wanted", [(28, 500, 500), (32, 500, 500), (32, 7, 7), (64, 500, 128), (224, 500, 10), (2000, 500, 1)]
)
def test_large_images_are_predicted_a_few_at_a_time(side, most, wanted):
    assert images_at_once((side, side, 3), most) == wanted


def test_a_model_of_features_predicts_too():
    model = keras.Sequential([keras.Input((5,)), keras.layers.Dense(3)])
    features = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    np.testing.assert_allclose(predict_logits(model, features), features @ model.get_weights()[0], rtol=1e-5, atol=1e-6)
    unchanged, rows = keras.Sequential([keras.Input((2,)), keras.layers.Identity()]), np.float32([[2, -1], [-3, 4]])
    np.testing.assert_array_equal(predict_logits(unchanged, rows), rows)  # they sum to 1, but are no probabilities


def test_predict_bounds_the_pixels_of_a_batch(monkeypatch):
    inputs = keras.Input((80, 80, 1))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(inputs)))
    seen = []
    monkeypatch.setattr(
        model, "predict", lambda images, batch_size, verbose: seen.append(batch_size) or np.zeros((len(images), 2))
    )
    predict_logits(model, np.zeros((3, 80, 80, 1), np.uint8))
    assert seen == [81]


@pytest.mark.parametrize("num_classes, is_kept", [(200, True), (201, False)])
def test_files_have_no_confusion_matrix_of_very_many_classes(num_classes, is_kept):
    labels = np.arange(num_classes)
    measured = summarize(np.eye(num_classes), labels)
    kept = drop_large_confusion_matrix(measured)
    assert len(measured["confusion_matrix"]) == num_classes  # only what is written is smaller
    assert kept == measured if is_kept else kept == measured | {"confusion_matrix": None}
    assert len(json.dumps(drop_large_confusion_matrix(summarize(np.eye(1000), np.arange(1000))), indent=1)) < 100_000

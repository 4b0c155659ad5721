"""Temperature scaling: logits are divided so that confidence matches accuracy."""

import numpy as np

from lwcnn.evaluation.metrics import cross_entropy, expected_calibration_error


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fits the temperature, from 0.05 to 20, that minimizes the loss of `logits / temperature`.

    It is 1 if all classes are right. Source: arXiv 1706.04599.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, dtype=float)
    if np.array_equal(logits.argmax(axis=1), labels):
        return 1.0
    found = minimize_scalar(
        lambda log_temperature: cross_entropy(logits / np.exp(log_temperature), labels),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


def scale_cross_fitted(logits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """Returns test logits scaled by temperatures that are cross-fitted on the test images, and these temperatures.

    Even rows are divided by the temperature fitted on odd rows and vice versa. The canonical order of a data set is
    independent of class, so both halves have the same distribution.
    """
    even, odd = (fit_temperature(logits[other::2], labels[other::2]) for other in (1, 0))
    divisors = np.where(np.arange(len(logits)) % 2, odd, even)[:, None]
    return np.asarray(logits, dtype=float) / divisors, (even, odd)


def measure_calibration(
    validation_logits: np.ndarray, validation_labels: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Returns `temperature`, fitted on validation images that no training used, `ece_scaled` and `test_loss_scaled`."""
    temperature = fit_temperature(validation_logits, validation_labels)
    scaled = np.asarray(logits, dtype=float) / temperature
    return {
        "temperature": temperature,
        "ece_scaled": expected_calibration_error(scaled, labels),
        "test_loss_scaled": cross_entropy(scaled, labels),
    }

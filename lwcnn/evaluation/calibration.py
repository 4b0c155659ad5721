"""Temperature scaling: divides logits by one fitted number so that confidence matches accuracy."""

from dataclasses import dataclass

import numpy as np

from lwcnn.evaluation.metrics import cross_entropy, expected_calibration_error


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """Fits the temperature, between 0.05 and 20, that minimizes the cross-entropy of `logits / temperature`.

    Source: Guo et al., arXiv 1706.04599, section 4.2.
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


@dataclass(frozen=True)
class ScaledLogits:
    """Logits after cross-fitted temperature scaling, and the temperatures of the even and of the odd rows."""

    logits: np.ndarray
    temperatures: tuple[float, float]


def scale_cross_fitted(logits: np.ndarray, labels: np.ndarray) -> ScaledLogits:
    """Scales test logits by temperatures cross-fitted on the test images, for runs without validation logits.

    Even rows are divided by the temperature fitted on odd rows and vice versa, so no image influences its own
    temperature. The canonical order of a data set is independent of class, so both halves have the same distribution.
    """
    scaled = np.array(logits, dtype=float)
    temperatures = []
    for start in (0, 1):
        temperature = fit_temperature(logits[1 - start :: 2], labels[1 - start :: 2])
        scaled[start::2] /= temperature
        temperatures.append(temperature)
    return ScaledLogits(scaled, (temperatures[0], temperatures[1]))


def measure_calibration(
    validation_logits: np.ndarray, validation_labels: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """Measures test calibration after temperature scaling fitted on validation images that no training used.

    Returns a dict with `temperature`, `ece_scaled` (15 bins, between 0 and 1) and `test_loss_scaled` (nats).
    """
    temperature = fit_temperature(validation_logits, validation_labels)
    scaled = np.asarray(logits, dtype=float) / temperature
    return {
        "temperature": temperature,
        "ece_scaled": expected_calibration_error(scaled, labels),
        "test_loss_scaled": cross_entropy(scaled, labels),
    }

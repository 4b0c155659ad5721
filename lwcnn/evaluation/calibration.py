"""Temperature scaling: one number, by which all logits are divided, so that confidence tells accuracy."""

from dataclasses import dataclass

import numpy as np

from lwcnn.evaluation.metrics import cross_entropy, expected_calibration_error


def fit_temperature(logits: np.ndarray, labels: np.ndarray) -> float:
    """The temperature, 0.05 to 20, that the logits are best divided by: least cross-entropy.

    Args:
        logits: (n, classes), finite; of images that have no part in what is then measured, or see `scale_cross_fitted`.
        labels: (n,).

    Source: Guo et al., arXiv 1706.04599, section 4.2.
    """
    from scipy.optimize import minimize_scalar

    logits = np.asarray(logits, dtype=float)
    found = minimize_scalar(
        lambda log_temperature: cross_entropy(logits / np.exp(log_temperature), labels),
        bounds=(np.log(0.05), np.log(20)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))


@dataclass(frozen=True)
class Scaled:
    """Logits after temperature scaling.

    Attributes:
        logits: (n, classes), each half divided by the temperature fitted on the other.
        temperatures: of the even and of the odd images, each fitted on the others.
    """

    logits: np.ndarray
    temperatures: tuple[float, float]


def scale_cross_fitted(logits: np.ndarray, labels: np.ndarray) -> Scaled:
    """Temperature scaling without validation logits, which no run keeps: cross-fitted on the test images.

    The temperature for every second image is fitted on the others, and the other way round, so that no image has a
    part in its own temperature. Data sets have a canonical order that does not depend on class, so the halves are
    alike.

    Args:
        logits: (n, classes), n from 4.
        labels: (n,).
    """
    scaled = np.array(logits, dtype=float)
    temperatures = []
    for start in (0, 1):
        temperature = fit_temperature(logits[1 - start :: 2], labels[1 - start :: 2])
        scaled[start::2] /= temperature
        temperatures.append(temperature)
    return Scaled(scaled, (temperatures[0], temperatures[1]))


def measure_calibration(
    validation_logits: np.ndarray, validation_labels: np.ndarray, logits: np.ndarray, labels: np.ndarray
) -> dict[str, float]:
    """What temperature scaling makes of test images, the temperature fitted on validation images.

    Args:
        validation_logits: (m, classes), of images that were not trained on.
        validation_labels: (m,).
        logits: (n, classes), of the test images.
        labels: (n,).

    Returns:
        temperature; ece_scaled, 15 bins, 0 to 1, and test_loss_scaled, nats, of logits divided by it.
    """
    temperature = fit_temperature(validation_logits, validation_labels)
    scaled = np.asarray(logits, dtype=float) / temperature
    return {
        "temperature": temperature,
        "ece_scaled": expected_calibration_error(scaled, labels),
        "test_loss_scaled": cross_entropy(scaled, labels),
    }

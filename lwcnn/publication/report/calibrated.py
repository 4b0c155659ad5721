"""How well each network is calibrated, before and after temperature scaling."""

from dataclasses import dataclass

import numpy as np

from lwcnn.evaluation import cross_entropy, expected_calibration_error, scale_cross_fitted
from lwcnn.publication.report.evidence import Evidence

CALIBRATED = (
    ("mnist", "paper"),
    ("mnist", "paper_tuned"),
    ("mnist", "residual_se"),
    ("fashion_mnist", "paper"),
    ("fashion_mnist", "paper_tuned"),
    ("fashion_mnist", "residual_se"),
    ("cifar10", "paper"),
    ("cifar10", "paper_tuned"),
    ("cifar10", "residual_se_small"),
    ("cifar10", "residual_se"),
    ("cifar10", "residual_se_distilled"),
    ("cifar10", "residual_se_muon"),
    ("cifar10", "repo_residual_se"),
    ("cifar10", "repo_baseline"),
)


@dataclass(frozen=True)
class Calibrated:
    """Calibration of an experiment, on test images.

    Attributes:
        ece, ece_scaled: before and after scaling, 0 to 1.
        loss, loss_scaled: in nats.
        temperatures: one a seed, or one for each half of the test images.
        num_seeds: that all this is the mean of.
        on_validation: whether temperatures were fitted on validation images; else each half of the test images has
            that of the other half.
    """

    ece: float
    ece_scaled: float
    loss: float
    loss_scaled: float
    temperatures: tuple[float, ...]
    num_seeds: int
    on_validation: bool


def measure(evidence: Evidence, dataset: str, experiment: str) -> Calibrated:
    """The calibration of the runs that were scaled on validation images; where there are none, of the released run.

    Raises:
        MissingInput: if it has neither.
    """
    runs = [run for run in evidence.runs(dataset, experiment) if "ece_scaled" in run]
    if runs:
        keys = ("ece", "ece_scaled", "test_loss", "test_loss_scaled")
        means = (float(np.mean([run[key] for run in runs])) for key in keys)
        return Calibrated(*means, tuple(run["temperature"] for run in runs), len(runs), True)
    one = evidence.inputs(dataset).released(experiment)
    scaled = scale_cross_fitted(one.logits, one.labels)
    both = one.logits, scaled.logits
    errors = (expected_calibration_error(logits, one.labels) for logits in both)
    losses = (cross_entropy(logits, one.labels) for logits in both)
    return Calibrated(*errors, *losses, scaled.temperatures, 1, False)

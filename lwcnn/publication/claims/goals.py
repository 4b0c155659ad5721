"""Goals set for the improved networks before they were trained."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """A goal for an experiment's mean test accuracy; accuracies are in percent.

    Attributes:
        limit: Number of parameters to stay below; None for networks of others.
        beat: Accuracy to beat.
        least: Accuracy asked of it.
        aim: Accuracy aimed at; None where none was set.
    """

    dataset: str
    experiment: str
    limit: int | None
    beat: float
    least: float
    aim: float | None


GOALS = (
    Goal("cifar10", "repo_baseline", None, 69.5, 69.5, None),
    Goal("cifar10", "repo_residual_se", None, 78.3, 78.3, 85.0),
    Goal("cifar10", "residual_se", 30_000, 78.3, 86.0, 91.5),
    Goal("cifar10", "residual_se_small", 20_000, 65.0, 83.0, 89.5),
    Goal("cifar10", "wren_20k", 20_000, 87.34, 89.0, 90.0),
    Goal("cifar10", "wren_30k", 30_000, 89.09, 91.0, 92.0),
    Goal("cifar10", "wren_100k", 100_000, 93.23, 93.5, 94.5),
    Goal("fashion_mnist", "residual_se", 15_000, 89.0, 92.0, 93.5),
    Goal("fashion_mnist", "wren_15k", 15_000, 92.37, 93.3, 93.8),
    Goal("mnist", "residual_se", 15_000, 99.0, 99.4, 99.65),
)

"""Trains one trial of a search, and ends it if its learning curve is poor."""

from collections.abc import Mapping, Sequence
from typing import Any

import optuna

from lwcnn.data.datasets import Dataset
from lwcnn.experiments.measures import mixed_computing, provenance
from lwcnn.experiments.pipeline import train_method
from lwcnn.experiments.recipes import NetworkExperiment, get_preset
from lwcnn.experiments.run import split_images
from lwcnn.experiments.sequence import PhaseCache
from lwcnn.models.cost import count_macs
from lwcnn.system.settings import plain_settings
from lwcnn.training.progress import Progress


def train_trial(
    plan: NetworkExperiment, data: Dataset, seed: int, cache: PhaseCache, progress: Progress, curve: optuna.Trial
) -> dict[str, Any]:
    """Trains a trial, reporting each epoch's validation accuracy to `curve`, and returns its measurements.

    Raises:
        optuna.TrialPruned: The learning curve is poor.
        Diverged: The loss is NaN or infinite in the first epoch.
    """
    split = split_images(data, plan, get_preset("full"))
    trained = train_method(plan, split, data.num_classes, seed, cache=cache, progress=_Watched(progress, curve))
    history = trained.phases[0]["history"]
    return {
        "val_accuracy": history[-1]["val_accuracy"],
        "train_accuracy": history[-1]["accuracy"],
        "params": trained.model.count_params(),
        "macs": count_macs(trained.model),
        "train_seconds": trained.train_seconds,
        "warnings": mixed_computing(trained.phases),
        "history": history,
        "config": plain_settings(plan),
        **provenance(),
    }


class _Watched(Progress):
    def __init__(self, progress: Progress, curve: optuna.Trial):
        super().__init__(progress.style, progress.title)
        self._curve = curve

    def end_epoch(self, record: Mapping[str, float], accuracies: Sequence[float]) -> None:
        super().end_epoch(record, accuracies)
        self._curve.report(record["val_accuracy"], self._epoch)
        if self._curve.should_prune():
            raise optuna.TrialPruned(f"poor learning curve in epoch {self._epoch}")

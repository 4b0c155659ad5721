"""Fixtures of the search: its images, and a training that takes no time."""

import dataclasses

import numpy as np
import pytest

from lwcnn.experiments import search
from lwcnn.models.build import build_network


@pytest.fixture
def data(made_dataset):
    """Color images of 36x36, augmented like those of CIFAR-10; test images that can't be used."""
    enlarged = {"x_train": np.repeat(np.repeat(made_dataset.x_train, 3, 1), 3, 2)}
    return dataclasses.replace(made_dataset, x_test=None, y_test=None, **enlarged)


@pytest.fixture
def trained(monkeypatch):
    """Replaces training with a learning curve that improves with the stem's width; returns the trained experiments.

    The accuracy on training images is 0.9 in every epoch.
    """
    plans = []

    def train_experiment(plan, sequence):
        plans.append(plan)
        history, progress = [], sequence.progress
        for epoch in range(1, plan.phases[0].epochs + 1):
            accuracy = plan.network.stem / 100 + epoch / 1000
            history.append({"val_accuracy": accuracy, "accuracy": 0.9, "loss": 1.0, "seconds": 1.0})
            progress.begin_epoch("all", epoch, 3, 1)
            progress.end_epoch(history[-1], [accuracy])
        sequence.records.append({"history": history, "computing": [{"threads": 1}, {"threads": 2}], "seconds": 1.0})
        return build_network(sequence.image_shape, sequence.num_classes, plan.network)

    monkeypatch.setattr(search, "train_experiment", train_experiment)
    return plans

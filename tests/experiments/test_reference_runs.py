"""The reference networks learn: falling losses of narrower ones here, and the committed check on real images."""

import json
from dataclasses import replace

import numpy as np
import pytest
from made_data import ROOT, make_images

from lwcnn.experiments.pipeline import train_method
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.training.images import Images, Split

NARROWER = 8  # times fewer filters, so that a smoke of the same depth takes seconds


def narrower(network):
    stages = tuple(replace(stage, filters=max(8, stage.filters // NARROWER)) for stage in network.stages)
    reduction = 4 if network.se_reduction else None
    return replace(network, stem=max(8, network.stem // NARROWER), stages=stages, se_reduction=reduction)


@pytest.mark.parametrize("name", ["se_resnet", "resnet_4443", "narrow_resnet18"])
def test_the_loss_falls(name):
    plan = get_experiment(name, "smoke")
    (phase,) = plan.phases
    # The smoke's recipe, with batches small enough for some steps an epoch on few images, and no warm-up.
    optimizer = replace(phase.optimizer, learning_rate=0.02, warmup=0.0)
    plan = replace(plan, network=narrower(plan.network), phases=(replace(phase, batch_size=16, optimizer=optimizer),))
    images, labels = make_images(240, (16, 16, 3), 4)
    training, validation = Images(images, labels, np.arange(200)), Images(images, labels, np.arange(200, 240))
    sequence = PhaseSequence(Split(training, validation), 4, seed=0)
    train_method(plan, sequence)
    first, last = sequence.records[0]["history"]
    assert last["loss"] < 0.97 * first["loss"]


def test_narrow_resnet18_learns_from_few_real_images():
    """Of the committed run."""
    path = ROOT / "results" / "cifar10" / "narrow_resnet18_few" / "quick" / "seed0.json"
    result = json.loads(path.read_text())
    assert result["params"] == 2_802_410 and result["num_train_images"] == 2_000
    assert len(result["history"][0]["history"]) == 5
    assert result["config"]["phases"][0]["optimizer"]["warmup"] == 0.0
    assert result["test_accuracy"] > 0.30

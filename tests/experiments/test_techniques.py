"""The techniques: that each differs from the base, and only in its group's settings."""

import pytest

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.techniques import BASE, TECHNIQUES, technique
from lwcnn.models.build import build_network
from lwcnn.system.settings import plain_settings

GROUPS = {
    "augmentation": {"augmentation", "mixing"},
    "regularization": {"label_smoothing", "dropout", "batch_size", "optimizer", "network"},
    "optimizer": {"optimizer"},
    "schedule": {"epochs"},
    "block": {"network", "optimizer"},  # PReLU's slopes have no weight decay
}


def settings(name):
    plan = get_experiment(name)
    phases = [plain_settings(phase) | {"name": "all"} for phase in plan.phases]
    assert all(phase == phases[0] for phase in phases)
    return {**phases[0], "network": plain_settings(plan.network)}


def test_the_base_is_the_recipe_of_the_muon_network():
    assert settings(BASE) == settings("residual_se_muon")


@pytest.mark.parametrize("key", TECHNIQUES)
def test_a_technique_changes_something_and_only_its_group_s_settings(key):
    base, changed = settings(BASE), settings(technique(key))
    differing = {name for name in base | changed if base.get(name) != changed.get(name)}
    assert differing and differing <= GROUPS[TECHNIQUES[key].group]


def test_titles_are_different():
    assert len({one.title for one in TECHNIQUES.values()}) == len(TECHNIQUES)


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1)])
@pytest.mark.parametrize("key", [key for key, one in TECHNIQUES.items() if one.group == "block"])
def test_networks_stay_near_thirty_thousand_parameters(key, shape):
    network = get_experiment(technique(key), "quick", "cifar10" if shape[2] == 3 else "mnist").network
    assert build_network(shape, 10, network, None).count_params() < 33_000

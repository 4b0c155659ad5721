"""The techniques: that each changes its group's settings alone; their table and figure."""

from dataclasses import replace

import pytest
from publication.made_results import write_run

from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.techniques import BASE, TECHNIQUES, TITLES, technique
from lwcnn.experiments.recipes.types import DistilledExperiment, SnapshotExperiment, changed
from lwcnn.models.build import build_network
from lwcnn.publication.evidence import Evidence
from lwcnn.publication.figures.inputs import Inputs
from lwcnn.publication.figures.intervals import techniques as figure
from lwcnn.publication.tables.ablations import techniques
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.settings import plain_settings

GROUPS = {
    "augmentation": {"augmentation", "mixing"},
    "regularization": {"label_smoothing", "dropout", "batch_size", "optimizer", "network"},
    "optimizer": {"optimizer"},
    "schedule": {"epochs", "optimizer"},
    "distillation": {"teacher"},
    "block": {"network", "optimizer"},  # PReLU's slopes have no weight decay
}


def settings(name):
    plan = get_experiment(name)
    phases = [plain_settings(replace(phase, name="all", image_side=None)) for phase in plan.phases]
    assert all(phase == phases[0] for phase in phases)
    taught = {"teacher": plan.teacher} if isinstance(plan, DistilledExperiment) else {}
    return {**phases[0], "network": plain_settings(plan.network), **taught}


@pytest.mark.parametrize("key", TECHNIQUES)
def test_a_technique_changes_something_and_only_its_group_s_settings(key):
    base, changed = settings(BASE), settings(technique(key))
    differing = {name for name in base | changed if base.get(name) != changed.get(name)}
    assert differing and differing <= GROUPS[TECHNIQUES[key].group]


def test_snapshots_differ_from_warm_restarts_in_their_members_alone():
    snapshots, restarts = get_experiment(technique("snapshots")), get_experiment(technique("warm_restarts"))
    assert type(snapshots) is SnapshotExperiment and snapshots.phases == restarts.phases


def test_titles_are_different():
    assert len(set(TITLES.values())) == len(TITLES) > len(TECHNIQUES)


@pytest.mark.parametrize("shape", [(32, 32, 3), (28, 28, 1)])
@pytest.mark.parametrize("key", [key for key, one in TECHNIQUES.items() if one.group == "block"])
def test_networks_stay_near_thirty_thousand_parameters(key, shape):
    network = get_experiment(technique(key), "quick", "cifar10" if shape[2] == 3 else "mnist").network
    assert build_network(shape, 10, network).count_params() < 33_000


@pytest.fixture
def evidence(tmp_path):
    wrongs = {BASE: (10, 12), technique("eca"): (8, 10), technique("gelu"): (5, 6), technique("mixup"): (14, 14)}
    for name, wrong in wrongs.items():
        for seed in (0, 1):
            write_run(tmp_path, f"cifar10/{name}/quick", seed, wrong[seed])
    write_run(tmp_path, f"cifar10/{technique('mixup')}/full", 0, 4)
    write_run(tmp_path, f"cifar10/{BASE}/full", 0, 7)
    seconds = {"experiment": technique("eca"), "seconds_per_epoch": 3, "recipe_seconds_per_epoch": 2}
    write_json(tmp_path / "technique_time.json", {"rows": [seconds]})
    return Evidence(tmp_path)


def test_the_table_has_what_was_run_the_best_of_a_budget_first(evidence):
    rows = [line[2:-2].split(" | ") for line in techniques(evidence).markdown().splitlines()[2:]]
    full, quick = rows[:2], rows[2:]
    mixup, eca = TECHNIQUES["mixup"].title, TECHNIQUES["eca"].title
    assert [row[0] for row in full] == ["none: the recipe, `full`", mixup]
    assert [row[0] for row in quick] == ["none: the recipe, `quick`", "GELU", eca, mixup]
    assert [row[1] for row in (*full, *quick)] == ["1", "1", "2", "2", "2", "2"], "seeds"
    assert [quick[i][3] for i in (0, 2)] == ["89.00 ± 1.41", "91.00 ± 1.41"]
    assert [row[4][:7] for row in quick] == ["", "+5.50 [", "+2.00 [", "-3.00 ["]
    assert [row[-1] for row in quick] == ["1.00", "", "1.50", ""]
    assert full[1][4].startswith("+3.00 [")


def test_the_figure_has_a_panel_per_budget(evidence):
    full, quick = figure(Inputs("cifar10", Folders(results=evidence.folder))).axes
    assert [label.get_text() for label in full.get_yticklabels()] == [TECHNIQUES["mixup"].title]
    gelu, eca, mixup = (TECHNIQUES[key].title for key in ("gelu", "eca", "mixup"))
    timed = f"{eca} (1.50)"  # the time of an epoch, if it was measured
    assert [label.get_text() for label in quick.get_yticklabels()] == [gelu, timed, mixup]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("phases.0.augmentation.cutuot", "Unknown setting of Augmentation. Did you mean 'cutout'"),
        ("phases.1.epochs", "Unknown item.*Received: '1'"),
    ],
)
def test_a_technique_cannot_change_a_setting_that_does_not_exist(path, message):
    with pytest.raises(LwcnnError, match=message):
        changed(get_experiment(BASE), {path: 1})

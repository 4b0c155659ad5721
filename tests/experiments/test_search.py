"""The search: spaces as data, trials within the limit, studies that several processes share and resume."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import matplotlib
import optuna
import pytest
from made_data import ROOT
from optuna.trial import TrialState
from optuna.visualization import matplotlib as figures

from lwcnn.cli.search import draw
from lwcnn.data.augment import MixUpCutMix
from lwcnn.experiments import search
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes.types import changed
from lwcnn.experiments.results import load_trials
from lwcnn.experiments.search import Search
from lwcnn.experiments.spaces import SPACES, build, read
from lwcnn.system.errors import Diverged, LwcnnError
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings

LIMIT = 60_000


def of(study, *states):
    """The numbers of the trials in these states, without rejected ones."""
    return [t.number for t in study.get_trials(states=states) if "rejected" not in t.user_attrs]


@pytest.mark.parametrize("space", SPACES)
def test_parameters_survive_an_experiment_and_its_settings(data, tmp_path, space):
    base = Search(space, data, 3)._base
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(30):
        parameters = study.ask(SPACES[space].parameters).params
        plan = build(base, parameters)
        assert all(stage.blocks for stage in plan.network.stages)
        found = read(SPACES[space], base, json.loads(json.dumps(plain_settings(plan))))
        assert build(base, found) == plan
    assert plain_settings(build(base, read(SPACES[space], base, plain_settings(base)))) == plain_settings(base)
    unnamed = plain_settings(changed(base, {"phases.0.mixing": MixUpCutMix(0.3)}))
    assert read(SPACES[space], base, unnamed) is None


def test_the_finished_trials_are_the_first_of_a_study_of_everything(data, tmp_path):
    (recorded,) = load_trials(ROOT / "results").query("trial == 'base'").to_dict("records")
    same = dataclasses.replace(data, checksum=recorded["data_checksum"])
    trials = Search("all", same, 12, LIMIT, Folders(tmp_path), earlier=ROOT / "results").study.get_trials(
        states=[TrialState.COMPLETE]
    )
    assert len(trials) == 46
    (base,) = [trial for trial in trials if trial.user_attrs["loaded"] == "base"]
    assert base.values == [recorded["val_accuracy"]]
    assert base.params["phases.0.optimizer.learning_rate"] == 0.006 and base.params["network.stages.1.filters"] == 40
    widths = Search("width", same, 12, LIMIT, Folders(tmp_path), earlier=ROOT / "results").study.get_trials(
        states=[TrialState.COMPLETE]
    )
    assert len(widths) == 3 and all("muon" in trial.user_attrs["loaded"] for trial in widths)
    assert all(trial.values[1] == trial.user_attrs["params"] <= LIMIT for trial in widths)
    assert not Search("width", same, 8, LIMIT, Folders(tmp_path), earlier=ROOT / "results").study.get_trials(
        states=[TrialState.COMPLETE]
    )


def test_a_study_begins_with_the_base_and_trains_what_is_within_the_limit(data, tmp_path, trained):
    study = Search("width", data, 3, LIMIT, Folders(tmp_path, tmp_path / "cache"))
    study.run(4)
    assert trained[0] == study._base and len(trained) == 4
    trials = study.study.get_trials()
    assert len(of(study.study, TrialState.COMPLETE)) == 4
    rejected = [trial for trial in trials if "rejected" in trial.user_attrs]
    assert rejected and all(trial.user_attrs.get("params", LIMIT + 1) > LIMIT for trial in rejected)
    best = study.front().iloc[0]
    assert study.front()["params"].dtype.kind == "i", "Optuna's values are floats"
    style = dict(matplotlib.rcParams)
    draw(study)
    assert dict(matplotlib.rcParams) == style, "Optuna's style stays for what is drawn next"
    drawn = {path.name for path in study.path.parent.glob("*.png")}
    assert drawn == {"width-3epochs.front.png", "width-3epochs.importance.png"}
    assert best["params"] <= LIMIT and best["network.stem"] == max(plan.network.stem for plan in trained)
    Search("width", data, 3, LIMIT, Folders(tmp_path, tmp_path / "cache")).run(4)
    assert len(trained) == 4, "the study is complete"
    Search("width", data, 3, LIMIT, Folders(tmp_path, tmp_path / "cache")).run(5)
    assert len(trained) == 5
    assert len({json.dumps(plain_settings(plan)) for plan in trained}) == 5, "a new process draws other trials"
    (warning,) = study.study.best_trials[0].user_attrs["warnings"]
    assert "threads 1; threads 2" in warning


def test_a_trial_of_a_killed_process_is_taken_over_and_that_of_a_running_one_is_not(data, tmp_path, trained):
    study = Search("width", data, 3, LIMIT, Folders(tmp_path, tmp_path / "cache"))
    (killed, _), (running, _) = study._ask(), study._ask()
    with locked(study._lock(running.number), print):
        Search("width", data, 3, LIMIT, Folders(tmp_path, tmp_path / "cache")).run(2)
    assert trained == [study._base], "the killed trial's parameters; the running one counts as the second"
    assert of(study.study, TrialState.FAIL) == [killed.number] and of(study.study, TrialState.RUNNING) == [
        running.number
    ]


def test_a_killed_study_goes_on_with_the_parameters_of_one_that_was_not(data, tmp_path, trained):
    whole = Search("recipe", data, 3, None, Folders(tmp_path / "whole", tmp_path / "cache"))
    whole.run(3)
    for num_trials in (1, 2, 3):
        killed = Search("recipe", data, 3, None, Folders(tmp_path / "killed", tmp_path / "cache"))
        killed._ask()
        Search("recipe", data, 3, None, Folders(tmp_path / "killed", tmp_path / "cache")).run(num_trials)
    finished = [[t.params for t in s.study.get_trials(states=[TrialState.COMPLETE])] for s in (whole, killed)]
    assert finished[0] == finished[1] and len(finished[0]) == 3


def test_a_poor_curve_ends_a_trial_and_a_diverged_one_does_not_end_the_search(data, tmp_path, trained, monkeypatch):
    monkeypatch.setattr(search, "PRUNER", optuna.pruners.MedianPruner(n_startup_trials=2, n_warmup_steps=2))
    study = Search("width", data, 3, None, Folders(tmp_path, tmp_path / "cache"))
    monkeypatch.setattr(search, "SIZE_CLASS", 10**9)
    study.run(6)
    stopped = [trial for trial in study.study.get_trials() if "stopped" in trial.user_attrs]
    assert stopped and all(trial.user_attrs["stopped"] == "poor learning curve in epoch 2" for trial in stopped)

    def diverge(*_, **__):
        raise Diverged("the loss is NaN")

    monkeypatch.setattr(search, "train_experiment", diverge)
    study.run(7)
    assert study.study.get_trials()[-1].user_attrs["stopped"] == "the loss is NaN"

    def diverge_late(_, sequence):
        sequence.records.append({"history": [{"val_accuracy": 0.9}], "diverged": 2, "learning_rate": 0.5})

    monkeypatch.setattr(search, "train_experiment", diverge_late)
    study.run(8)
    last = study.study.get_trials()[-1]
    assert last.user_attrs["stopped"].startswith("The loss is NaN or infinite in epoch 2") and last.values is None


@pytest.mark.parametrize(
    ("change", "named"),
    [({"limit": 20_000}, "limit"), ({"data": {"checksum": "another"}}, "data_checksum"), ({"seed": 1}, "seed")],
)
def test_another_study_is_refused(data, tmp_path, change, named):
    first = Search("width", data, 3, LIMIT, Folders(tmp_path))
    assert first.study
    changed = {"data": dataclasses.replace(data, **change["data"])} if "data" in change else change
    with pytest.raises(LwcnnError, match=f"differs in: {named}$"):
        _ = dataclasses.replace(first, **changed).study


def test_a_study_of_a_space_with_other_ranges_is_refused(data, tmp_path, monkeypatch):
    assert Search("width", data, 3, LIMIT, Folders(tmp_path)).study
    narrow = SPACES["width"].parameters | {"network.stem": optuna.distributions.IntDistribution(16, 32, step=8)}
    monkeypatch.setitem(SPACES, "width", dataclasses.replace(SPACES["width"], parameters=narrow))
    with pytest.raises(LwcnnError, match="differs in: parameters$"):
        _ = Search("width", data, 3, LIMIT, Folders(tmp_path)).study


def test_a_space_of_other_parameters_a_broken_journal_and_an_unknown_name_are_refused(data, tmp_path):
    with pytest.raises(LwcnnError, match="Did you mean 'width'"):
        Search("widht", data)
    study = Search("width", data, 3, LIMIT, Folders(tmp_path))
    recipe = Search("recipe", data, 3, LIMIT, Folders(tmp_path))
    study.path.parent.mkdir(parents=True)
    assert study.study
    Path(recipe.path).write_bytes(study.path.read_bytes())
    with pytest.raises(LwcnnError, match="differs in: .*space"):
        _ = recipe.study
    study.path.write_text('{"op_code": 1}\nnonsense\n')
    with pytest.raises(LwcnnError, match="cannot be read"):
        _ = Search("width", data, 3, LIMIT, Folders(tmp_path)).study


def test_the_importance_is_that_of_a_high_accuracy(tmp_path, monkeypatch):
    study, targets = optuna.create_study(directions=["maximize"]), []
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), 3)
    plot = figures.plot_param_importances
    monkeypatch.setattr(
        figures, "plot_param_importances", lambda s, **how: targets.append(how["target"]) or plot(s, **how)
    )
    (tmp_path / "any.journal").touch()
    draw(SimpleNamespace(study=study, path=tmp_path / "any.journal"))
    assert min(study.trials, key=targets[0]).number == study.best_trial.number  # Optuna minimizes the target


def test_there_is_nothing_to_draw_without_trials(data, tmp_path):
    with pytest.raises(LwcnnError, match="Train two trials first"):
        draw(Search("recipe", data, 3, None, Folders(tmp_path)))
    assert not list(tmp_path.rglob("*.journal")), "looking begins no study"


def test_a_limit_that_no_network_meets_is_an_error(data, tmp_path, monkeypatch):
    monkeypatch.setattr(search, "MAX_REJECTED", 3)
    with pytest.raises(
        LwcnnError, match=r"none of 3 networks can be trained \(the last: more than 100 param.*--limit 100$"
    ):
        Search("width", data, 3, 100, Folders(tmp_path)).run(1)

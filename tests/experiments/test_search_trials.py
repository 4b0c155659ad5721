"""What a trial of the search reports and is measured by, which trials are compared, and the limit."""

import dataclasses
import errno
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import Mock

import optuna
import pytest
from made_data import ROOT
from optuna.trial import TrialState
from optuna.visualization import matplotlib as figures

from lwcnn.cli.search import draw
from lwcnn.experiments import search
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.journal import Journal
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.results import load_trials
from lwcnn.experiments.search import PRUNER, Search
from lwcnn.experiments.spaces import build
from lwcnn.models.build import build_network
from lwcnn.models.cost import count_macs
from lwcnn.system.errors import LwcnnError


def test_a_trial_is_measured_by_validation_parameters_and_macs_and_compared_within_its_size(data, tmp_path, trained):
    study = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    study.run(4)
    finished = study.study.get_trials(states=[TrialState.COMPLETE])
    sizes, learned = [], []
    for trial, plan in zip(finished, trained, strict=True):
        model = build_network(data.input_shape, data.num_classes, plan.network)
        curve = [plan.network.stem / 100 + epoch / 1000 for epoch in (1, 2, 3)]
        assert trial.values == [curve[-1], model.count_params(), count_macs(model)]
        assert trial.user_attrs["train_accuracy"] == 0.9
        sizes.append(model.count_params())
        learned.append(dict(enumerate(curve, start=1)))
    classes = {size // 10_000 for size in sizes}
    assert len(classes) > 1, "the drawn networks are of several classes"
    for number in classes:
        curves = study._create(f"curves-{number}", ["maximize"]).get_trials()
        expected = [values for size, values in zip(sizes, learned) if size // 10_000 == number]
        assert [curve.intermediate_values for curve in curves] == expected


@pytest.mark.parametrize("cut", [1, 20, 60])
def test_a_study_goes_on_after_a_line_that_a_full_disk_cut_off(cut, data, tmp_path, trained):
    arguments = ("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    Search(*arguments).run(2)
    path = Search(*arguments).path
    content = path.read_bytes()
    path.write_bytes(content[:-cut])
    study = Search(*arguments)
    study.run(4)
    done = study.study.get_trials(states=[TrialState.COMPLETE])
    assert len(done) == 4 and path.read_bytes().startswith(content[: content[:-cut].rindex(b"\n")])
    assert len(trained) == 4, "the finished ones are not trained again"


def test_a_line_that_another_process_left_incomplete_is_removed_during_training(data, tmp_path, trained, monkeypatch):
    study = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    train = search.train_experiment

    def train_experiment(plan, sequence):
        with study.path.open("a") as journal:
            journal.write('{"op_code":5,"worker_id":"killed","val')
        return train(plan, sequence)

    monkeypatch.setattr(search, "train_experiment", train_experiment)
    study.run(2)
    again = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache")).study
    assert len(again.get_trials(states=[TrialState.COMPLETE])) == 2 and "killed" not in study.path.read_text()


def test_the_lock_of_a_relative_path_is_found_so_that_it_can_expire(tmp_path, monkeypatch):
    """It links to the journal. Optuna reads its age through the link, and waits for ever if that leads nowhere."""
    (tmp_path / "studies").mkdir()
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path("studies/a.journal"))
    journal._lock.acquire()
    assert (tmp_path / "studies/a.journal.lock").exists()


def test_an_error_of_the_training_is_not_blamed_on_the_journal(data, tmp_path, monkeypatch):
    def train_experiment(*_):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", "elsewhere.npz")

    monkeypatch.setattr(search, "train_experiment", train_experiment)
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache")).run(1)


def test_a_full_disk_is_told_with_the_name_of_the_study(data, tmp_path, trained, monkeypatch):
    study = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    study.run(1)

    def append_logs(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(optuna.storages.journal.JournalFileBackend, "append_logs", append_logs)
    with pytest.raises(LwcnnError, match=rf"The disk is full.*Received: .*{study.path.name}"):
        study.run(2)


def test_a_journal_that_became_unreadable_is_told_in_a_running_study_too(data, tmp_path, trained):
    study = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    study.run(1)
    with study.path.open("a") as journal:
        journal.write("nonsense\n" * 2)
    with pytest.raises(LwcnnError, match="The study cannot be read .*: move it away"):
        study.run(2)


def test_a_network_of_exactly_the_limit_is_trained(data, tmp_path, trained):
    base = Search("width", data, 3)._base
    limit = build_network(data.input_shape, data.num_classes, base.network).count_params()
    Search("width", data, 3, limit, Folders(tmp_path, tmp_path / "cache")).run(1)
    assert trained == [base]


def test_finished_trials_beyond_the_limit_are_left_out(data, tmp_path):
    earlier = load_trials(ROOT / "results")
    limit = sorted(earlier["params"])[len(earlier) // 2]
    same = dataclasses.replace(data, checksum=earlier["data_checksum"][0])
    study = Search("all", same, 12, limit, Folders(tmp_path), earlier=ROOT / "results").study
    found = [trial.user_attrs["params"] for trial in study.get_trials(states=[TrialState.COMPLETE])]
    assert found and max(found) == limit


def test_finished_trials_are_loaded_once_and_not_counted(data, tmp_path, trained, monkeypatch):
    same = dataclasses.replace(data, checksum=load_trials(ROOT / "results")["data_checksum"][0])
    arguments = ("width", same, 12, 60_000, Folders(tmp_path, tmp_path / "cache"), 0, ROOT / "results")
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(optuna.Study, "enqueue_trial", Mock(side_effect=KeyboardInterrupt))
        _ = Search(*arguments).study
    study = Search(*arguments)
    study.run(1)
    loaded = [trial for trial in study.study.get_trials() if "loaded" in trial.user_attrs]
    assert len(loaded) == 3 and len(trained) == 1


@pytest.mark.parametrize("value, stopped", [(1.5, True), (2.5, False)])
def test_the_worst_quarter_is_stopped_after_the_third_epoch(value, stopped):
    study = optuna.create_study(direction="maximize", pruner=PRUNER)
    for finished in range(9):  # a quarter of 0 to 8 is below 2
        trial = study.ask()
        for epoch in (1, 2, 3, 4):
            trial.report(finished, epoch)
        study.tell(trial, finished)
    trial, stops = study.ask(), []
    for epoch in (1, 2, 3, 4):
        trial.report(value, epoch)
        stops.append(trial.should_prune())
    assert not any(stops[:2]) and stops[3] == stopped


def test_the_front_is_drawn_with_parameters_across_and_accuracy_up(tmp_path, monkeypatch):
    study, axes = optuna.create_study(directions=["maximize", "minimize", "minimize"]), []
    for x, values in enumerate([(0.9, 1000, 5), (0.8, 500, 9), (0.7, 2000, 9)]):
        distributions = {"x": optuna.distributions.FloatDistribution(0, 2)}
        study.add_trial(optuna.create_trial(values=values, params={"x": float(x)}, distributions=distributions))
    plot = figures.plot_pareto_front
    monkeypatch.setattr(figures, "plot_pareto_front", lambda *a, **named: axes.append(plot(*a, **named)) or axes[-1])
    (tmp_path / "any.journal").touch()
    draw(SimpleNamespace(study=study, path=tmp_path / "any.journal"))
    (ax,) = axes
    drawn = {tuple(point) for points in ax.collections for point in points.get_offsets().tolist()}
    assert drawn == {(1000, 0.9), (500, 0.8), (2000, 0.7)}
    assert ax.get_xlabel() == "parameters" and ax.get_ylabel().startswith("accuracy")


@pytest.mark.parametrize("name, expected", [("sgd", (0.9, True)), ("adamw", (None, None)), ("muon", (None, None))])
def test_sgd_alone_gets_nesterov_momentum(name, expected):
    optimizer = build(get_experiment("wren"), {"phases.0.optimizer.name": name}).phases[0].optimizer
    assert (optimizer.name, optimizer.momentum, optimizer.nesterov) == (name, *expected)

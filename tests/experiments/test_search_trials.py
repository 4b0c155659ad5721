"""What a trial of the search reports and is measured by, which trials are compared, and the limit."""

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
from made_data import ROOT
from optuna.trial import TrialState
from optuna.visualization import matplotlib as figures

from lwcnn.cli.search import draw
from lwcnn.experiments import search
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.search import PRUNER, Search
from lwcnn.experiments.spaces import build
from lwcnn.models.build import build_network
from lwcnn.models.cost import count_macs


@pytest.fixture
def data(made_dataset):
    enlarged = {"x_train": np.repeat(np.repeat(made_dataset.x_train, 3, 1), 3, 2)}
    return dataclasses.replace(made_dataset, x_test=None, y_test=None, **enlarged)


@pytest.fixture
def trained(monkeypatch):
    """Replaces training with a curve whose accuracy on training images is not that on validation images."""
    plans = []

    def train_method(plan, sequence):
        plans.append(plan)
        history, progress = [], sequence.progress
        for epoch in (1, 2, 3):
            record = {"val_accuracy": 0.5 + epoch / 100, "accuracy": 0.9, "loss": 1.0, "seconds": 1.0}
            history.append(record)
            progress.begin_epoch("all", epoch, 3, 1)
            progress.end_epoch(record, [record["val_accuracy"]])
        sequence.records.append({"history": history, "computing": [{"threads": 1}], "seconds": 1.0})
        return build_network(sequence.image_shape, sequence.num_classes, plan.network)

    monkeypatch.setattr(search, "train_method", train_method)
    return plans


def test_a_trial_is_measured_by_validation_parameters_and_macs_and_compared_within_its_size(data, tmp_path, trained):
    study = Search("width", data, 3, 60_000, Folders(tmp_path, tmp_path / "cache"))
    study.run(4)
    finished = study.study.get_trials(states=[TrialState.COMPLETE])
    sizes = []
    for trial, plan in zip(finished, trained, strict=True):
        model = build_network(data.input_shape, data.num_classes, plan.network)
        assert trial.values == [0.53, model.count_params(), count_macs(model)]
        sizes.append(model.count_params())
    classes = {size // 10_000 for size in sizes}
    assert len(classes) > 1, "the drawn networks are of several classes"
    for number in classes:
        curves = study._create(f"curves-{number}", ["maximize"]).get_trials()
        assert len(curves) == sum(size // 10_000 == number for size in sizes)
        assert all(curve.intermediate_values == {1: 0.51, 2: 0.52, 3: 0.53} for curve in curves)


def test_a_network_of_exactly_the_limit_is_trained(data, tmp_path, trained):
    base = Search("width", data, 3)._base
    limit = build_network(data.input_shape, data.num_classes, base.network).count_params()
    Search("width", data, 3, limit, Folders(tmp_path, tmp_path / "cache")).run(1)
    assert trained == [base]


def test_finished_trials_beyond_the_limit_are_left_out(data, tmp_path):
    files = [json.loads(path.read_text()) for path in (ROOT / "results/search/cifar10/12epochs").glob("*.json")]
    limit = sorted(one["params"] for one in files)[len(files) // 2]
    same = dataclasses.replace(data, checksum=files[0]["data_checksum"])
    study = Search("all", same, 12, limit, Folders(tmp_path), earlier=ROOT / "results").study
    found = [trial.user_attrs["params"] for trial in study.get_trials(states=[TrialState.COMPLETE])]
    assert found and max(found) == limit


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

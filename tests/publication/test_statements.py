"""The sentences of the report, the README and the documentation that a new result could make false.

People write these sentences. A test here that fails names the sentence that has to be rewritten.
"""

import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_data import ROOT
from scipy.stats import norm

from lwcnn.data.augment import MixUpCutMix
from lwcnn.data.datasets import Dataset
from lwcnn.data.known import CLASS_NAMES
from lwcnn.evaluation.metrics import expected_calibration_error
from lwcnn.evaluation.statistics import paired_difference
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import NETWORKS, PRESETS, get_experiment
from lwcnn.experiments.recipes.ablation import BASELINE, PARTS, WHOLE, leave_one_out, only
from lwcnn.experiments.recipes.residual_se import DEEP_NETWORK, NETWORK, SMALL_NETWORK, STEM_NETWORK, TINY_NETWORK
from lwcnn.experiments.recipes.techniques import TECHNIQUES, TITLES
from lwcnn.experiments.results import load_correct, load_exports
from lwcnn.models.description import model_checksum
from lwcnn.models.dual import build_merged_model
from lwcnn.publication.claims import CLAIMED_GAINS, GOALS, PAPER_ACCURACY, PUBLISHED
from lwcnn.publication.evidence import Evidence, untrained_network, where
from lwcnn.publication.figures import tradeoffs
from lwcnn.publication.figures.inputs import VARIANTS, Inputs
from lwcnn.publication.names import display_name, is_part
from lwcnn.publication.tables.ablations import CHANGES
from lwcnn.publication.tables.networks import CALIBRATED, README_NETWORKS, headline
from lwcnn.publication.values import resolve
from lwcnn.system.files import read_json

REPORTED = PUBLISHED[PUBLISHED["dataset"] == "cifar10"].set_index("name")["accuracy"]
README = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())


@pytest.fixture(scope="module")
def evidence():
    """The committed results."""
    return Evidence(ROOT / "results")


def gain(evidence, dataset, experiment, reference, preset="quick"):
    """Low end, mean and high end of a difference, in points."""
    found = evidence.network(dataset, experiment, preset).minus(reference)
    return 100 * found.low, 100 * found.mean, 100 * found.high


def overfit(evidence, dataset, experiment, preset):
    """Training minus test accuracy, in points with one digit."""
    return round(resolve(f"{dataset}/{experiment}/{preset}:train minus test", evidence).value, 1)


def ece(evidence, experiment, preset):
    return 100 * evidence.network("cifar10", experiment, preset).runs["ece"].mean()


def test_the_method_as_described_reaches_the_papers_accuracies(evidence):
    assert PAPER_ACCURACY == {"mnist": 0.99, "fashion_mnist": 0.89, "cifar10": 0.65}
    for dataset, claimed in PAPER_ACCURACY.items():
        assert round(100 * evidence.network(dataset, "paper", "full").accuracy.mean) >= round(100 * claimed)


def test_the_recipe_limits_the_papers_accuracy_and_the_architecture_limits_it_more(evidence):
    lowest = {dataset: gain(evidence, dataset, "paper_tuned", "paper", "full")[0] for dataset in PAPER_ACCURACY}
    assert min(lowest.values()) > 0 and max(lowest, key=lowest.__getitem__) == "cifar10"
    low, _, high = gain(evidence, "cifar10", "paper_tuned_one_go", "paper_tuned", "full")
    assert low < 0 < high, "an interval that includes zero"
    assert round(gain(evidence, "cifar10", "paper_tuned", "paper", "full")[1]) == 8
    assert round(gain(evidence, "cifar10", "residual_se_small", "paper_tuned", "full")[1]) == 11
    tuned, small = (get_experiment(name, "full", "cifar10").phases[-1] for name in ("paper_tuned", "residual_se_small"))
    assert (tuned.optimizer.name, tuned.epochs) == (small.optimizer.name, small.epochs) == ("adamw", 60)
    params = [
        evidence.network("cifar10", name, "full").runs["params"].iloc[0] for name in ("residual_se_small", "paper")
    ]
    assert 0.95 < params[0] / params[1] < 1


def test_the_published_code_loses_no_class_and_both_branches_converted_do(evidence):
    def losing(experiment):
        runs = evidence.runs[evidence.runs["experiment"] == experiment]
        return [min(shares.values()) < 0.05 for shares in runs["per_class_accuracy"]]

    assert not any(losing("paper_as_published")) and not any(losing("paper"))
    runs = evidence.network("mnist", "paper_both_converted", "quick").runs
    assert len(runs) == 3 and sum(losing("paper_both_converted")) == 2


def test_the_published_code_reaches_the_published_accuracies_and_loses_two_points_on_cifar10(evidence):
    for dataset, published in PAPER_ACCURACY.items():
        runs = evidence.network(dataset, "paper_as_published", "full").runs
        assert len(runs) == 3 and runs["test_accuracy"].mean() > published - 0.005, "in whole percents"
    gains = {dataset: gain(evidence, dataset, "paper_as_published", "paper", "full") for dataset in PAPER_ACCURACY}
    assert round(gains["cifar10"][1]) == -2 and gains["cifar10"][2] < 0
    assert all(gains[dataset][0] < 0 < gains[dataset][2] for dataset in ("mnist", "fashion_mnist"))


def test_the_mean_of_folds_that_are_not_reset_is_too_high(evidence):
    folds = evidence.folds
    leaky = folds[folds["leaky"] & (folds["dataset"] == "mnist")]
    assert len(leaky) == 6 and leaky["accuracy"].mean() > leaky["test_accuracy"].iloc[0]


def test_folds_from_scratch_differ_by_less_than_two_points(evidence):
    folds = [fold for _, fold in evidence.folds[~evidence.folds["leaky"].astype(bool)].groupby("path")]
    assert len(folds) == 3
    for fold in folds:
        assert len(fold) == 6 and np.ptp(fold["accuracy"]) < 0.02


def test_parameter_counts_are_not_as_claimed():
    assert untrained_network("cifar10", "repo_baseline").count_params() == 334_706 > 20_000
    assert untrained_network("cifar10", "repo_residual_se").count_params() == 83_920 > 30_000
    for network in ("residual_se", "residual_se_muon", "residual_se_distilled"):
        assert untrained_network("cifar10", network).count_params() < 30_000
    assert untrained_network("mnist", "residual_se").count_params() < 15_000
    assert untrained_network("cifar10", "residual_se_small").count_params() < 20_000


def test_published_networks_have_the_parameters_of_those_trained_here(evidence):
    trained = {
        "paper, as reported": "paper/full",
        "reproduction, as reported": "repo_baseline/full",
        "extension, as reported": "repo_residual_se/full",
        "SE-ResNet [4,4,3]": "se_resnet-epochs30/full",
        "ResNet [4,4,4,3]": "resnet_4443-epochs60/full",
        "narrow ResNet-18": "narrow_resnet18-epochs100/full",
    }
    published = PUBLISHED[PUBLISHED["name"].isin(list(trained))]
    assert len(published) == len(trained) + 2, "the paper's on three datasets"
    for one in published.itertuples():
        assert one.params == evidence.network(one.dataset, *trained[one.name].split("/")).runs["params"].iloc[0]


def test_networks_and_recipes_are_as_described():
    assert (NETWORK.stem, [(s.filters, s.blocks) for s in NETWORK.stages]) == (32, [(32, 2), (40, 2)])
    assert (SMALL_NETWORK.stem, [(s.filters, s.blocks) for s in SMALL_NETWORK.stages]) == (24, [(24, 2), (32, 2)])
    assert (TINY_NETWORK.stem, [(s.filters, s.blocks) for s in TINY_NETWORK.stages]) == (24, [(24, 2), (32, 1)])
    assert (DEEP_NETWORK.stem, [(s.filters, s.blocks) for s in DEEP_NETWORK.stages]) == (32, [(32, 5)])
    assert (STEM_NETWORK.stem, [(s.filters, s.blocks) for s in STEM_NETWORK.stages]) == (40, [(32, 5)])
    stage = NETWORK.stages[0]
    assert (stage.kernel_size, stage.expansion, NETWORK.se_reduction) == (5, 2, 16)
    (phase,) = get_experiment("residual_se", "full", "cifar10").phases
    optimizer = phase.optimizer
    assert (optimizer.name, optimizer.learning_rate, optimizer.weight_decay) == ("adamw", 0.02, 0.05)
    assert (optimizer.warmup, optimizer.ema, phase.batch_size, phase.epochs) == (0.2, 0.998, 128, 60)
    assert phase.augmentation.crop_padding == 4 and not phase.label_smoothing and not phase.mixing
    tuned = get_experiment("paper_tuned", "full", "cifar10")
    optimizer = tuned.phases[-1].optimizer
    recipe = (optimizer.learning_rate, optimizer.weight_decay, optimizer.warmup, optimizer.ema)
    assert recipe == (0.003, 0.01, 0.2, 0.999)
    assert (tuned.phases[-1].batch_size, tuned.dual.epochs, tuned.phases[-1].epochs) == (64, 15, 60)
    teaching = get_experiment("residual_se_small_distilled", "full", "cifar10")
    assert (len(teaching.teacher.seeds), teaching.distillation.temperature) == (3, 4)
    assert teaching.distillation.label_weight == 0.1


def test_budgets_and_seeds_are_as_described(evidence):
    full, medium, quick = (PRESETS[name] for name in ("full", "medium", "quick"))
    assert (full.dual_epochs, full.head_epochs, full.all_epochs) == (20, 20, 50)
    assert (quick.dual_epochs, quick.head_epochs, quick.all_epochs) == (8, 4, 5)
    assert (full.network_epochs, medium.network_epochs, quick.network_epochs) == (60, 30, 15)
    counted = evidence.runs.groupby(["dataset", "experiment", "preset"]).size()
    assert set(counted) == {1, 2, 3, 4, 5}
    of_the_method = counted[counted.index.isin([("cifar10", name, "quick") for name in (*CHANGES, "paper")])]
    assert (
        set(of_the_method) == {5}
        and len(of_the_method) == 12
        and counted["cifar10", "paper_as_published", "quick"] == 5
    )
    assert (counted == 5).sum() == 13, "only the method and its changes"


def test_goals_are_met_by_all_networks_of_ours_but_one(evidence):
    reached = {
        goal: 100 * evidence.network(goal.dataset, goal.experiment).accuracy.mean >= goal.least for goal in GOALS
    }
    missed = {(goal.dataset, goal.experiment) for goal, is_met in reached.items() if not is_met}
    assert missed == {("cifar10", "wren_100k"), ("cifar10", "repo_residual_se")}, (
        "the extension's network stays just below its published accuracy"
    )
    with_aim = [goal for goal in GOALS if pd.notna(goal.aim)]
    assert all(100 * evidence.network(goal.dataset, goal.experiment).accuracy.mean < goal.aim for goal in with_aim)
    beat = {goal.experiment: goal.beat for goal in GOALS}
    rivals = {"wren_20k": "BSConv-S 16", "wren_30k": "BSConv-U 16", "wren_100k": "MobileNetECA-Rep"}
    assert all(np.isclose(beat[name], 100 * REPORTED[rival]) for name, rival in rivals.items())
    assert evidence.network("cifar10", "wren_100k", "full").runs["train_accuracy"].mean() > 0.999, "it fits its images"
    mixing = evidence.network("cifar10", "wren_100k_mixing", "full")
    interval = mixing.accuracy
    public = [REPORTED[name] for name in ("MobileNetECA-Rep", "MobileNetECA-Rep, distilled", "cifar10-tiniest")]
    assert public[0] < interval.low < public[1] < public[2] < interval.high
    sizes = PUBLISHED.set_index("name")["params"]
    assert sizes["MobileNetECA-Rep, distilled"] < mixing.runs["params"].iloc[0] < sizes["cifar10-tiniest"]
    assert list(mixing.runs["test_accuracy"]) == [0.9398] and set(mixing.runs["precision"]) == {"float32"}
    gain = mixing.minus("wren_100k")
    assert [round(100 * value, 2) for value in (gain.mean, gain.low, gain.high)] == [1.14, 0.67, 1.60]
    phases = [get_experiment(name, "full").phases[0] for name in ("wren_100k_mixing", "wren_100k")]
    assert phases[0].mixing == MixUpCutMix(0.5, 1.0, probability=0.5) and replace(phases[0], mixing=None) == phases[1]
    (light,) = evidence.network("cifar10", "wren_30k_light", "full").runs["test_accuracy"]
    assert light > REPORTED["BSConv-U 16"], "both with flips and crops alone"
    assert 77.5 < 100 * evidence.network("cifar10", "repo_residual_se").accuracy.mean < 78.3


def test_what_each_change_of_the_method_does(evidence):
    for name in ("single", "no_unfreezing", "head_only", "reinit_merge", "end_to_end"):
        assert gain(evidence, "cifar10", name, "paper")[2] < 0, f"{name} costs accuracy"
    for name in ("nadam_throughout", "dual_no_augment"):
        assert gain(evidence, "cifar10", name, "paper")[0] > 0, f"{name} gains"
    for name in ("single", "dual_no_augment", "head_only", "reinit_merge", "nadam_throughout", "end_to_end"):
        assert abs(gain(evidence, "mnist", name, "paper")[1]) < 1, "within a few tenths of a point on MNIST"
    assert gain(evidence, "mnist", "no_unfreezing", "paper")[1] < -5
    merge, unfreezing, end_to_end = (
        gain(evidence, "cifar10", name, "paper")[1] for name in ("reinit_merge", "no_unfreezing", "end_to_end")
    )
    assert max(merge, unfreezing) < end_to_end, "these two matter most"


def test_one_wide_branch_is_at_least_as_accurate_as_two(evidence):
    low, mean, high = gain(evidence, "cifar10", "single_wide", "paper")
    assert 1 < low and round(mean) == 2
    low, mean, high = gain(evidence, "mnist", "single_wide", "paper")
    assert 0 < low and mean < 0.5, "slightly"
    at_full = evidence.network("cifar10", "single_wide", "full").minus("paper")
    assert at_full.low < 0 < at_full.high and abs(at_full.mean) < 0.005
    names = ("single_wide", "dual_no_augment", "paper", "single")
    assert [overfit(evidence, "cifar10", name, "full") for name in names] == [9.7, 7.7, 6.6, 5.5]
    wide, two = (evidence.network("cifar10", name, "full").runs for name in ("single_wide", "paper"))
    assert round(gain(evidence, "cifar10", "single_wide", "dual_no_augment")[1], 1) == 1.3
    on_mnist = [evidence.network("mnist", name, "quick").runs["macs"].iloc[0] for name in ("single_wide", "paper")]
    assert round(on_mnist[0] / on_mnist[1], 2) == 1.42
    assert (wide["params"].iloc[0], two["params"].iloc[0]) == (19_501, 19_622)
    assert evidence.network("mnist", "single_wide", "quick").runs["params"].iloc[0] == 15_327
    assert round(wide["macs"].iloc[0] / two["macs"].iloc[0], 2) == 1.27


def test_the_method_is_not_measurably_better_than_a_plain_network_of_its_size(evidence):
    for dataset, params in (("cifar10", 18_819), ("mnist", 14_645)):
        low, mean, _ = gain(evidence, dataset, "submodel_wide", "paper")
        assert low > 0 and round(mean, 1) == {"cifar10": 2.3, "mnist": 0.2}[dataset]
        assert set(evidence.network(dataset, "submodel_wide", "quick").runs["params"]) == {params}
        low, mean, high = gain(evidence, dataset, "submodel_wide", "single_wide")
        assert low < 0 < high
    assert round(gain(evidence, "cifar10", "submodel_wide", "dual_no_augment")[1], 1) == 1.3
    plain, merged, paper = (
        evidence.network("cifar10", name, "full") for name in ("submodel_wide", "single_wide", "paper")
    )
    assert includes_zero(plain.minus("paper")) and includes_zero(plain.minus("single_wide"))
    lengths = [
        [sum(phase["epochs"] for phase in history) for history in network.runs["history"]] for network in (plain, paper)
    ]
    assert [(min(found), max(found)) for found in lengths] == [(17, 20), (62, 89)]
    assert round(sum(lengths[0]) / sum(lengths[1]), 2) == 0.26, "a quarter"
    assert overfit(evidence, "cifar10", "submodel_wide", "full") == 8.3
    best = 100 * np.array([[phase["best_val_accuracy"] for phase in history] for history in merged.runs["history"]])
    first, head, last = best.mean(axis=0)
    assert [round(first, 1), round(head, 1), round(last - head, 1)] == [68.7, 64.1, 3.6]
    assert round(100 * paper.runs["val_accuracy"].mean()) == 68


def test_what_each_change_of_the_method_does_at_full(evidence):
    names = [name for name in CHANGES if name != "paper_as_published"]
    networks = {name: evidence.network("cifar10", name, "full") for name in names}
    assert {len(network.runs) for network in networks.values()} == {3}
    found = {name: network.minus("paper") for name, network in networks.items()}
    for name in ("single", "head_only", "reinit_merge", "end_to_end"):
        assert found[name].high < 0, "always worth it"
    for name in ("layerwise", "nadam_throughout", "dual_no_augment"):
        assert found[name].low < 0 < found[name].high and abs(found[name].mean) < 0.001, "no difference"
    assert round(100 * found["no_unfreezing"].mean, 1) == -1.1 and 0 < found["no_unfreezing"].high < 0.001
    slow = [history[-1] for history in networks["no_unfreezing"].runs["history"]]
    assert sorted(phase["epochs"] == 70 and phase["best_epoch"] >= 65 for phase in slow) == [False, True, True]
    assert -0.008 < found["low_rate"].mean < -0.004, "about half a point lower"
    for history in networks["low_rate"].runs["history"]:
        before, after = history[-2:]
        assert after["history"][0]["val_accuracy"] > before["best_val_accuracy"], "no drop"
    assert min(found, key=lambda name: found[name].mean) == "end_to_end"
    lengths = [history[0]["epochs"] for history in networks["end_to_end"].runs["history"]]
    assert (min(lengths), max(lengths), get_experiment("end_to_end", "full").phases[0].epochs) == (20, 34, 90)
    dual = {name: network.runs["history"].iloc[0][0]["best_val_accuracy"] for name, network in networks.items()}
    paper = evidence.network("cifar10", "paper", "full").runs["history"].iloc[0][0]["best_val_accuracy"]
    assert dual["layerwise"] == dual["low_rate"] != paper, "an earlier version trained `paper`"


def test_at_quick_the_changes_share_a_first_stage(evidence):
    names = ("paper", "head_only", "no_unfreezing", "nadam_throughout", "reinit_merge", "layerwise", "low_rate")
    for dataset in ("cifar10", "mnist"):
        histories = {name: evidence.network(dataset, name, "quick").runs["history"] for name in names}
        first = {name: [history[0]["best_val_accuracy"] for history in found] for name, found in histories.items()}
        assert first["layerwise"] == first["low_rate"] != first["paper"]
        assert all(first[name] == first["paper"] for name in names[:-2])


def test_the_first_stage_trains_all_weights_of_the_submodels(evidence):
    runs = evidence.runs[[history[0]["name"] == "dual" for history in evidence.runs["history"]]]
    assert runs["experiment"].nunique() == 14
    for run in runs.itertuples():
        num_branches = len(run.config["branches"])
        head = (num_branches * 10 + 1) * 32 + (32 + 1) * 10  # the merge converts all other weights
        assert run.history[0]["trainable_params"] == run.params - head, run.path


def test_cifar100_meets_its_goal_but_not_its_aim(evidence):
    runs = {}
    for epochs in (60, 200):
        (runs[epochs],) = evidence.network("cifar100", f"wren_30k-epochs{epochs}").runs.to_dict("records")
    (goal,) = (goal for goal in GOALS if goal.dataset == "cifar100")
    reported = PUBLISHED.set_index("name").loc["BSConv 33k"]
    assert (goal.experiment, goal.least, goal.aim) == ("wren_30k-epochs200", 64, 66)
    assert (reported["params"], reported["accuracy"]) == (33_162, 0.6279)
    assert {epochs: round(100 * run["test_accuracy"], 2) for epochs, run in runs.items()} == {60: 62.62, 200: 64.51}
    assert {epochs: round(100 * run["train_accuracy"]) for epochs, run in runs.items()} == {60: 73, 200: 77}
    assert {run["params"] for run in runs.values()} == {31_469}
    assert 1.4 < runs[60]["train_seconds"] / 3600 < 1.6 and round(runs[200]["train_seconds"] / 3600, 1) == 6.6
    assert "threads 1; step engine, threads 2" in runs[200]["warnings"][0]


def test_the_questions_about_the_method_have_these_answers(evidence):
    assert round(gain(evidence, "cifar10", "no_unfreezing", "paper")[1], 1) == -7.6
    assert round(gain(evidence, "cifar10", "nadam_throughout", "paper")[1], 1) == 1.6
    assert round(gain(evidence, "cifar10", "dual_no_augment", "paper")[1]) == 1
    for dataset, preset, gaps in (
        ("cifar10", "quick", [2.8, 2.1]), ("mnist", "quick", [0.5, 0.6]), ("cifar10", "full", [7.7, 6.6]),
    ):  # fmt: skip
        assert [overfit(evidence, dataset, name, preset) for name in ("dual_no_augment", "paper")] == gaps


def test_augmentation_lowers_the_accuracy_of_a_submodel(evidence):
    found = {}
    for dataset in PAPER_ACCURACY:
        stages = [history[0] for history in evidence.network(dataset, "paper", "full").runs["history"]]
        best = pd.DataFrame([stage["history"][stage["best_epoch"] - 1] for stage in stages]).mean()
        names = ("augmented", "original")
        found[dataset] = [round(100 * best[f"{name}_logits_val_accuracy"]) for name in names]
    assert found == {"mnist": [96, 99], "fashion_mnist": [82, 90], "cifar10": [58, 65]}


def test_the_reproductions_original_branch_overfits_and_its_augmented_one_underfits(evidence):
    gaps = [resolve(f"cifar10/repo_baseline branch {name}", evidence).value for name in ("original", "augmented")]
    assert [round(gap, 1) for gap in gaps] == [4.2, -5.9]


def test_mobilenet_with_strides_for_imagenet_is_behind_wren(evidence):
    names = ("mobilenet_v2_momentum", "residual_se_muon")
    theirs, ours = (evidence.network("cifar10", name, "quick").runs for name in names)
    assert len(theirs) == 1 and theirs["test_accuracy"].max() < ours["test_accuracy"].min()
    strided = evidence.network("cifar10", "mobilenet_v2_cifar", "medium").runs.iloc[0]
    assert [phase["epochs"] for phase in strided["history"]] == [15]
    assert (round(100 * strided["test_accuracy"], 1), round(strided["macs"] / theirs["macs"].iloc[0])) == (88.0, 14)
    wren = evidence.network("cifar10", "residual_se_muon", "full").runs
    assert ours["test_accuracy"].max() < strided["test_accuracy"] < wren["test_accuracy"].min()
    assert [round(strided[key] / wren[key].iloc[0]) for key in ("params", "macs")] == [77, 11]


def test_efficientnet_gains_25_points_by_strides_and_momentum(evidence):
    names = ("efficientnet_b0", "efficientnet_b0_cifar")
    theirs, strided = (evidence.network("cifar10", name).runs.iloc[0] for name in names)
    assert [phase["epochs"] for run in (theirs, strided) for phase in run["history"]] == [15, 15]
    assert round(100 * (strided["test_accuracy"] - theirs["test_accuracy"])) == 25
    assert [run["config"]["network"].get("momentum") for run in (theirs, strided)] == [None, 0.9]


def test_the_narrow_resnet18_learns_from_few_images(evidence):
    (run,) = evidence.network("cifar10", "narrow_resnet18_few", "quick").runs.to_dict("records")
    assert (run["params"], run["num_train_images"], run["history"][0]["epochs"]) == (2_802_410, 2_000, 5)
    assert run["config"]["phases"][0]["optimizer"]["warmup"] == 0 and run["test_accuracy"] > 0.3


def test_what_single_runs_of_large_networks_show(evidence):
    def of(name: str, preset: str):
        (run,) = evidence.network("cifar10", name, preset).runs.to_dict("records")
        return run, round(100 * run["test_accuracy"], 2)

    assert (of("mobilenet_v2", "quick")[1], of("mobilenet_v2_momentum", "quick")[1]) == (20.30, 58.64)
    assert round(of("se_resnet-epochs5", "medium")[1] - of("se_resnet_plain-epochs5", "medium")[1]) == 7
    (in_bfloat16, low), (in_float32, high) = (of("narrow_resnet18-epochs5", preset) for preset in ("medium", "quick"))
    assert in_bfloat16["config"] == in_float32["config"] | {"computing": {"precision": "mixed_bfloat16"}}
    assert 0.9 < high - low < 1
    lengths = {"resnet18": 10, "resnet8": 15, "narrow_resnet18_adam-epochs5": 5, "narrow_resnet18_adamw-epochs5": 5}
    for name, epochs in lengths.items():
        assert sum(phase["epochs"] for phase in of(name, "medium")[0]["history"]) == epochs


def test_what_was_left_out_has_these_reasons(evidence):
    rows = evidence.benchmark("averaging")["rows"]
    assert len(rows) == 2
    for row in rows:
        assert max(row["val_accuracy"], key=row["val_accuracy"].get) == "latest"
    files = pd.DataFrame(evidence.benchmark("shrink")["rows"]).set_index(["experiment", "sparsity"])
    for experiment in ("repo_baseline", "repo_residual_se"):
        of_network = files.loc[experiment]
        assert np.ptp(of_network["int8_bytes"]) < 100, "zeros take as many bytes"
        assert of_network["int8_gzip_bytes"].is_monotonic_decreasing
    for name in ("se_resnet-epochs30", "resnet_4443-epochs60", "narrow_resnet18-epochs100"):
        assert len(evidence.network("cifar10", name).runs) == 1
    full = evidence.runs[evidence.runs["preset"] == "full"].groupby("dataset")["experiment"].agg(set)
    assert {*CHANGES} <= full["cifar10"]
    assert not {*CHANGES} & (full["mnist"] | full["fashion_mnist"])


def test_unfreezing_layer_by_layer_or_at_a_low_rate_changes_little(evidence):
    for name in ("layerwise", "low_rate"):
        low, _, high = gain(evidence, "cifar10", name, "paper")
        assert low < 0 < high and len(evidence.network("cifar10", name, "quick").runs) == 5
    for history in evidence.network("cifar10", "low_rate", "quick").runs["history"]:
        before, after = history[-2:]
        assert after["history"][0]["val_accuracy"] > before["best_val_accuracy"]
    drops, recovered = [], []
    for history in evidence.network("cifar10", "paper", "full").runs["history"]:
        before, after = (phase["best_val_accuracy"] for phase in history[-2:])
        values = [record["val_accuracy"] for record in history[-1]["history"]]
        drops.append(100 * (before - values[0]))
        recovered.append(next(epoch for epoch, value in enumerate(values, 1) if value >= before))
        assert after > before
    assert min(drops) > 0 and round(max(drops), 1) == 3.5 and max(recovered) == 15


def test_only_adamw_with_its_schedule_gains_what_is_claimed(evidence):
    keys = {part.title: key for key, part in PARTS.items()}
    for title, claimed in CLAIMED_GAINS.items():
        key, least = keys[title], int(re.search(r"\d+", claimed)[0])  # 3 of "+3 to +4"
        for pair in ((only(key), BASELINE), (WHOLE, leave_one_out(key))):
            _, mean, high = gain(evidence, "cifar10", *pair)
            if key == "adamw":
                assert mean > 2 * least
            else:
                assert high < least
    assert gain(evidence, "cifar10", WHOLE, leave_one_out("mixing"))[2] < 0, (
        "MixUp and CutMix cost accuracy in the whole"
    )
    _, mean, high = gain(evidence, "cifar10", WHOLE, leave_one_out("ema"))
    assert round(mean, 1) == -0.3 and -0.1 < high < 0, "so does averaging, just below zero"
    assert gain(evidence, "cifar10", WHOLE, leave_one_out("residual"))[0] > 0, "residual connections gain in the whole"
    assert gain(evidence, "cifar10", WHOLE, leave_one_out("se"))[0] < 0, "no gain of squeeze-and-excitation shows"
    low, _, high = gain(evidence, "cifar10", WHOLE, "parts_adam")
    assert low < 0 < high, "AdamW is worth nothing over Adam on that schedule"
    trials = evidence.trials.set_index("trial")["val_accuracy"]
    gap = trials["ema_batch_norm+rate_0.02+smoothing_0"] - trials["sgd_0.4+ema_batch_norm+smoothing_0"]
    assert round(100 * gap) == 2, "SGD at 0.4 comes much nearer"


def test_the_search_is_as_described(evidence):
    trials = evidence.trials
    assert set(trials["epochs"]) == {12} and set(trials["seed"]) == {0}
    assert trials["trial"].iloc[0] == "one_resolution_stem_40+muon+ema_batch_norm+rate_0.02+smoothing_0"
    found = trials.set_index("trial")["val_accuracy"]
    averaged, recipe = "ema_batch_norm+rate_0.02+smoothing_0", "rate_0.02+smoothing_0"
    assert found[f"one_resolution+{recipe}"] < found[recipe], "one resolution looks worse without averaged moments"
    assert found[f"one_resolution+{averaged}"] > found[averaged], "and better with them"


def test_muon_distillation_and_the_residual_network_gain(evidence):
    assert gain(evidence, "cifar10", "residual_se_muon", "residual_se", "full")[0] > 0
    small = gain(evidence, "cifar10", "residual_se_small_distilled", "residual_se_small")
    assert np.round(small, 2).tolist() == [0.17, 0.91, 1.62]
    assert gain(evidence, "cifar10", "residual_se_muon", "residual_se_stem_adamw")[0] > 0, "Wren gains over its control"
    low, _, high = gain(evidence, "cifar10", "residual_se_distilled", "residual_se", "full")
    assert (round(low, 2), round(high, 2)) == (-0.15, 1.17), "Wren-AdamW-distilled: an interval that includes zero"
    assert round(gain(evidence, "cifar10", "residual_se_muon", "residual_se_distilled", "full")[1], 1) == 1.3
    assert gain(evidence, "cifar10", "residual_se", "repo_residual_se", "full")[0] > 5
    assert gain(evidence, "cifar10", "residual_se", "paper_tuned", "full")[0] > 5


def test_the_networks_that_the_readme_names_are_on_the_front_of_its_figure():
    points = tradeoffs._by_parameters(Inputs("cifar10", Folders(ROOT / "results")))
    front = tradeoffs.pareto_front(points[tradeoffs._is_small(points)])
    ours = front[front["kind"].isin([tradeoffs.OURS, tradeoffs.MOST_ACCURATE])]
    assert ours["name"].tolist() == ["Wren-10k", "Wren-20k", "Wren-30k-distilled", "Wren-100k-mixing"]
    assert "Wren-10k, Wren-20k, Wren-30k-distilled and Wren-100k-mixing are on the Pareto front" in README


def test_no_public_network_as_small_as_wren_is_more_accurate_and_its_interval_covers_bsconv(evidence):
    params = untrained_network("cifar10", "residual_se_muon").count_params()
    found = evidence.network("cifar10", "residual_se_muon").accuracy
    smaller = PUBLISHED[(PUBLISHED["dataset"] == "cifar10") & (PUBLISHED["params"] <= params)]
    smaller = smaller.set_index("name")["accuracy"]
    assert smaller.max() < found.mean and found.low < smaller["BSConv-U 16"] < found.high


def test_wren_20k_and_wren_30k_are_above_the_bsconv_networks_of_their_sizes(evidence):
    published = PUBLISHED[PUBLISHED["dataset"] == "cifar10"].set_index("name")
    for name, rival in (("wren_20k", "BSConv-S 16"), ("wren_30k", "BSConv-U 16")):
        found, params = evidence.network("cifar10", name).accuracy, untrained_network("cifar10", name).count_params()
        theirs = published.loc[rival]
        assert theirs["accuracy"] < found.low and params < theirs["params"]
    assert gain(evidence, "cifar10", "wren_30k", "residual_se_muon", "full")[1] > 0, "the lower end of the interval"


def test_the_recipe_of_the_family_was_chosen_by_validation_accuracy(evidence):
    names = ("wren_30k", "wren_30k_light", "wren_30k_mixup")
    found = {name: evidence.network("cifar10", name, "full").runs["val_accuracy"].mean() for name in names}
    assert max(found, key=found.get) == "wren_30k"
    phase = get_experiment("wren_30k", "full").phases[0]
    assert phase.epochs == 150 and phase.augmentation.rand_augment.num_operations == 1


def test_wren_30k_taught_by_wren_100k(evidence):
    taught, alone = (evidence.network("cifar10", name, "full") for name in ("wren_30k_distilled", "wren_30k"))
    low, mean, high = gain(evidence, "cifar10", "wren_30k_distilled", "wren_30k", "full")
    assert (round(low, 2), round(mean, 1), round(high, 2)) == (0.26, 0.7, 1.17)
    assert (len(taught.runs), len(alone.runs)) == (4, 3) and round(100 * taught.accuracy.mean, 1) == 91.7
    assert taught.released.run["seed"].item() == 0
    assert taught.runs["test_accuracy"].min() > alone.runs["test_accuracy"].max()
    gains = taught.runs.set_index("seed")["val_accuracy"] - alone.runs.set_index("seed")["val_accuracy"]
    assert round(100 * gains.mean(), 1) == 0.3
    two = where(taught.runs, num_threads=2)
    times = [np.diff([0, *(one["seconds"] for one in phases[0]["history"])]) for phases in two["history"]]
    medians = [(round(np.median(one[:30])), round(np.median(one[30:]))) for one in times]  # before caching, after it
    assert [sorted(one) for one in zip(*medians)] == [[76, 78, 80], [44, 48, 63]]
    plan = get_experiment("wren_30k_distilled", "full")
    assert (plan.phases[0].epochs, plan.distillation.cached_epochs, plan.teacher.experiment) == (120, 30, "wren_100k")


def test_a_more_accurate_teacher_does_not_help(evidence):
    taught = evidence.network("cifar10", "wren_30k_distilled_mixing", "full").runs
    low, mean, high = gain(evidence, "cifar10", "wren_30k_distilled_mixing", "wren_30k_distilled", "full")
    assert (round(low, 2), round(mean, 1), round(high, 2)) == (-0.74, -0.3, 0.22)
    assert taught["seed"].tolist() == [0] and round(100 * taught["test_accuracy"].item(), 1) == 91.6
    assert round(gain(evidence, "cifar10", "wren_100k_mixing", "wren_100k", "full")[1], 1) == 1.1
    plan, other = (get_experiment(name, "full") for name in ("wren_30k_distilled_mixing", "wren_30k_distilled"))
    assert replace(plan, name=other.name, question=other.question, teacher=other.teacher) == other
    assert plan.teacher == replace(other.teacher, experiment="wren_100k_mixing")
    first = where(evidence.network("cifar10", "wren_30k_distilled", "full").runs, seed=0)
    assert [round(100 * one["ece"].item(), 1) for one in (taught, first)] == [2.1, 5.1]
    assert [round(one["test_loss_scaled"].item(), 3) for one in (taught, first)] == [0.272, 0.244]


def test_more_training_images_do_not_help(evidence):
    names = ("wren_30k_distilled_more_images", "wren_30k_distilled")
    more, fewer = (where(evidence.network("cifar10", name, "full").runs, seed=0) for name in names)
    assert [one["num_train_images"].item() for one in (more, fewer)] == [49_000, 45_000]
    assert [one["num_val_images"].item() for one in (more, fewer)] == [1_000, 5_000]
    assert more["test_accuracy"].item() == fewer["test_accuracy"].item() == 0.9186
    low, _, high = gain(evidence, "cifar10", *names, "full")
    assert (round(low, 2), round(high, 2)) == (-0.45, 0.46)
    plan, other = (get_experiment(name, "full") for name in names)
    assert replace(plan, name=other.name, question=other.question, validation=other.validation) == other


def test_all_networks_but_two_are_overconfident_and_a_temperature_corrects_it(evidence):
    runs = {pair: evidence.network(*pair).scaled_runs for pair in CALIBRATED}
    assert [pair for pair in CALIBRATED if runs[pair]["temperature"].min() <= 1] == [
        ("cifar10", name) for name in ("wren_100k_mixing", "repo_residual_se")
    ]
    wrens = {name: runs[dataset, name] for dataset, name in CALIBRATED if display_name(name).startswith("Wren")}
    temperature = {name: found["temperature"].mean() for name, found in wrens.items()}
    assert temperature["wren_20k"] < temperature["wren_30k"] < temperature["wren_100k"]
    assert max(temperature, key=temperature.get) == "wren_30k_distilled"
    taught, alone = (wrens[f"wren_30k{end}"] for end in ("_distilled", ""))
    differences = [taught[key].mean() - alone[key].mean() for key in ("test_loss", "test_loss_scaled")]
    assert differences[0] > 0 > differences[1]
    assert max(found["ece_scaled"].mean() for found in wrens.values()) < 0.013
    released = evidence.network("cifar10", "wren_30k").released
    logits, rng = released.logits / released.temperature, np.random.default_rng(0)
    drawn = [(logits + rng.gumbel(size=logits.shape)).argmax(axis=1) for _ in range(50)]  # labels by the probabilities
    assert round(100 * np.mean([expected_calibration_error(logits, labels) for labels in drawn]), 1) == 0.6


def test_what_helps_after_training(evidence):
    rows = {(row["experiment"], row["technique"]): row for row in evidence.benchmark("after_training")["rows"]}
    wren, deep = (
        {key: row for (name, key), row in rows.items() if name == e} for e in ("residual_se_muon", "wren_30k")
    )
    assert deep["soft voting"]["points"] == max(row["points"] for row in deep.values() if row["passes"] <= 5)
    assert deep["soft voting, mirror"]["points"] == max(row["points"] for row in deep.values())
    assert [round(deep[key]["points"], 1) for key in ("soft voting", "soft voting, mirror")] == [1.7, 1.8]
    assert deep["soft voting, mirror"]["loss"] == min(row["loss"] for row in deep.values())
    large = evidence.network("cifar10", "wren_100k").runs.iloc[0]
    three = 3 * evidence.network("cifar10", "wren_30k").runs[["params", "macs"]].iloc[0]
    assert [round(large[key] / three[key], 2) for key in ("params", "macs")] == [1.13, 1.02]
    assert large["test_accuracy"] > np.mean(deep["soft voting"]["test_accuracy"])
    assert round(wren["mirror"]["points"], 1) == 0.4 and deep["mirror"]["low"] < 0 < wren["mirror"]["low"]
    for found in (wren, deep):
        assert found["five views"]["points"] < found["mirror"]["points"]
        assert 4 < found["five views"]["ece"] / found["none"]["ece"] < 5
        assert found["class thresholds"]["low"] < 0 < found["class thresholds"]["high"]
        assert -0.4 < found["pruned, 10%"]["points"] < 0
    assert [round(one["pruned, 30%"]["points"]) for one in (wren, deep)] == [-5, -7]
    assert round(wren["int8"]["points"], 2) == -0.22 and deep["int8"]["low"] < 0 < deep["int8"]["high"]
    lost = 100 * np.subtract(deep["none"]["test_accuracy"], deep["int8"]["test_accuracy"])
    assert abs(lost).max() < 0.12, "with any of the three seeds"


def test_networks_that_are_converted_again_have_the_same_accuracy(evidence):
    rows = [row for row in evidence.benchmark("shrink")["rows"] if not row["sparsity"]]
    found = {row["experiment"]: row["int8_accuracy"] for row in rows}
    ours = {"Wren-fast": "wren_fast", "Wren": "residual_se_muon", "Wren-30k": "wren_30k"}
    rows = [row for row in evidence.benchmark("mlperf_tiny")["rows"] if row["precision"] == "int8"]
    found |= {ours[row["network"]]: row["accuracy"] for row in rows if row["network"] in ours}
    assert len(found) == 10
    for name, accuracy in found.items():
        assert evidence.network("cifar10", name).int8["accuracy_exported"] == accuracy, name


def test_quantization_aware_training_hardly_helps(evidence):
    rows = {(row["experiment"], row["way"]): row for row in evidence.benchmark("quantization_aware")["rows"]}
    points = {key: round(row["points"], 2) for key, row in rows.items()}
    assert (points["residual_se_muon", "post"], points["wren_100k", "post"]) == (-0.22, -0.24)
    for name in ("residual_se_muon", "wren_100k"):
        assert 0 < rows[name, "aware"]["points"] - rows[name, "post"]["points"] < 0.1
        assert len(rows[name, "aware"]["files"]) == 1
    assert "weights-30" in rows["wren_100k", "aware"]["files"][0]
    assert len(rows["wren_30k", "post"]["files"]) == 3 and points["wren_30k", "aware"] == -0.18
    assert all(rows["wren_30k", way]["low"] < 0 < rows["wren_30k", way]["high"] for way in ("post", "aware"))
    for name in ("residual_se_muon", "wren_30k", "wren_100k"):
        assert points[name, "trained"] < points[name, "post"]
    assert {row["epochs"] for row in rows.values()} == {2} and {row["learning_rate"] for row in rows.values()} == {1e-5}


def test_mirror_images_help_networks_that_were_trained_on_them(evidence):
    rows = {(row["experiment"], row["dataset"]): row for row in evidence.benchmark("tta")["rows"]}
    gains = {key: row["few_views"] for key, row in rows.items() if row["was_mirrored"]}
    points = [gain["points"] for gain in gains.values()]
    assert (round(min(points), 1), round(max(points), 1)) == (0.1, 1.5)
    assert max(gains, key=lambda key: gains[key]["points"]) == ("paper_tuned", "cifar10")
    paper = [round(rows["paper", dataset]["few_views"]["points"], 1) for dataset in ("cifar10", "fashion_mnist")]
    assert paper == [2.1, -8.8] and not any(rows["paper", dataset]["was_mirrored"] for dataset in ("cifar10", "mnist"))
    assert not rows["paper", "fashion_mnist"]["was_mirrored"]
    assert [gain["low"] > 0 for gain in gains.values()].count(False) == 4 and len(gains) == 15
    digits = [row["few_views"]["low"] > 0 for (_, dataset), row in rows.items() if dataset == "mnist"]
    assert sorted(digits) == [False, False, False, True]
    for key, few in gains.items():
        assert rows[key]["all_views"]["low"] < few["points"], "five views are not clearly better"


def test_corrupted_images_order_the_networks_by_kind(evidence):
    found = pd.DataFrame(evidence.benchmark("robustness")["rows"])
    for severity, rows in found.groupby("severity"):
        order = list(rows.groupby("experiment")["accuracy"].mean().sort_values(ascending=False).index)
        assert order[:3] == ["wren_100k", "wren_30k_distilled", "wren_30k"], severity
    assert severity == 5 and order[-3:] == ["paper", "wren_10k", "wren_5k"]
    by_kind = found[found["severity"] > 0].pivot_table("accuracy", "corruption", "experiment")
    kept = (100 * by_kind.mean() / found[found["severity"] == 0].set_index("experiment")["accuracy"]).round()
    shown = kept.groupby(kept).groups
    assert {share: sorted(names) for share, names in shown.items() if not 80 <= share <= 82} == {
        73: ["wren_5k"], 75: ["wren_10k"], 83: ["paper_tuned"], 84: ["paper"], 85: ["wren_100k"],
    }  # fmt: skip
    for name in ("wren_20k", "wren_30k"):
        gain_over_wren = by_kind[name] - by_kind["residual_se_muon"]
        assert (gain_over_wren[["Gaussian noise", "shot noise", "pixelation"]] < 0).all()
        assert (gain_over_wren[["defocus blur", "zoom blur", "contrast", "saturation"]] > 0).all()
    gain_of_teacher = by_kind["wren_30k_distilled"] - by_kind["wren_30k"]
    assert list(gain_of_teacher.index[gain_of_teacher <= 0]) == ["contrast"]
    assert round(100 * gain_of_teacher.mean(), 1) == 2.0
    strongest = found[found["severity"] == 5].pivot_table("accuracy", "corruption", "experiment")
    of_paper = strongest[["paper", "paper_tuned"]].min(axis=1)
    less = of_paper > strongest.drop(columns=["paper", "paper_tuned"]).max(axis=1)
    assert len(by_kind) == 10 and set(less.index[less]) == {"Gaussian noise", "pixelation"}


def test_micro_needs_the_estimated_memory_and_finds_the_classes_of_litert(evidence):
    rows = pd.DataFrame(evidence.benchmark("microcontroller")["rows"]).set_index("model").rename(lambda name: name[8:])
    assert (rows["arena_bytes_head"] == rows["arena_bytes_estimated"]).all()
    more = (rows["arena_bytes_total"] - rows["arena_bytes_head"]) / 1000
    assert (round(more.min()), round(more.max())) == (5, 28), "also in the header that `lwcnn export` writes"
    assert rows["same_class_as_litert"].min() >= 0.975, "two of a hundred differ at most, rounded"
    family = rows.drop(index="paper")
    assert (family["size_bytes"].idxmin(), family["arena_bytes_total"].idxmin()) == ("wren_5k", "wren_fast")


def test_wren_fast_is_smaller_than_mlperf_tinys_resnet_more_accurate_and_nearly_as_fast(evidence):
    rows = {row["network"]: row for row in evidence.benchmark("mlperf_tiny")["rows"] if row["precision"] == "int8"}
    theirs, ours = rows["ResNet-8"], rows["Wren-fast"]
    assert round(100 * (ours["accuracy"] - theirs["accuracy"]), 1) == 1.7
    assert ours["size_bytes"] / theirs["size_bytes"] == pytest.approx(0.6, abs=0.02)
    assert ours["p50_ms"] / theirs["p50_ms"] == pytest.approx(1.1, abs=0.03)
    machine = evidence.benchmark("mlperf_tiny")["machine"]
    assert max(machine["load_average_before"], machine["load_average_after"]) < 1.1, "the measurement itself"
    assert machine["device"] == "AMD EPYC (family 26, model 2), 2 cores"
    assert rows["Wren"]["p50_ms"] > 2 * theirs["p50_ms"] and rows["Wren-30k"]["p50_ms"] < rows["large ResNet"]["p50_ms"]
    assert (
        f"more accurate ({100 * ours['accuracy']:.1f}% against {100 * theirs['accuracy']:.1f}%, both as int8 files), "
        f"and its file is {100 - 100 * ours['size_bytes'] / theirs['size_bytes']:.0f}% smaller"
    ) in README


def test_mlperf_tinys_resnet_is_less_accurate_larger_and_faster_in_int8(evidence):
    rows = {(row["network"], row["precision"]): row for row in evidence.benchmark("mlperf_tiny")["rows"]}
    theirs, ours = rows["ResNet-8", "int8"], rows["Wren", "int8"]
    record = evidence.network("cifar10", "residual_se_muon").int8
    assert ours["size_bytes"] == record["size_bytes"] < theirs["size_bytes"]
    assert theirs["accuracy"] < rows["ResNet-8", "float32"]["accuracy"] == REPORTED["MLPerf ResNet-8"]
    assert theirs["accuracy"] < record["accuracy_exported"] == pytest.approx(ours["accuracy"], abs=0.001)
    assert theirs["p50_ms"] < 0.6 * ours["p50_ms"], "about half the time"


def test_the_readmes_first_sentence_has_wrens_figures(evidence):
    wren = evidence.network("cifar10", "residual_se_muon")
    runs, size = wren.runs, wren.int8
    minutes, accuracy = runs["train_seconds"].mean() / 60, 100 * runs["test_accuracy"].mean()
    assert (
        f"**Wren** has {runs['params'].iloc[0]:,} parameters, trains in {minutes:.0f} minutes on one CPU thread, "
        f"classifies {accuracy:.1f}% of the test images correctly and fits into a {size['size_bytes'] / 1000:.0f} kB "
        "int8 file"
    ) in README
    most, file = evidence.network("cifar10", "wren_30k").runs, evidence.network("cifar10", "wren_30k").int8
    rows = evidence.benchmark("after_training")["rows"]
    (int8,) = [row["test_accuracy"] for row in rows if (row["experiment"], row["technique"]) == ("wren_30k", "int8")]
    reached, in_int8 = (f"{100 * np.mean(found):.1f}%" for found in (most["test_accuracy"], int8))
    assert (
        reached == in_int8
        and (
            f"reaches {reached} with {most['params'].iloc[0]:,} parameters, also as an int8 file of "
            f"{file['size_bytes'] / 1000:.0f} kB (means of three seeds)"
        )
        in README
    )
    assert set(runs["num_threads"]) == {1}


def test_wren_adamw_underfits(evidence):
    assert evidence.network("cifar10", "residual_se", "full").runs["train_accuracy"].mean() < 0.95


def test_label_smoothing_and_the_extension_do_not_improve_calibration(evidence):
    assert ece(evidence, "repo_residual_se", "full") > ece(evidence, "repo_baseline", "full")
    runs = [evidence.network("cifar10", name, "quick").runs for name in ("residual_se_muon", "technique_smoothing")]
    assert [round(100 * one["ece"].mean(), 1) for one in runs] == [1.3, 7.8]
    assert [round(100 * one["ece_scaled"].mean(), 1) for one in runs] == [1.2, 1.9]
    assert ece(evidence, only("smoothing"), "quick") > 2 * ece(evidence, BASELINE, "quick")
    assert ece(evidence, WHOLE, "quick") > 1.5 * ece(evidence, leave_one_out("smoothing"), "quick")


def test_temperature_scaling_lowers_the_error_of_every_network_in_the_table_but_one(evidence):
    found = {one: evidence.network(*one).scaled_runs[["ece", "ece_scaled"]].mean() for one in CALIBRATED}
    assert [one for one in CALIBRATED if found[one]["ece_scaled"] >= found[one]["ece"]] == [("mnist", "wren_15k")]
    assert found["mnist", "wren_15k"]["ece"] < 0.002, "it is calibrated as trained"


def test_int8_and_latency_are_as_described(evidence):
    records = evidence.int8_files
    assert set(records["num_calibration_images"]) == {1000}
    assert records.loc[records["drop_points"] > 0.3, "experiment"].tolist() == ["wren_100k_mixing"]
    paper = evidence.network("cifar10", "paper")
    times = [paper.latency(runtime)["p50_ms"] for runtime in ("litert-int8", "litert", "keras predict")]
    assert times[0] < times[1] < 1 < times[2]
    assert len(evidence.benchmark("bench")["models"]) == 24
    noise = {"litert": 0.0, "litert-int8": 0.0, "onnx": 0.0}
    for group in (
        ("cifar10/paper", "cifar10/paper_tuned"),
        ("mnist/paper", "mnist/paper_tuned", "fashion_mnist/paper", "fashion_mnist/paper_tuned"),
        ("cifar10/wren_30k", "cifar10/wren_30k_distilled"),
        ("mnist/wren_15k", "fashion_mnist/wren_15k"),
        ("mnist/residual_se", "fashion_mnist/residual_se"),
    ):
        networks = [evidence.network(*one.split("/")) for one in group]
        for runtime, largest in noise.items():
            medians = [one.latency(runtime)["p50_ms"] for one in networks]
            noise[runtime] = max(largest, 1 - min(medians) / max(medians))
    assert 0.01 < noise["litert-int8"] < 0.02, "less than 2%"
    assert 0.04 < max(noise["litert"], noise["onnx"]) < 0.05, "less than 5%"
    assert evidence.network("cifar10", "residual_se_muon").int8["size_bytes"] < 60_000, "ships in 60 kB"


def test_pruned_networks_were_weak_ones(evidence):
    found = evidence.benchmark("shrink")
    pruned = [row for row in found["rows"] if row["sparsity"]]
    assert found["epochs"] == 4 and {row["experiment"] for row in pruned} == {"repo_baseline", "repo_residual_se"}
    (small,) = (row for row in found["rows"] if row["experiment"] == "residual_se")
    fitting = [row for row in pruned if row["int8_gzip_bytes"] <= small["int8_gzip_bytes"]]
    best = max(fitting, key=lambda row: row["int8_accuracy"])
    assert (best["experiment"], best["sparsity"]) == ("repo_residual_se", 0.8)


def test_without_unfreezing_two_seeds_lose_a_class_of_digits(evidence):
    by_seed = evidence.network("mnist", "no_unfreezing", "quick").runs["per_class_accuracy"]
    lowest = sorted(min(shares.values()) for shares in by_seed)
    assert [round(100 * share) for share in lowest[:2]] == [4, 7] and lowest[2] > 0.9
    assert round(gain(evidence, "mnist", "no_unfreezing", "paper")[1]) == -7
    both = evidence.network("mnist", "paper_both_converted", "quick").runs["per_class_accuracy"]
    assert sorted(sum(share < 0.1 for share in shares.values()) for shares in both) == [0, 1, 2], "classes lost"


def test_the_page_has_the_widths_of_the_family():
    words = ["no", "one", "two", "three", "four"]
    page = (ROOT / "docs/improved-network.md").read_text()
    for name in ("wren-5k", "wren-10k", "wren-20k", "wren-30k", "wren-100k"):
        network = get_experiment(name).network
        stages = [f"{words[stage.blocks]} of width {stage.filters}" for stage in network.stages]
        assert f"| `{name}` | {network.stem} | {' | '.join(stages)} |" in page


def test_fine_tuning_gains_most_in_short_trainings(evidence):
    found = evidence.benchmark("finetune")
    rows = {(row["weights"], row["epochs"], row["seed"]): row["test_accuracy"] for row in found["rows"]}
    assert (found["network"], found["dataset"], found["images"]) == ("wren", "fashion_mnist", 500)
    gains = {k: [100 * (rows["trained", k, seed] - rows["random", k, seed]) for seed in (0, 1, 2)] for k in (15, 60)}
    assert (round(min(gains[15]), 1), round(max(gains[15]), 1)) == (1.5, 4.6)
    assert round(np.mean(gains[60]), 1) == 0.7 and [round(gain, 1) for gain in gains[60]] == [1.5, 0.0, 0.7]
    of_15, of_60 = (
        [rows[weights, epochs, seed] for seed in (0, 1, 2)] for weights, epochs in (("trained", 15), ("random", 60))
    )
    assert round(100 * (np.mean(of_60) - np.mean(of_15)), 1) == 0.3, "almost as good as 60 epochs"


def test_the_engine_is_three_times_as_fast_as_keras_and_twice_as_fast_as_pytorch(evidence):
    measured = evidence.benchmark("train_step")
    assert "family 6, model 207" in measured["device"]
    rows = {(row["workload"], row["contender"]): sorted(row["seconds"]) for row in measured["rows"]}
    for workload in ("paper", "residual_se"):
        fastest, median = ({name: rows[workload, name][i] for name in ("keras", "torch", "lwcnn")} for i in (0, 1))
        assert round(fastest["keras"] / fastest["lwcnn"], 1) == {"paper": 3.0, "residual_se": 2.7}[workload]
        assert round(fastest["torch"] / fastest["lwcnn"], 1) == {"paper": 1.8, "residual_se": 2.0}[workload]
        assert 1.9 < median["torch"] / median["lwcnn"] < 2.1
    for (_, contender), (first, second, third) in rows.items():
        assert (0.5 < first / second < 0.6 and third < 1.1 * second) == (contender == "keras")


def test_runs_trained_by_the_engine_are_those_named(evidence):
    runs = evidence.runs[evidence.runs["step"] == "engine"]
    runs = runs[~runs["experiment"].str.startswith("technique_")]
    assert not (runs["experiment"].isin(["paper", "paper_tuned", "residual_se"]) & runs["preset"].eq("full")).any()
    assert set(evidence.network("cifar10", "residual_se_muon", "full").runs["step"]) == {"engine"}
    drawn = runs[~runs["experiment"].isin(VARIANTS) & ~runs["experiment"].map(is_part)]
    drawn = where(drawn, dataset="cifar10", preset="full")  # in the figure of costs
    drawn = drawn[drawn["device"].str.contains("core")]
    two = {"wren_30k_distilled"}
    assert (
        set(drawn["experiment"]) == {"residual_se_muon", "wren_5k", "wren_10k", "wren_100k_mixing", "wren_fast"} | two
    )
    assert set(drawn.loc[drawn["num_threads"] == 2, "experiment"]) == two


def test_wren_30k_is_weakest_on_cats_and_the_paper_on_cats_and_birds(evidence):
    compared = Inputs("cifar10", Folders(ROOT / "results")).compared
    assert [one.experiment for one in compared] == ["paper", "wren_30k"]
    paper, wren = (pd.DataFrame(list(one.runs["per_class_accuracy"])).mean().nsmallest(2) for one in compared)
    assert wren.index[0] == "cat" and wren.iloc[1] - wren.iloc[0] > 0.03
    assert set(paper.index) == {"cat", "bird"}


def test_the_family_has_the_shapes_that_its_page_states():
    expansions = {"wren_5k": 2, "wren_10k": 1.67, "wren_20k": 1.5, "wren_30k": 1.6, "wren_100k": 2}
    for name, expansion in expansions.items():
        plan = get_experiment(name, "full")
        first, second = plan.network.stages
        assert (first.expansion, second.expansion, plan.phases[0].batch_size) == (2, expansion, 125)
    fast, gray = get_experiment("wren_fast").network, get_experiment("wren_15k", dataset="mnist").network
    stages = [(stage.filters, stage.blocks, stage.kernel_size) for stage in fast.stages]
    assert (fast.stem, stages) == (24, [(24, 2, 3), (48, 2, 5)])
    assert (gray.stem, [(stage.filters, stage.blocks) for stage in gray.stages]) == (32, [(24, 4)])


def test_the_readmes_networks_have_three_seeds_or_one_and_wren_10k_is_half_of_the_papers(evidence):
    rows = headline(evidence).rows
    runs = evidence.runs[evidence.runs["preset"] == "full"]
    for experiment in ("paper", "residual_se", "residual_se_small", "residual_se_distilled", "residual_se_muon"):
        assert set(runs[runs["experiment"] == experiment].groupby("dataset").size()) <= {1, 3}
    assert len(rows) == 10
    counts = {name: len(evidence.network("cifar10", NETWORKS[name], "full").runs) for name in README_NETWORKS}
    assert {name for name, count in counts.items() if count == 2} == {"wren-10k", "wren-fast"}
    assert {name for name, count in counts.items() if count == 4} == {"wren-30k-distilled"}
    assert set(counts.values()) == {1, 2, 3, 4}
    fast, small = (evidence.network("cifar10", name, "full").runs for name in ("wren_fast", "wren_10k"))
    assert fast["test_accuracy"].nunique() == 1 and "those of `wren-fast` are equal to two decimals" in README
    fast, small = ([f"{seconds / 60:.0f}" for seconds in runs["train_seconds"]] for runs in (fast, small))
    assert f"`wren-10k` took {' and '.join(small)} minutes, `wren-fast` {' and '.join(fast)}" in README
    ours, paper = (evidence.network("cifar10", name, "full").runs for name in ("wren_10k", "paper"))
    assert ours["params"].iloc[0] == pytest.approx(paper["params"].iloc[0] / 2, rel=0.01)
    tuned = evidence.network("cifar10", "paper_tuned", "full").runs
    gains = [100 * (ours["test_accuracy"].mean() - one["test_accuracy"].mean()) for one in (paper, tuned)]
    assert [round(gain) for gain in gains] == [19, 11]
    assert round(ours["macs"].iloc[0] / paper["macs"].iloc[0]) == 4
    memory = [evidence.network("cifar10", name).int8["arena_bytes_estimated"] for name in ("wren_10k", "paper")]
    assert round(memory[0] / memory[1]) == 9


def test_exports_and_latencies_are_of_the_released_models(evidence):
    released = {path.name: model_checksum(path) for path in (ROOT / "models").glob("*.keras")}
    measured = [*evidence.benchmark("bench")["models"], *load_exports(evidence.folder).to_dict("records")]
    assert len(measured) > 100
    assert [one["model"] for one in measured if released.get(one["model"]) != one["model_sha256"]] == []


def test_make_run_reaches_what_the_readme_says(evidence):
    quick, full = (
        100 * evidence.network("cifar10", "paper", one).runs["test_accuracy"].mean() for one in ("quick", "full")
    )
    assert f"reaches {quick:.0f}% on CIFAR-10" in README and f"which reaches {full:.0f}%" in README


def test_the_table_of_the_recipe_has_its_values():
    wren, *family = (get_experiment(n, "full").phases[0] for n in ("residual_se_muon", "wren_10k", "wren_30k"))
    for phase in (wren, *family):
        optimizer = phase.optimizer
        assert (optimizer.learning_rate, optimizer.adam_ratio, optimizer.warmup) == (0.02, None, 0.2)
        assert (optimizer.weight_decay, optimizer.ema) == (0.05, 0.998)
        assert phase.augmentation.horizontal_flip and phase.augmentation.crop_padding == 4
    assert [phase.batch_size for phase in (wren, *family)] == [128, 125, 125]
    assert [phase.epochs for phase in (wren, *family)] == [60, 150, 150]
    assert wren.augmentation.rand_augment is None is family[0].augmentation.rand_augment
    for name in ("wren_20k", "wren_30k", "wren_100k", "wren_100k_mixing", "wren_30k_distilled"):
        (phase,) = get_experiment(name, "full").phases
        operation = phase.augmentation.rand_augment
        assert (operation.num_operations, operation.magnitude) == (1, 5)
        assert phase.epochs == (120 if name == "wren_30k_distilled" else 150)


def test_the_committed_study_opens_with_the_options_that_the_page_states(tmp_path):
    pytest.importorskip("optuna")
    from lwcnn.experiments.search import Search

    page = (ROOT / "docs/improved-network.md").read_text()
    assert "lwcnn search --space width --limit 30000 --epochs 8 --results results --show" in page
    (tmp_path / "studies/cifar10").mkdir(parents=True)
    shutil.copy(ROOT / "results/studies/cifar10/width-8epochs.journal", tmp_path / "studies/cifar10")
    checksum = read_json(ROOT / "results/cifar10/paper/full/seed0.json")["data_checksum"]
    parts = [np.zeros((1, 32, 32, 3), np.uint8), np.zeros(1, int)] * 2
    data = Dataset("cifar10", *parts, CLASS_NAMES["cifar10"], checksum, "any", mirror=True)
    assert Search("width", data, 8, 30_000, Folders(tmp_path)).front()["val_accuracy"].max() > 0.8
    (journal,) = tmp_path.rglob("*.journal")
    assert journal.read_bytes() == (ROOT / "results/studies/cifar10/width-8epochs.journal").read_bytes()


def test_the_study_of_widths_finds_no_network_as_accurate_as_wren(tmp_path):
    optuna = pytest.importorskip("optuna")
    journal = shutil.copy(ROOT / "results/studies/cifar10/width-8epochs.journal", tmp_path)  # a reader may write to it
    storage = optuna.storages.JournalStorage(optuna.storages.journal.JournalFileBackend(journal))
    trials = optuna.load_study(study_name="trials", storage=storage).get_trials()
    own = [trial for trial in trials if not {"loaded", "rejected"} & set(trial.user_attrs)]
    done = [trial for trial in own if trial.state.name == "COMPLETE"]
    assert len(own) == 40 and len(own) - len(done) == 10
    wren, *others = sorted(done, key=lambda trial: -trial.values[0])
    assert wren.number == 0 and wren.values[1] == 29_556
    assert round(100 * (wren.values[0] - others[0].values[0]), 1) == 0.7
    assert others[0].values[1] < wren.values[1] and others[0].values[2] < wren.values[2]
    half = [trial for trial in others if trial.values[2] < 0.505 * wren.values[2]]
    assert round(100 * (wren.values[0] - half[0].values[0]), 1) == 1.7


def test_narrowed_networks_are_less_accurate_than_those_built_small_and_trained_longer(evidence):
    wren, large = (row for row in evidence.benchmark("prune")["rows"] if row["method"] == "channels")
    small, w20, w30 = (evidence.network("cifar10", name).runs for name in ("residual_se_small", "wren_20k", "wren_30k"))
    assert small["test_accuracy"].max() < wren["test_accuracy"] < w20["test_accuracy"].min()
    assert large["test_accuracy"] < w30["test_accuracy"].min() and large["params"] > w30["params"].iloc[0]
    short = evidence.network("cifar10", "technique_resolution", "quick").runs["test_accuracy"]
    assert round(100 * short.mean(), 1) == 87.6 and short.max() < large["test_accuracy"], "as few epochs"
    phases = {name: get_experiment(name, "full").phases[0] for name in ("wren_20k", "wren_30k", "residual_se_small")}
    assert [phase.epochs for phase in phases.values()] == [150, 150, 60] and {wren["epochs"], large["epochs"]} == {15}
    assert phases["residual_se_small"].optimizer.name == "adamw"
    for row, name in ((wren, "residual_se_muon"), (large, "wren_100k")):
        assert row["learning_rate"] == get_experiment(name, "full").phases[0].optimizer.learning_rate / 2


def test_removed_weights_cost_less_than_removed_channels_but_not_fewer_bytes_than_building_small(evidence):
    by_epochs = {(row["experiment"], row["method"], row["epochs"]): row for row in evidence.benchmark("prune")["rows"]}
    rows = {key[:2]: row for key, row in by_epochs.items() if key[2] == 15}
    for name, lost, removed in (("residual_se_muon", 0.2, 1 / 3), ("wren_100k", 1.3, 2 / 3)):
        row, narrowed = rows[name, "weights"], rows[name, "channels"]
        assert row["params"] == narrowed["params"] and row["epochs"] == narrowed["epochs"]
        assert round(100 * (row["before"]["test_accuracy"] - row["test_accuracy"]), 1) == lost
        assert abs(1 - row["params"] / row["before"]["params"] - removed) < 0.03
        assert row["test_accuracy"] > narrowed["test_accuracy"] + 0.01 and row["macs"] == row["before"]["macs"]
    w20, w30 = (evidence.network("cifar10", name) for name in ("wren_20k", "wren_30k"))
    assert abs(rows["residual_se_muon", "weights"]["test_accuracy"] - w20.accuracy.mean) < 0.005, "as good"
    pruned = rows["wren_100k", "weights"]
    assert pruned["test_accuracy"] > w30.runs["test_accuracy"].max(), "or better"
    assert w30.int8["gzip_bytes"] == 41_478
    assert round(w30.runs["macs"].iloc[0] / pruned["macs"], 2) == 0.33
    narrowed = rows["residual_se_muon", "channels"]["int8_gzip_bytes"] / w20.int8["gzip_bytes"]
    assert round(100 * narrowed) == 102 and "int8_gzip_bytes" not in rows["wren_100k", "channels"]
    assert "int8_accuracy" not in pruned, "left out"
    longer = by_epochs["wren_100k", "weights", 30]
    assert len(by_epochs) == 5 and longer["int8_gzip_bytes"] == 70_534
    costs = [100 * (row["before"]["test_accuracy"] - row["test_accuracy"]) for row in (pruned, longer)]
    assert np.round(costs, 2).tolist() == [1.27, 1.15]
    gains = [100 * (row["test_accuracy"] - w30.runs["test_accuracy"].mean()) for row in (pruned, longer)]
    assert [round(gain, 1) for gain in gains] == [0.6, 0.7]
    taught = evidence.network("cifar10", "wren_30k_distilled").runs["test_accuracy"]
    assert taught.mean() - 0.002 < pruned["test_accuracy"] < longer["test_accuracy"] < taught.max(), "about as good"


@pytest.fixture(scope="module")
def technique_gains(evidence):
    """Gains over the recipe at `quick` by technique: one's interval, and points for each seed by kind of images."""
    runs = evidence.runs[(evidence.runs["preset"] == "quick") & (evidence.runs["dataset"] == "cifar10")]
    runs = 100 * runs.set_index(["experiment", "seed"])[["test_accuracy", "val_accuracy"]].unstack("seed")
    each = (runs.loc[list(TITLES)] - runs.loc["residual_se_muon"]).dropna(axis="columns", how="all")
    each = each.rename(lambda name: name.removeprefix("technique_"))
    found = {key: minus_recipe(evidence, key, "quick") for key in each.index}
    return found, each["test_accuracy"], each["val_accuracy"]


def minus_recipe(evidence, key, preset):
    return evidence.network("cifar10", f"technique_{key}", preset).minus("residual_se_muon")


def includes_zero(estimate):
    return estimate.low < 0 < estimate.high


def test_the_recipe_of_the_techniques_varies_from_seed_to_seed(evidence, technique_gains):
    found, points, on_validation = technique_gains
    assert points.shape[1] == 3 and points.notna().all(axis=None)
    both = (evidence.network("cifar10", "residual_se_muon", preset).runs for preset in ("quick", "full"))
    quick, full = (100 * runs.set_index("seed")[["test_accuracy", "val_accuracy"]] for runs in both)
    assert quick["test_accuracy"].round(2).tolist() == [86.33, 87.06, 86.41]
    assert np.ptp(quick, axis=0).round(1).tolist() == [0.7, 1.3]
    medians = points.median()
    assert round(medians[1], 1) == -0.7 and max(abs(medians[[0, 2]])) < 0.1, "seed 1 is a lucky one"
    assert round(np.median([100 * (one.high - one.low) / 2 for one in found.values()]), 1) == 0.6
    favor = (on_validation - points).mean(axis="columns")
    assert (len(favor), (favor < 0).sum(), round(favor.median(), 2)) == (48, 47, -0.39)
    assert full["test_accuracy"].round(2)[:2].tolist() == [89.55, 89.28] and np.ptp(full, axis=0).round(1).tolist() == [
        0.3,
        0.7,
    ]
    on_validation = full["val_accuracy"]
    assert on_validation.idxmax() == 0 and round(on_validation[0] - on_validation.mean(), 1) == 0.3


def test_one_seeds_interval_contains_a_techniques_gain_in_four_of_five_cases(evidence):
    parts = []  # of the variance of a difference between two runs: between seeds, and within a seed
    for name in TITLES:
        both = (evidence.network("cifar10", one, "quick") for one in (name, "residual_se_muon"))
        ours, theirs = (network.correct.astype(int) for network in both)
        difference = ours - theirs
        within = difference.var(axis=1).mean() / difference.shape[1]
        parts.append((difference.mean(axis=1).var(ddof=1), within))
    total, within = np.mean(parts, axis=0)
    assert round(2 * norm.cdf(1.96 * np.sqrt(within / total)) - 1, 1) == 0.8


def test_distillation_gains_at_both_budgets(evidence, technique_gains):
    found, points, on_validation = technique_gains
    assert round(100 * found["distilled"].mean, 1) == 1.1 and found["distilled"].low > 0
    assert (points.loc["distilled"] > 0).all() and (on_validation.loc["distilled"] > 0).all()
    longer = evidence.network("cifar10", "technique_distilled", "full")
    recipe = evidence.network("cifar10", "residual_se_muon", "full").runs.set_index("seed")
    runs = longer.runs.set_index("seed")
    assert (list(runs.index), round(100 * longer.minus("residual_se_muon").mean, 1)) == ([0, 1], 1.2)
    assert longer.minus("residual_se_muon").low > 0 and runs["test_accuracy"].min() > recipe["test_accuracy"].max()
    assert (runs["val_accuracy"] > recipe.loc[[0, 1], "val_accuracy"]).all()
    quick = evidence.network("cifar10", "technique_distilled", "quick").runs
    assert min(*runs["temperature"], *quick["temperature"]) > 2, "overconfident"
    scaled = [*runs["ece_scaled"], *quick["ece_scaled"]]
    assert [round(100 * value, 1) for value in (min(scaled), max(scaled))] == [1.2, 1.5]


def test_blocks_at_full_resolution_gain_on_average(technique_gains):
    found, points, _ = technique_gains
    assert round(100 * found["resolution"].mean, 1) == 1.0 and found["resolution"].low > 0
    assert sorted(p > 0.05 for p in found["resolution"].p_values) == [False, False, True]
    assert get_experiment("technique_resolution").network == get_experiment("wren_30k").network


def test_wren_without_attention_or_shortcuts_is_not_measurably_less_accurate(technique_gains):
    found, points, on_validation = technique_gains
    both = ["no_attention", "no_shortcuts"]
    assert [round(100 * found[key].mean, 2) for key in both] == [-0.28, -0.35]
    assert all(includes_zero(found[key]) for key in both)
    assert on_validation.loc[both].mean(axis="columns").round(1).tolist() == [-0.6, -0.8]


def test_no_other_technique_shows_a_clear_gain(technique_gains):
    found, points, on_validation = technique_gains
    assert {key for key, one in found.items() if one.low > 0} == {"resolution", "distilled"}
    assert round(100 * found["branches"].mean, 1) == 0.4
    assert includes_zero(found["branches"])


def test_what_makes_the_task_much_harder_costs_accuracy_in_short_training(technique_gains):
    found, points, _ = technique_gains
    for key in ("cutmix", "auto_augment", "trivial_augment", "resizing", "stochastic_depth"):
        assert found[key].high < 0, key
    others = {"rand_augment", "dropout", "cutout", "erasing", "weight_decay", "smoothing", "mixup"}
    for key in others | {"color_jitter", "sharpness", "blur", "feature_noise", "batch_64", "no_ema"}:
        assert includes_zero(found[key]), key


def test_which_optimizers_schedules_and_blocks_cost_accuracy(evidence, technique_gains):
    found, _, _ = technique_gains
    means = {key: 100 * one.mean for key, one in found.items()}
    worse = ["adamw", "sgd", "warm_restarts", "cyclical", "constant_rate", "step_decay", "glu", "snapshots", "resizing"]
    assert max(found[key].high for key in worse) < 0
    assert [round(means[key], 1) for key in ("warm_restarts", "cyclical")] == [-0.7, -1.2]
    assert max(means[key] for key in ("constant_rate", "step_decay", "glu")) < -1
    assert max(means[key] for key in ("one_cycle", "schedule_free")) < -2
    plain = evidence.network("cifar10", "technique_plain", "quick")
    assert round(means["plain"], 1) == -4.5 and found["plain"].high < -0.03
    assert 29_000 < plain.runs["params"].iloc[0] < 30_000
    assert [(stage.blocks, stage.filters) for stage in get_experiment("technique_plain").network.stages] == [
        (2, 20),
        (2, 32),
    ]
    assert (round(means["resizing"], 1), round(means["snapshots"], 1)) == (-1.3, -0.9)
    alike = ["nadam", "lion", "lookahead", "muon_fixed_norm", "muon_adamw", "sam", "swa"]
    alike += ["branches", "relu", "prelu", "gelu", "eca", "cbam", "average_pooling", "hybrid_pooling"]
    assert all(includes_zero(found[key]) for key in alike)
    recipe, nadam = (
        load_correct(evidence.folder, one[one["seed"] < 2])
        for one in (evidence.network("cifar10", name, "quick").runs for name in ("residual_se_muon", "technique_nadam"))
    )
    assert paired_difference(list(nadam), list(recipe)).high < 0, "with two seeds"
    cycles = evidence.network("cifar10", "technique_snapshots", "quick").runs["history"].iloc[0]
    first, second, last = (100 * cycle["history"][-1]["val_accuracy"] for cycle in cycles)
    assert np.round([last - first, last - second], 1).tolist() == [4.6, 1.4]


def test_what_the_techniques_take(evidence):
    rows = evidence.benchmark("technique_time")["rows"]
    times = {row["experiment"][10:]: row["seconds_per_epoch"] / row["recipe_seconds_per_epoch"] for row in rows}
    assert times["resizing"] < 0.7
    assert round(times["distilled"], 1) == 2.4
    augmentation = {name: times[name] for name, one in TECHNIQUES.items() if one.group == "augmentation"}
    assert 1.11 < augmentation.pop("auto_augment") < 1.13 and max(augmentation.values()) < 1.11
    in_keras = {"lookahead", "one_cycle", "schedule_free", "feature_noise", "cbam", "hybrid_pooling"}
    one_by_one = {"gelu", "glu", "branches", "prelu"}  # and the teacher's layers
    others = {"resolution", "distilled", "sam"}
    assert {name for name, time in times.items() if time > 1.3} == in_keras | one_by_one | others
    assert all(1.8 < times[name] < 3.1 for name in one_by_one)
    assert all(1.8 < times[name] < 2.1 for name in ("resolution", "sam")), "about twice"
    assert {row["device"].split()[0] for row in rows} == {"AMD", "Intel(R)"}


def test_no_other_technique_gains_after_60_epochs(evidence):
    runs = evidence.runs[(evidence.runs["dataset"] == "cifar10") & (evidence.runs["preset"] == "full")]
    runs = runs.set_index(["experiment", "seed"])
    recipe = runs.loc["residual_se_muon", 0]
    clear = ["auto_augment", "blur", "trivial_augment", "stochastic_depth", "cutmix"]
    unclear = ["weight_decay", "dropout", "smoothing"]
    alike = [
        "no_ema",
        "rand_augment",
        "mixup",
        "erasing",
        "cutout",
        "color_jitter",
        "sharpness",
        "feature_noise",
        "swa",
    ]
    names = [*clear, *unclear, *alike]
    trained = {index for index in runs.index if index[0].startswith("technique_")}
    assert trained == {(f"technique_{name}", seed) for name in (*names, "distilled") for seed in (0, 1)}
    assert len(names) + 1 == 18
    found = {name: minus_recipe(evidence, name, "full") for name in names}
    assert [round(100 * found[name].mean, 1) for name in clear] == [-0.6, -0.6, -0.8, -0.8, -1.8]
    assert max(found[name].high for name in clear) < 0
    for name in unclear:
        first, second = found[name].by_seed
        assert includes_zero(found[name]) and -0.009 < first < -0.006 and second > -0.0025, name
    assert all(includes_zero(found[name]) for name in alike)
    assert max(one.mean for one in found.values()) < 0.0015
    accuracies = 100 * runs[["test_accuracy", "val_accuracy"]]
    of_both = {"auto_augment": [-0.6, -0.1], "trivial_augment": [-0.8, -0.4], "stochastic_depth": [-0.8, -0.3]}
    for name, expected in of_both.items():
        points = (accuracies.loc[f"technique_{name}"] - accuracies.loc["residual_se_muon"]).dropna().mean()
        assert points.round(1).tolist() == expected, name
    of = {name: runs.loc[f"technique_{name}"].mean(numeric_only=True) for name in names}
    fitted = [of[name]["train_accuracy"] < recipe["train_accuracy"] - 0.002 for name in names]
    assert sum(fitted) > len(names) / 2
    assert sorted(of, key=lambda name: of[name]["ece"])[:2] == ["trivial_augment", "auto_augment"]
    assert max(of[name]["temperature"] for name in ("mixup", "smoothing", "cutmix")) < 0.8, "underconfident"


def test_every_technique_is_measured(evidence):
    assert set(TITLES) <= set(evidence.runs["experiment"])


def test_the_classifiers_branches_are_worth_more_than_unfreezing_on_a_canvas(evidence):
    rows = pd.DataFrame(evidence.benchmark("canvas")["rows"])
    means = rows.groupby("model")[["mean_iou", "average_precision"]].mean()
    parts = evidence.benchmark("canvas")["canvases"]
    assert (parts["train"], parts["test"], len(rows)) == (800, 500, 1 + 3 * 5), "three seeds of all but the classifier"
    by_model = rows.groupby("model")["mean_iou"]
    spans = (by_model.max() - by_model.min())[["from_scratch", "unet"]]
    assert round(100 * spans.max()) == 18, "from random weights, seeds differ by up to 18 points"
    detector = rows[rows["model"] == "classifier"].iloc[0]
    assert detector["largest_difference_on_28x28"] == 0
    assert detector["average_precision"] > 0.75 * means["average_precision"].max()
    for score in means:
        unfrozen = means.loc[["unfrozen", "unfrozen_nadam"], score]
        assert means.loc["at_once", score] > unfrozen.max() and unfrozen.min() > 1.5 * means.loc["from_scratch", score]
    iou = rows.set_index(["model", "seed"])["mean_iou"]
    assert all((iou["at_once"] > iou[name]).all() for name in ("unfrozen", "unfrozen_nadam")), "with every seed"
    rates = evidence.benchmark("canvas")["sgd_rates"]
    assert max(rates, key=rates.get) == "0.3" and rates["1.0"] < 0.1, "the best rate is inside the grid"


def test_the_papers_network_grows_with_images_and_classes_and_wren_s_hardly(evidence):
    found = evidence.benchmark("scalability")
    rows = pd.DataFrame(found["rows"]).set_index(["experiment", "dataset", "size"])
    paper, small = (rows.loc[name] for name in ("paper", "residual_se_small"))
    assert paper.loc["cifar100", 32]["params"] == 158_132
    assert build_merged_model((64, 64, 3), 10).count_params() == 83_622
    assert small.loc["cifar100", 32]["params"] - small.loc["cifar10", 32]["params"] == 2_970
    assert small.loc["cifar10"]["params"].nunique() == 1
    for size, times in ((48, 2), (64, 4)):
        assert round(paper.loc["cifar10", size]["params"] / paper.loc["cifar10", 32]["params"]) == times
    for network, points in ((paper, [2.2, 3.2]), (small, [-1.6, -1.5])):
        accuracy = 100 * network.loc["cifar10"]["test_accuracy"]
        assert [round(accuracy[size] - accuracy[32], 1) for size in (48, 64)] == points
    both = small.join(paper, suffixes=("_small", "_paper"), how="inner")
    assert (both["test_accuracy_small"] > both["test_accuracy_paper"]).all() and len(both) == 4
    assert (both["epochs_small"] < both["epochs_paper"]).all()
    ours, theirs = (both[f"epochs_{name}"] * both[f"seconds_per_epoch_{name}"] for name in ("small", "paper"))
    assert [round(value, 1) for value in ((ours / theirs).min(), (ours / theirs).max())] == [1.4, 1.7]
    assert (both["seconds_per_epoch_small"] > both["seconds_per_epoch_paper"]).all()
    for network in (paper, small):
        assert network.loc["cifar10"].sort_index()["seconds_per_epoch"].is_monotonic_increasing


def test_reruns_have_the_same_training_losses():
    """The pairs of docs/measurements.md: another version of the code, and in part another maker's processor."""
    adamw = ("technique_adamw", "residual_se_stem_adamw", "quick", (0, 1, 2))
    no_ema = (("technique_no_ema", "residual_se_muon", *of) for of in (("quick", (0, 1, 2)), ("full", (0,))))
    makers = []
    for first, second, preset, seeds in (adamw, *no_ema):
        for seed in seeds:
            paths = [Folders(ROOT / "results").result("cifar10", name, preset, seed) for name in (first, second)]
            one, other = map(read_json, paths)
            losses = [[epoch["loss"] for epoch in run["history"][0]["history"]] for run in (one, other)]
            assert losses[0] == losses[1] and len(losses[0]) == {"quick": 15, "full": 60}[preset]
            assert one["commit"] != other["commit"]
            assert [run["history"][0]["computing"] for run in (one, other)] == [[{"step": "engine", "threads": 1}]] * 2
            makers.append({run["device"].split()[0].partition("(")[0] for run in (one, other)})
    assert sorted(makers, key=len)[-2:] == [{"AMD", "Intel"}] * 2

"""The warnings about a run and their limits; on so many images that noise does not count, unless a test is about it."""

import numpy as np
import pytest
from made_data import ROOT

from lwcnn.evaluation.diagnostics import diagnose_folds, diagnose_run
from lwcnn.experiments.results import load_results

MANY = 10**8


def made_result(branches=(0.80, 0.75), start_of_all=0.80, head=0.80, **changes):
    """Returns the result of a run without any warning, unless an argument causes one."""
    names = ("original_logits_val_accuracy", "augmented_logits_val_accuracy")
    all_layers = {"val_accuracy": start_of_all, "accuracy": 0.3}
    dual = {"val_accuracy": 0.78, "loss": 1.0, **(dict(zip(names, branches)) if len(branches) > 1 else {})}
    return {
        "history": [
            {"name": "dual", "best_val_accuracy": 0.78, "history": [dual]},
            {"name": "head", "best_val_accuracy": head, "history": [{"val_accuracy": 0.70}, {"val_accuracy": head}]},
            {"name": "all", "best_epoch": 1, "best_val_accuracy": 0.81, "history": [all_layers]},
        ],
        **{"train_accuracy": 0.85, "test_accuracy": 0.80},
        **{"num_train_images": MANY, "num_val_images": MANY, "num_test_images": MANY},
    } | changes


def of_confusion(confusion, **changes):
    """Returns the result of a run with this confusion matrix and 50 or more test images of most classes."""
    counts = np.array(confusion)
    accuracy = float(np.trace(counts) / counts.sum())
    by_class = {f"class {k}": None for k in range(len(counts))}
    shown = {"confusion_matrix": counts.tolist(), "per_class_accuracy": by_class}
    return made_result(train_accuracy=accuracy, test_accuracy=accuracy, **shown) | changes


@pytest.mark.parametrize(
    "within, beyond, said",
    [
        (
            {"branches": (0.80, 0.701)},
            {"branches": (0.80, 0.699)},
            "the branches' validation accuracies drift apart (original 80.0%, augmented 69.9%): check the augmentation",
        ),
        (
            {"start_of_all": 0.791},
            {"start_of_all": 0.789},
            "accuracy drops by 1.1 points as phase all begins, from 80.0% to 78.9% of 100,000,000 validation images: "
            "its learning rate may be too high, try a tenth of it",
        ),
        (
            {"test_accuracy": 0.651},
            {"test_accuracy": 0.649},
            "training and test accuracy are 20.1 points apart, 85.0% of 100,000,000 and 64.9% of 100,000,000 images: "
            "capacity or overfitting",
        ),
    ],
)
def test_a_sign_is_given_just_beyond_its_limit(within, beyond, said):
    assert diagnose_run(made_result(**within)) == []
    assert diagnose_run(made_result(**beyond)) == [said]


def test_all_signs_at_once():
    assert len(diagnose_run(made_result((0.9, 0.1), start_of_all=0.1, train_accuracy=0.9, test_accuracy=0.1))) == 3


@pytest.mark.parametrize(
    "changes, is_sign",
    [
        ({"train_accuracy": 0.845, "test_accuracy": 0.555, "num_test_images": 100}, False),  # 29 points
        ({"train_accuracy": 0.85, "test_accuracy": 0.55, "num_test_images": 100}, True),  # two errors of 70% are 9.2
        ({"head": 0.55, "start_of_all": 0.45, "num_val_images": 200}, False),  # 10 points from 55% to 45%
        ({"head": 0.55, "start_of_all": 0.43, "num_val_images": 200}, True),  # two errors of 49% are 10.0
    ],
)
def test_two_standard_errors_of_the_difference_are_added_to_a_limit(changes, is_sign):
    assert bool(diagnose_run(made_result(**changes))) == is_sign


def test_differences_that_few_images_explain_are_no_sign():
    made = {"head": 16 / 17, "start_of_all": 12 / 17, "train_accuracy": 0.954, "test_accuracy": 13 / 18}
    made |= {"num_train_images": 72, "num_val_images": 17, "num_test_images": 18}
    assert diagnose_run(made_result(**made)) == []
    worse = made_result(**made)
    worse["history"][-1]["best_val_accuracy"] = 12 / 17  # one image fewer than the submodels
    assert diagnose_run(worse) == []
    for val_images, is_sign in ((100, False), (200, True)):  # 3% of them are 3 images, and 6
        worse = made_result(num_val_images=val_images)
        worse["history"][-1]["best_val_accuracy"] = worse["history"][0]["best_val_accuracy"] - 0.03
        assert any("of the submodels" in sign for sign in diagnose_run(worse)) == is_sign


def test_branches_are_compared_in_their_last_epoch():
    result = made_result(branches=(0.80, 0.20))
    result["history"][0]["history"] += made_result()["history"][0]["history"]
    assert diagnose_run(result) == []


def test_a_fresh_head_over_a_single_branch_is_no_drop():
    """`single`: its first stage has one output; the head that follows begins from chance, as it must."""
    assert diagnose_run(made_result(branches=(0.78,))) == []


def test_a_run_of_one_phase_has_no_drop():
    epochs = [{"val_accuracy": 0.1, "accuracy": 0.1}]
    history = [{"name": "all", "best_epoch": 1, "best_val_accuracy": 0.8, "history": epochs}]
    assert diagnose_run(made_result(history=history)) == []


def test_a_rate_that_begins_again_is_no_sign():
    settings = {"optimizer": {"name": "sgd", "learning_rate": 0.1}, "epochs": 5, "trainable": "all"}
    phases = [settings | {"name": name} for name in ("head", "all")]
    assert diagnose_run(made_result(start_of_all=0.70, config={"phases": phases})) == []
    phases[0] |= {"trainable": "head"}
    assert len(diagnose_run(made_result(start_of_all=0.70, config={"phases": phases}))) == 1


def test_a_phase_that_ends_below_its_best_epoch_is_followed_from_there():
    result = made_result(start_of_all=0.70)
    result["history"][1]["final_val_accuracy"] = 0.69  # without patience, a phase keeps its last epoch
    assert diagnose_run(result) == []
    result["history"][-1]["final_val_accuracy"] = 0.60
    (sign,) = diagnose_run(result)
    assert "phase all ends at 60.0%" in sign


def test_a_merged_model_worse_than_its_submodels_is_a_sign():
    result = made_result()
    result["history"][-1]["best_val_accuracy"] = 0.77
    assert diagnose_run(result) == []
    alone = [
        {"name": name, "best_val_accuracy": last, "history": [{"val_accuracy": 0.30}, {"val_accuracy": last}]}
        for name, last in (("original", 0.85), ("augmented", 0.80))  # one after the other: no drop between them
    ]
    assert diagnose_run(result | {"history": alone + result["history"][1:]}) == [
        "phase all ends at 77.0% validation accuracy, below the 85.0% of the submodels: "
        "train the merged model for more epochs or at a higher learning rate"
    ]


@pytest.mark.parametrize("images, wrong", [(50, 20), (50_000, 23_750)])  # 10 points, two errors of 100 images; 2.5
def test_accuracy_is_above_chance_by_two_errors_and_a_twentieth_of_what_is_left(images, wrong):
    (sign,) = diagnose_run(of_confusion([[images - wrong - 1, wrong + 1], [wrong + 1, images - wrong - 1]]))
    assert "not clearly above chance, 50.0%: check" in sign and "fine-tune" not in sign
    assert diagnose_run(of_confusion([[images - wrong + 1, wrong - 1], [wrong - 1, images - wrong + 1]])) == []


def test_chance_is_the_share_of_the_largest_class():
    (sign,) = diagnose_run(of_confusion([[88, 2], [9, 1]]))
    assert "89.0% is not clearly above chance, 90.0%" in sign
    assert diagnose_run(of_confusion([[1, 0], [0, 1]])) == [], "both of two test images"
    assert diagnose_run(of_confusion([[850, 100], [5, 45]])) == [], "89.5% of 95%, but both classes are recognized"
    assert diagnose_run(of_confusion([[50, 0], [0, 0]])) == [], "of one class: no chance to beat"


@pytest.mark.parametrize(
    "num_images, experiment, is_advised",
    [(999, "paper", True), (1_000, "paper", False), (90, "finetune-cifar10-wren-pets", False)],
)
def test_fine_tuning_is_advised_below_a_thousand_images(num_images, experiment, is_advised):
    near_chance = of_confusion([[20, 30], [25, 25]])
    (sign,) = diagnose_run(near_chance)
    (found,) = diagnose_run(near_chance | {"num_train_images": num_images, "experiment": experiment})
    advice = "; with so few images, fine-tune a trained network (`lwcnn finetune`)"
    assert found == sign + (advice if is_advised else "")


def test_classes_that_are_never_predicted_are_named():
    (sign,) = diagnose_run(of_confusion([[50, 0, 0], [0, 50, 0], [20, 30, 0]]))
    assert sign == "never predicted: class 2"  # whose images are as many as those of the others
    (sign,) = diagnose_run(of_confusion([[50, 0, 0], [0, 50, 0], [8, 2, 0]]))
    assert sign == "never predicted: class 2; with few images of a class, balanced class weights may help"
    many = np.zeros((9, 9), int)
    many[:, 0], many[1, 1], many[2, 2] = 5, 40, 40
    (sign,) = diagnose_run(of_confusion(many))
    assert "class 3, class 4, class 5, class 6, class 7 and 1 more" in sign
    assert diagnose_run(of_confusion([[50, 0, 0], [0, 50, 0], [0, 0, 0]])) == []


def test_a_trained_model_far_worse_than_its_last_epochs_is_a_warning():
    result = made_result(train_accuracy=0.12, test_accuracy=0.11)
    last = result["history"][-1]
    last["history"] = [{"val_accuracy": 0.8, "accuracy": 0.97}]
    (sign,) = diagnose_run(result)
    assert "was 97.0% or more in the best and the last epoch" in sign and "is 12.0%" in sign
    assert diagnose_run(result | {"num_train_images": 4}) == [], "of so few images, each is many points"
    assert diagnose_run(result | {"train_accuracy": 0.88, "test_accuracy": 0.8}) == []
    assert len(diagnose_run(result | {"train_accuracy": 0.86, "test_accuracy": 0.8})) == 1, "ten points are allowed"
    last |= {"best_epoch": 2, "history": [{"val_accuracy": 0.8, "accuracy": share} for share in (0.9, 0.15, 0.95)]}
    assert diagnose_run(result) == [], "the second epoch's weights were kept"
    last |= {"best_epoch": 1, "history": [{"val_accuracy": 0.8, "accuracy": share} for share in (0.95, 0.15)]}
    assert diagnose_run(result) == [], "without patience, the last epoch's weights are kept"


def test_of_the_committed_runs_the_one_whose_statistics_lag_is_told():
    runs = load_results(ROOT / "results").assign(num_test_images=10_000).to_dict("records")
    told = [run for run in runs if any("lag behind" in sign for sign in diagnose_run(run))]
    assert [(run["experiment"], run["preset"], run["seed"]) for run in told] == [("mobilenet_v2", "quick", 0)]


def test_a_phase_that_diverged_is_a_sign():
    result = made_result()
    result["history"][1] |= {"diverged": 3, "learning_rate": 20.0, "best_epoch": 2}
    (sign,) = diagnose_run(result)
    assert sign == "phase head diverged in epoch 3 at learning rate 20 and kept epoch 2: try a tenth of the rate"


def test_folds_may_differ_by_two_points_and_by_what_few_images_explain():
    assert diagnose_folds([0.70, 0.719], MANY) == []
    (sign,) = diagnose_folds([0.70, 0.71, 0.721], MANY)
    assert "the folds differ by 2.1 points" in sign
    assert diagnose_folds([13 / 48, 14 / 48, 16 / 48], 48) == []

"""The limits of the warnings, on so many images that noise does not count."""

import pytest

from lwcnn.evaluation.diagnostics import diagnose_folds, diagnose_run

MANY = 10**8


def made_result(augmented=0.80, start_of_all=0.80, test=0.80):
    dual = {"val_accuracy": 0.8, "original_logits_val_accuracy": 0.80, "augmented_logits_val_accuracy": augmented}
    return {
        "history": [
            {"name": "dual", "best_val_accuracy": 0.80, "history": [dual]},
            {"name": "head", "best_val_accuracy": 0.80, "history": [{"val_accuracy": 0.80}]},
            {"name": "all", "best_val_accuracy": 0.80, "history": [{"val_accuracy": start_of_all}]},
        ],
        **{"train_accuracy": 0.80, "test_accuracy": test},
        **{"num_train_images": MANY, "num_val_images": MANY, "num_test_images": MANY},
    }


@pytest.mark.parametrize(
    "name, limit, words",
    [("augmented", 0.10, "drift apart"), ("start_of_all", 0.01, "accuracy drops by"), ("test", 0.20, "points apart")],
)
def test_a_sign_is_given_just_beyond_its_limit(name, limit, words):
    assert diagnose_run(made_result(**{name: 0.80 - limit + 0.001})) == []
    (sign,) = diagnose_run(made_result(**{name: 0.80 - limit - 0.001}))
    assert words in sign


@pytest.mark.parametrize(
    "changes, is_sign",
    [
        ({"train_accuracy": 0.845, "test_accuracy": 0.555, "num_test_images": 100}, False),  # 29 points
        ({"train_accuracy": 0.85, "test_accuracy": 0.55, "num_test_images": 100}, True),  # two errors of 70% are 9.2
        ({"history": [{"val_accuracy": 0.45}], "num_val_images": 200}, False),  # 10 points from 55% to 45%
        ({"history": [{"val_accuracy": 0.43}], "num_val_images": 200}, True),  # two errors of 49% are 10.0
    ],
)
def test_two_standard_errors_of_the_difference_are_added_to_a_limit(changes, is_sign):
    result = made_result()
    if history := changes.pop("history", None):
        result["history"] = [
            {"name": "head", "best_val_accuracy": 0.55, "history": [{"val_accuracy": 0.55}]},
            {"name": "all", "best_val_accuracy": 0.55, "history": history},
        ]
    assert bool(diagnose_run(result | changes)) == is_sign


def test_branches_are_compared_in_their_last_epoch():
    result = made_result(augmented=0.20)
    result["history"][0]["history"] += made_result()["history"][0]["history"]
    assert diagnose_run(result) == []


def test_branches_trained_one_after_the_other_do_not_follow_each_other():
    alone = [
        {"name": name, "best_val_accuracy": last, "history": [{"val_accuracy": 0.30}, {"val_accuracy": last}]}
        for name, last in (("original", 0.85), ("augmented", 0.80))
    ]
    result = made_result()
    assert diagnose_run(result | {"history": alone + result["history"][1:]}) == [
        "phase all ends at 80.0% validation accuracy, below the 85.0% of the submodels: "
        "train the merged model for more epochs or at a higher learning rate"
    ]


def of_two_classes(wrong, images, **changes):
    """Returns the result of a run that takes `wrong` of `images` of each of two classes for the other."""
    confusion, accuracy = [[images - wrong, wrong], [wrong, images - wrong]], 1 - wrong / images
    shown = {"confusion_matrix": confusion, "per_class_accuracy": dict.fromkeys("ab", accuracy)}
    return made_result() | {"train_accuracy": accuracy, "test_accuracy": accuracy} | shown | changes


@pytest.mark.parametrize("images, wrong", [(50, 20), (50_000, 23_750)])  # 10 points, two errors of 100 images; 2.5
def test_accuracy_is_above_chance_by_two_errors_and_a_twentieth_of_what_is_left(images, wrong):
    (sign,) = diagnose_run(of_two_classes(wrong + images // 50, images))
    assert "not clearly above chance, 50.0%: check" in sign and "fine-tune" not in sign
    assert diagnose_run(of_two_classes(wrong - images // 50, images)) == []


def test_test_images_of_one_class_have_no_chance_to_beat():
    assert diagnose_run(of_two_classes(0, 50, confusion_matrix=[[50, 0], [0, 0]])) == []


@pytest.mark.parametrize(
    "num_images, experiment, is_advised",
    [(999, "paper", True), (1_000, "paper", False), (90, "finetune-cifar10-wren-pets", False)],
)
def test_fine_tuning_is_advised_below_a_thousand_images(num_images, experiment, is_advised):
    (sign,) = diagnose_run(of_two_classes(25, 50, num_train_images=num_images, experiment=experiment))
    assert ("`lwcnn finetune`" in sign) == is_advised


def test_folds_may_differ_by_two_points():
    assert diagnose_folds([0.70, 0.719], MANY) == []
    assert len(diagnose_folds([0.70, 0.721], MANY)) == 1

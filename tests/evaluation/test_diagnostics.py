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


def test_folds_may_differ_by_two_points():
    assert diagnose_folds([0.70, 0.719], MANY) == []
    assert len(diagnose_folds([0.70, 0.721], MANY)) == 1

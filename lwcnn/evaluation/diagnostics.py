"""Diagnoses of a run's result: the four failure signatures of the paper's summary, and signs of failed training."""

import math
from collections.abc import Iterator

import numpy as np

SUBMODEL_PHASES = ("dual", "original", "augmented")  # the merged model's head is new, so its accuracy may start lower
MAX_BRANCH_GAP = 0.10  # ours: the paper gives no number; stronger augmentation alone costs a few points
MAX_DROP = 0.01  # ours: beyond sampling noise
MAX_STAGE_LOSS = 0.02  # ours: of a merged model against its submodels, whose features it inherits
MAX_FOLD_SPREAD = 0.02  # paper's summary: folds differ by more than 2%
MAX_TRAIN_TEST_GAP = 0.20  # paper's summary: a gap of 20% or more on CIFAR-10
MAX_LAG = 0.10  # ours: augmentation and dropout make epochs less accurate than the trained model, not more
NOISE = 2  # standard errors of a difference between accuracies, which are added to the limits
FEW_IMAGES = 1_000  # ours: training images below which fine-tuning is far better (docs/own-images.md)
MAX_NAMES = 5  # class names listed in a warning


def diagnose_run(result: dict) -> list[str]:
    """Returns warnings about a run, given its JSON file's content and `num_test_images`; none for a healthy run."""
    signs = (_branches, _drops, _overfitting, _worse_than_submodels, _divergence, _lagging_weights, _predictions)
    return [warning for sign in signs for warning in sign(result)]


def _branches(result: dict) -> Iterator[str]:
    last, num_val = result["history"][0]["history"][-1], result["num_val_images"]
    branches = {k: v for k, v in last.items() if k.endswith("_logits_val_accuracy")}
    if branches and _differ(max(branches.values()), min(branches.values()), MAX_BRANCH_GAP, num_val, num_val):
        shown = ", ".join(f"{k.removesuffix('_logits_val_accuracy')} {100 * v:.1f}%" for k, v in branches.items())
        yield f"the branches' validation accuracies drift apart ({shown}): check the augmentation"


def _drops(result: dict) -> Iterator[str]:
    num_val = result["num_val_images"]
    phases = [phase for phase in result["history"] if phase["name"] not in SUBMODEL_PHASES]
    settings = {one.get("name"): one for one in result.get("config", {}).get("phases", ())}
    for before, after in zip(phases, phases[1:]):
        if _is_restart(*(settings.get(phase["name"], {}) for phase in (before, after))):
            continue
        last, first = final_accuracy(before), after["history"][0]["val_accuracy"]
        if _differ(last, first, MAX_DROP, num_val, num_val):
            yield (
                f"accuracy drops by {100 * (last - first):.1f} points as phase {after['name']} begins, from "
                f"{100 * last:.1f}% to {100 * first:.1f}% of {num_val:,} validation images: "
                "its learning rate may be too high, try a tenth of it"
            )


def _is_restart(before: dict, after: dict) -> bool:
    """Returns whether a phase only begins the learning rate's schedule again, which is meant to lower the accuracy."""
    return bool(after) and before | {"name": None} == after | {"name": None}


def _overfitting(result: dict) -> Iterator[str]:
    train, test = result["train_accuracy"], result["test_accuracy"]
    num_train, num_test = result["num_train_images"], result["num_test_images"]
    if _differ(train, test, MAX_TRAIN_TEST_GAP, num_train, num_test):
        yield (
            f"training and test accuracy are {100 * (train - test):.1f} points apart, {100 * train:.1f}% of "
            f"{num_train:,} and {100 * test:.1f}% of {num_test:,} images: capacity or overfitting"
        )


def _differ(high: float, low: float, limit: float, num_high: int, num_low: int) -> bool:
    """Returns whether two accuracies, each on a number of images, differ by more than a limit and sampling noise."""
    pooled = (high + low) / 2
    return high - low > limit + NOISE * math.sqrt(pooled * (1 - pooled) * (1 / num_high + 1 / num_low))


def _worse_than_submodels(result: dict) -> Iterator[str]:
    phases, last = result["history"], result["history"][-1]
    best = max((final_accuracy(phase) for phase in phases if phase["name"] in SUBMODEL_PHASES), default=0.0)
    lost = best - final_accuracy(last)
    if lost > MAX_STAGE_LOSS and lost * result["num_val_images"] > NOISE**2:  # a sign test: the images are the same
        yield (
            f"phase {last['name']} ends at {100 * final_accuracy(last):.1f}% validation accuracy, below the "
            f"{100 * best:.1f}% of the submodels: train the merged model for more epochs or at a higher learning rate"
        )


def final_accuracy(phase: dict) -> float:
    """Returns the validation accuracy of the weights that a phase ends with; in older records, of its best weights."""
    return phase.get("final_val_accuracy", phase["best_val_accuracy"])


def _divergence(result: dict) -> Iterator[str]:
    for phase in result["history"]:
        if "diverged" in phase:
            yield (
                f"phase {phase['name']} diverged in epoch {phase['diverged']} at learning rate "
                f"{phase['learning_rate']:g} and kept epoch {phase['best_epoch']}: try a tenth of the rate"
            )


def _lagging_weights(result: dict) -> Iterator[str]:
    """Yields a warning if the trained model is far worse on the training images than the epochs that made it."""
    last = result["history"][-1]
    reached = min(last["history"][epoch]["accuracy"] for epoch in (-1, last["best_epoch"] - 1))
    lag = reached - result["train_accuracy"]
    if lag > MAX_LAG and lag * result["num_train_images"] > NOISE**2:  # the images are the same
        yield (
            f"training accuracy was {100 * reached:.1f}% or more in the best and the last epoch, but that of the "
            f"trained model is {100 * result['train_accuracy']:.1f}%: its weight average or batch normalization "
            "statistics lag behind, train for more epochs or with smaller batches"
        )


def _predictions(result: dict) -> Iterator[str]:
    if not result.get("confusion_matrix"):
        return
    counts, accuracy = np.array(result["confusion_matrix"]), result["test_accuracy"]
    total, actual, predicted = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    chance, recalls = actual.max() / total, counts.diagonal()[actual > 0] / actual[actual > 0]
    # Balanced class weights can cost accuracy and still recognize every class.
    if _is_near(accuracy, chance, total) and _is_near(recalls.mean(), 1 / len(recalls), total):
        is_tuned = result.get("experiment", "").startswith("finetune")
        has_few = result["num_train_images"] < FEW_IMAGES and not is_tuned
        advice = "; with so few images, fine-tune a trained network (`lwcnn finetune`)" if has_few else ""
        yield (
            f"the test accuracy of {100 * accuracy:.1f}% is not clearly above chance, {100 * chance:.1f}%: check "
            f"labels, learning rate and number of epochs{advice}"
        )
    names = list(result["per_class_accuracy"])
    missing = np.flatnonzero((predicted == 0) & (actual > 0))
    if len(missing):
        more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
        are_fewer = actual[missing].min() < actual.max()
        advice = "; with few images of a class, balanced class weights may help" if are_fewer else ""
        yield f"never predicted: {', '.join(names[k] for k in missing[:MAX_NAMES])}{more}{advice}"


def _is_near(share: float, chance: float, num_images: int) -> bool:
    """Returns whether a share is not above chance by two standard errors and a twentieth of what is left to 1."""
    margin = max(2 * math.sqrt(chance * (1 - chance) / num_images), 0.05 * (1 - chance))
    margin = min(margin, 0.5 * (1 - chance))  # of a handful of images even 100% would be within it
    return bool(share <= chance + margin and chance < 1)


def diagnose_folds(accuracies: list[float], num_images: int) -> list[str]:
    """Returns a warning if the accuracies of K folds of `num_images` each differ too much, else an empty list."""
    high, low = max(accuracies), min(accuracies)
    if not _differ(high, low, MAX_FOLD_SPREAD, num_images, num_images):
        return []
    return [f"the folds differ by {100 * (high - low):.1f} points: heterogeneous folds or too little regularization"]

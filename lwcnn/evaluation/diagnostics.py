"""Signs of trouble in a run's result: the four that the paper's summary lists, and those of a training that failed."""

import math

import numpy as np

SUBMODEL_PHASES = ("dual", "original", "augmented")  # the joined model's head is new: no drop from its submodels
MAX_BRANCH_GAP = 0.10  # ours: "diverge" without a number; stronger augmentation costs a few points by itself
MAX_DROP = 0.01  # ours: beyond the noise of 5,000 validation images
MAX_FOLD_SPREAD = 0.02  # paper's summary: folds vary by more than 2 %
MAX_TRAIN_TEST_GAP = 0.20  # paper's summary: a gap of 20 % or more on CIFAR-10
MAX_LOSS_GAP = 0.10  # ours: beyond what augmentation and dropout explain
MAX_NAMES = 5  # of classes, in a sentence


def warning_signs(result: dict) -> list[str]:
    """The signs of trouble in a run, in words with their figures; empty if there is none.

    Args:
        result: what a run's JSON holds: history, train_accuracy and test_accuracy; with confusion_matrix and
            per_class_accuracy also what the predictions show.

    Source: summary of arXiv 2501.15547, "Failure signatures".
    """
    signs = []
    phases = result["history"]
    last = phases[0]["history"][-1]
    branches = {k: v for k, v in last.items() if k.endswith("_logits_val_accuracy")}
    if branches and max(branches.values()) - min(branches.values()) > MAX_BRANCH_GAP:
        shown = ", ".join(f"{k.removesuffix('_logits_val_accuracy')} {100 * v:.1f} %" for k, v in branches.items())
        signs.append(f"the branches' validation accuracies drift apart ({shown}): check the augmentation")
    whole = [phase for phase in phases if phase["name"] not in SUBMODEL_PHASES]
    for before, after in zip(whole, whole[1:]):
        drop = before["best_val_accuracy"] - after["history"][0]["val_accuracy"]
        if drop > MAX_DROP:
            signs.append(
                f"accuracy drops by {100 * drop:.1f} points as phase {after['name']} begins: "
                "its learning rate may be too high, try 1e-4"
            )
    gap = result["train_accuracy"] - result["test_accuracy"]
    if gap >= MAX_TRAIN_TEST_GAP:
        signs.append(f"training and test accuracy are {100 * gap:.1f} points apart: capacity or overfitting")
    return [*signs, *_divergence(phases), *_lagging_weights(result), *_poor_predictions(result)]


def _divergence(phases: list[dict]) -> list[str]:
    """A loss that became NaN or infinite in a later epoch than a phase's first."""
    return [
        f"phase {phase['name']} diverged in epoch {phase['diverged']} at learning rate {phase['learning_rate']:g} and "
        f"kept epoch {phase['best_epoch']}: try a tenth of the rate"
        for phase in phases
        if "diverged" in phase
    ]


def _lagging_weights(result: dict) -> list[str]:
    """A training loss that the trained model does not live up to.

    A wrong prediction costs at least ln 2 nats, so a mean loss L means an accuracy of at least 1 - L / ln 2.
    """
    last = result["history"][-1]
    settings = result.get("config", {}).get("phases", [{}])[-1]
    records = [last["history"][-1], last["history"][last.get("best_epoch", 0) - 1]]
    losses = [record.get("student_loss", record.get("loss")) for record in records]
    if None in losses or settings.get("class_weight"):
        return []
    least = 1 - max(losses) / math.log(2)
    if result["train_accuracy"] >= least - MAX_LOSS_GAP:
        return []
    return [
        f"a training loss of {max(losses):.3f} means that at least {100 * least:.0f} % of the training images are "
        f"recognized, the trained model recognizes {100 * result['train_accuracy']:.1f} %: the averages of its weights "
        "or of batch normalization lag behind, train for more epochs or with smaller batches"
    ]


def _poor_predictions(result: dict) -> list[str]:
    """Accuracy near that of always predicting one class, and classes that are never predicted."""
    if not result.get("confusion_matrix"):
        return []
    counts, accuracy = np.array(result["confusion_matrix"]), result["test_accuracy"]
    total, actual, predicted = counts.sum(), counts.sum(axis=1), counts.sum(axis=0)
    chance = actual.max() / total
    margin = max(2 * math.sqrt(chance * (1 - chance) / total), 0.05 * (1 - chance))
    signs = []
    if accuracy <= chance + margin and chance < 1:
        signs.append(
            f"the test accuracy of {100 * accuracy:.1f} % is near chance, {100 * chance:.1f} %: check labels, "
            "learning rate and number of epochs"
        )
    names = list(result["per_class_accuracy"])
    missing = [names[k] for k in np.flatnonzero((predicted == 0) & (actual > 0))]
    if missing:
        more = f" and {len(missing) - MAX_NAMES} more" if len(missing) > MAX_NAMES else ""
        signs.append(
            f"never predicted: {', '.join(missing[:MAX_NAMES])}{more}; with few images of a class, "
            'class_weight="balanced" may help'
        )
    return signs


def fold_warning_signs(accuracies: list[float]) -> list[str]:
    """The sign of trouble in the accuracies of K folds."""
    spread = max(accuracies) - min(accuracies)
    if spread <= MAX_FOLD_SPREAD + 1e-9:  # 72 % - 70 % is a little more than 2 % in binary
        return []
    return [f"the folds differ by {100 * spread:.1f} points: unlike parts of the data, or too little regularization"]

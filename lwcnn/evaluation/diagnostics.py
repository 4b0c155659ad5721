"""The four signs of trouble that the paper's summary lists, looked for in a run's result."""

SUBMODEL_PHASES = ("dual", "original", "augmented")  # the joined model's head is new: no drop from its submodels
MAX_BRANCH_GAP = 0.10  # ours: "diverge" without a number; stronger augmentation costs a few points by itself
MAX_DROP = 0.01  # ours: beyond the noise of 5,000 validation images
MAX_FOLD_SPREAD = 0.02  # paper's summary: folds vary by more than 2 %
MAX_TRAIN_TEST_GAP = 0.20  # paper's summary: a gap of 20 % or more on CIFAR-10


def warning_signs(result: dict) -> list[str]:
    """The signs of trouble in a run, in words with their figures; empty if there is none.

    Args:
        result: what a run's JSON holds: history, train_accuracy and test_accuracy.

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
    return signs


def fold_warning_signs(accuracies: list[float]) -> list[str]:
    """The sign of trouble in the accuracies of K folds."""
    spread = max(accuracies) - min(accuracies)
    if spread <= MAX_FOLD_SPREAD + 1e-9:  # 72 % - 70 % is a little more than 2 % in binary
        return []
    return [f"the folds differ by {100 * spread:.1f} points: unlike parts of the data, or too little regularisation"]

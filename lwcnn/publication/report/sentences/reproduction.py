"""Whether the paper's figures are met, what the published code does, and what the method's parts are worth."""

from collections.abc import Callable

import numpy as np

from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.publication.figures.inputs import MissingInput
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import DISPLAY_NAMES, code, escape, gain, joined, number_word, percent
from lwcnn.publication.tables.tables import PAPER_ACCURACY

LOST = 0.05  # of its images: a class that is recognised less often is hardly ever predicted
ABLATION_PRESET = "quick"


def reached(evidence: Evidence) -> str:
    """On which data sets the method as described rounds to the paper's figure or more."""
    reach, miss = [], []
    for dataset, claimed in PAPER_ACCURACY.items():
        mean = np.mean(evidence.accuracies(dataset, "paper", "full"))
        (reach if round(100 * mean) >= round(100 * claimed) else miss).append(DISPLAY_NAMES[dataset])
    found = f"reaches it on {joined(reach)}" if reach else "reaches it nowhere"
    return found + (f", and stays below it on {joined(miss)}" if miss else "")


def lost_classes(evidence: Evidence) -> str:
    """How often a run of the published code, and of the method as described, hardly ever recognises some class."""
    parts = []
    for experiment, title in (("paper_as_published", "the code as published"), ("paper", "the method as described")):
        runs = [run for run in evidence.all_runs if run["experiment"] == experiment]
        if not runs:
            raise MissingInput(f"`{experiment}` was not run")
        lost = [(run, name) for run in runs for name, share in run["per_class_accuracy"].items() if share < LOST]
        where = [f"`{escape(n)}' on {DISPLAY_NAMES[run['dataset']]}, seed {run['seed']}" for run, n in lost]
        hit = len({id(run) for run, _ in lost})
        shown = f"{number_word(hit)} of {number_word(len(runs))} with {title}"
        parts.append(shown + (f" (class {joined(where)})" if where else ""))
    return joined(parts)


def unfreezing_drop(evidence: Evidence) -> str:
    """How far accuracy moves as the method's last phase begins, over the full runs."""
    moves = []
    for dataset in evidence.datasets:
        for run in evidence.runs(dataset, "paper", "full"):
            before, after = run["history"][-2:]
            moves.append(100 * (after["history"][0]["val_accuracy"] - before["best_val_accuracy"]))
    low, high = min(moves), max(moves)
    return f"between {_moved(low)} and {_moved(high)}"


def _moved(points: float) -> str:
    return f"{abs(points):.1f} points {'above' if points > 0 else 'below'}"


def kfold(evidence: Evidence) -> str:
    """Both K-fold assessments in figures."""
    if not evidence.kfolds:
        raise MissingInput("no K-fold assessment was run")
    parts = []
    for fold in evidence.kfolds:
        accuracies = " ".join(percent(a, 1) for a in fold["accuracies"])
        text = f"{number_word(len(fold['accuracies']))} folds of {DISPLAY_NAMES[fold['dataset']]} ({fold['preset']}), "
        if fold["leaking"]:
            side = "above" if fold["leak"] > 0 else "below"
            text += (
                f"assessed as published, give {accuracies}\\,\\%, a mean of {percent(fold['mean_accuracy'], 1)}, "
                f"which is {abs(100 * fold['leak']):.1f} points {side} the {percent(fold['test_accuracy'], 1)}\\,\\% "
                "that the same final model has on the test set"
            )
        else:
            spread = f"{100 * fold['std_accuracy']:.2f}"
            text += f"trained from scratch, give {percent(fold['mean_accuracy'], 2)}\\,$\\pm$\\,{spread}\\,\\%"
        parts.append(text)
    return "; ".join(parts)


def ablation(dataset: str) -> Callable[[Evidence], str]:
    """Which changes of the method lower accuracy, raise it, or do neither for sure."""

    def text(evidence: Evidence) -> str:
        sides: dict[str, list[str]] = {"lowers": [], "raises": [], "neither": []}
        for name in EXPERIMENTS:
            if name != "paper" and (dataset, name, ABLATION_PRESET) in evidence.groups:
                found = evidence.difference(dataset, name, "paper", ABLATION_PRESET)
                side = "lowers" if found.high < 0 else "raises" if found.low > 0 else "neither"
                sides[side].append(code(name))
        if not any(sides.values()):
            raise MissingInput(f"no ablation of the method on {dataset} was run")
        words = {
            "lowers": "the interval lies below zero for",
            "raises": "above zero for",
            "neither": "and includes zero for",
        }
        return ", ".join(f"{words[side]} {joined(names)}" for side, names in sides.items() if names)

    return text


def change(dataset: str, experiment: str) -> Callable[[Evidence], str]:
    """Points that an ablation differs by from the method, with interval."""
    return lambda evidence: gain(evidence.difference(dataset, experiment, "paper", ABLATION_PRESET))


def tuned_recipe(evidence: Evidence) -> str:
    """The recipe of `paper_tuned`, from its settings."""
    plan = get_experiment("paper_tuned", "full", "cifar10")
    optimizer, last = plan.phases[-1].optimizer, plan.phases[-1]
    return (
        f"AdamW at {optimizer.learning_rate:g} with weight decay {optimizer.weight_decay:g}, warm-up over "
        f"{100 * optimizer.warmup:.0f}\\,\\% of the steps and a cosine to zero, a moving average of the weights "
        f"({optimizer.ema:g}), batch {last.batch_size}, no dropout, "
        f"{plan.dual.epochs} epochs of stage 1 and {last.epochs} of all layers at once"
    )


SENTENCES: dict[str, Callable[[Evidence], str]] = {
    "paper reached": reached,
    "lost classes": lost_classes,
    "unfreezing drop": unfreezing_drop,
    "kfold": kfold,
    "ablation cifar10": ablation("cifar10"),
    "ablation mnist": ablation("mnist"),
    "tuned recipe": tuned_recipe,
}

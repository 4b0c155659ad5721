"""What the parts of the method and of the improved network are worth, and every trial of the search."""

from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, left_out, only
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.experiments.search import AVERAGED, CHOSEN
from lwcnn.publication.figures.inputs import MissingInput
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import NOT_RUN, code, gain, mean_and_spread, p_values, percent, tabular

PRESET = "quick"
TITLES = {
    "single": "one branch, not augmented",
    "dual_no_augment": "neither branch augmented",
    "no_unfreezing": "SGD on all layers at once",
    "head_only": "the head alone",
    "fresh_merge": r"$1\times1$ drawn afresh",
    "nadam_throughout": "Nadam to the end",
    "end_to_end": "in one go, without stage 1",
    "paper_as_published": "the published code",
}
_SHORT = {
    "residual": "shortcuts",
    "se": "SE",
    "mixing": "MixUp, CutMix",
    "adamw": "AdamW",
    "smoothing": "smoothing",
    "ema": "averaging",
    "rmsprop": "RMSProp",
    "adam": "Adam",
    "sgd": "SGD",
}
"""Parts, and optimisers in AdamW's place; their full names in the table would not leave room for its figures."""
_CLAIMS = {"mixing": "+5..8", "residual": "+3..4", "adamw": "+2..3", "se": r"$\approx$\,+2", "smoothing": "+1..2"}
TRIAL_COLUMNS = 3


def _compared(evidence: Evidence, dataset: str, name: str, reference: str) -> list[str]:
    """A gain with its interval, and its p-values; one "not run" where it lacks a side."""
    found = evidence.or_not_run(_gain_and_p, evidence, dataset, name, reference)
    return [found, "--"] if found == NOT_RUN else [found]


def _gain_and_p(evidence: Evidence, dataset: str, name: str, reference: str) -> str:
    found = evidence.difference(dataset, name, reference, PRESET)
    return f"{gain(found)} & {p_values(found.p_values)}"


def method_ablation(evidence: Evidence) -> str:
    """Each change of the paper's method: accuracy minus that of the method as described."""
    rows = []
    for name in (n for n in EXPERIMENTS if n in TITLES):
        cells = [cell for dataset in ("cifar10", "mnist") for cell in _compared(evidence, dataset, name, "paper")]
        rows.append([TITLES[name], code(name), *cells])
    head = ["change", "experiment", "CIFAR-10, points", "$p$", "MNIST, points", "$p$"]
    return tabular("@{}llllll@{}", head, [rows])


def parts_ablation(evidence: Evidence) -> str:
    """Each part of the improved model alone on the baseline, and in the whole; then other optimisers."""
    none, whole = _accuracy(evidence, BASELINE), _accuracy(evidence, WHOLE)
    rows = []
    for key in PARTS:
        alone = _compared(evidence, "cifar10", only(key), BASELINE)
        within = _compared(evidence, "cifar10", WHOLE, left_out(key))
        accuracies = _accuracy(evidence, only(key)), _accuracy(evidence, left_out(key))
        rows.append([_SHORT[key], accuracies[0], *alone, accuracies[1], *within, _CLAIMS.get(key, "--")])
    others = []
    for key in OPTIMIZERS:
        within = _compared(evidence, "cifar10", WHOLE, f"parts_{key}")
        others.append([_SHORT[key], "--", "--", "--", _accuracy(evidence, f"parts_{key}"), *within, "--"])
    head = ["part", "alone", "minus baseline", "$p$", "without it", "whole minus that", "$p$", "claimed"]
    references = [["none; all", none, "--", "--", whole, "--", "--", "--"]]
    return tabular("@{}llllllll@{}", head, [references, rows, others])


def _accuracy(evidence: Evidence, name: str) -> str:
    """Mean and standard deviation of an experiment's test accuracy on CIFAR-10."""
    return evidence.or_not_run(_mean_accuracy, evidence, name)


def _mean_accuracy(evidence: Evidence, name: str) -> str:
    return mean_and_spread([run["test_accuracy"] for run in evidence.runs("cifar10", name, PRESET)])


def search_trials(evidence: Evidence) -> str:
    """Every trial, best first, down the columns: parameters in thousands, accuracy on validation images.

    Names of trials are those of `lwcnn.experiments.search`, with letters for what many join: see `_short_name`.
    """
    return evidence.or_not_run(_search_trials, evidence)


def _short_name(trial: str) -> str:
    """A trial's name, in which A and R stand for the recipes that the later rounds join with something else."""
    for recipe, letter in ((AVERAGED, "A"), (CHOSEN, "R")):
        trial = trial.replace(f"+{recipe}", f"+{letter}")
    return trial


def _search_trials(evidence: Evidence) -> str:
    if not evidence.trials:
        raise MissingInput("no trial of the search was run")
    cells = [
        [code(_short_name(trial["trial"])), f"{trial['params'] / 1000:.1f}", percent(trial["val_accuracy"], 1)]
        for trial in evidence.trials
    ]
    height = -(-len(cells) // TRIAL_COLUMNS)
    cells += [["", "", ""]] * (height * TRIAL_COLUMNS - len(cells))
    rows = [sum((cells[column * height + row] for column in range(TRIAL_COLUMNS)), []) for row in range(height)]
    column = r">{\raggedright\arraybackslash}Xll"
    columns = "@{}" + r"@{\hspace{1.5em}}".join([column] * TRIAL_COLUMNS) + "@{}"
    return tabular(columns, ["trial", "k", r"\%"] * TRIAL_COLUMNS, [rows], width=r"\textwidth")

"""Test accuracies: of the paper's method, and of the improved networks beside what was set out for them."""

from lwcnn.publication.claims.goals import GOALS
from lwcnn.publication.report.evidence import LARGEST, Evidence
from lwcnn.publication.report.latex import DISPLAY_NAMES, code, interval, mean_and_spread, percent, tabular, whole
from lwcnn.publication.tables.tables import PAPER_ACCURACY

_REPRODUCTION = (
    ("paper", "as described", "full"),
    ("paper_as_published", "as published", LARGEST),
    ("paper_tuned", "our recipe, two stages", "full"),
)
_MORE = {
    "mnist": (("paper_batch64", "as described, batch 64", "full"),),
    "cifar10": (("paper_tuned_one_go", "our recipe, in one go", "full"),),
}
_OTHERS = (  # without a goal
    "residual_se_distilled",
    "residual_se_muon",
    "residual_se_small_distilled",
    "residual_plain",
    "residual_cbam",
    "repo_baseline_frozen",
)


def reproduction(evidence: Evidence) -> str:
    """The paper's architecture on its three data sets: the paper's figure and ours."""
    groups = []
    for dataset, claimed in PAPER_ACCURACY.items():
        rows = []
        for name, title, preset in (*_REPRODUCTION, *_MORE.get(dataset, ())):
            rows.append(
                [
                    DISPLAY_NAMES[dataset],
                    title,
                    code(name),
                    *_measured(evidence, dataset, name, preset, ("preset", "seeds", "val", "test", "interval")),
                    percent(claimed, 0),
                ]
            )
        groups.append(rows)
    head = ["data", "recipe", "experiment", "preset", "seeds", "validation", "test", r"95\,\% interval", "paper"]
    return tabular("@{}lllllllll@{}", head, groups)


def improved(evidence: Evidence) -> str:
    """The networks of others as built and ours: parameters, accuracy, and the goals."""
    by_group = {(goal.dataset, goal.experiment): goal for goal in GOALS}
    groups = []
    for dataset in ("cifar10", "fashion_mnist", "mnist"):
        names = [goal.experiment for goal in GOALS if goal.dataset == dataset]
        names += _OTHERS if dataset == "cifar10" else ()
        rows = []
        for name in names:
            goal = by_group.get((dataset, name))
            figures = (goal.beat, goal.least, goal.aim) if goal else (None, None, None)
            rows.append(
                [
                    DISPLAY_NAMES[dataset],
                    code(name),
                    whole(evidence.counts(dataset, name).params),
                    *_measured(evidence, dataset, name, LARGEST, ("preset", "seeds", "test", "interval")),
                    *("--" if figure is None else f"{figure:g}" for figure in figures),
                ]
            )
        groups.append(rows)
    head = ["data", "experiment", "parameters", "preset", "seeds", "test", r"95\,\% interval", "to beat", "goal", "aim"]
    return tabular("@{}llrlllllll@{}", head, groups)


def _measured(evidence: Evidence, dataset: str, name: str, preset: str, columns: tuple[str, ...]) -> list[str]:
    """Cells of a group of runs; one "not run" and dashes where there are none."""
    cells = {
        "preset": lambda runs: runs[0]["preset"],
        "seeds": lambda runs: str(len(runs)),
        "val": lambda runs: mean_and_spread([run["val_accuracy"] for run in runs]),
        "test": lambda runs: mean_and_spread([run["test_accuracy"] for run in runs]),
        "interval": lambda runs: interval([run["test_accuracy"] for run in runs]),
    }
    shown = evidence.or_not_run(lambda: cells["test"](evidence.runs(dataset, name, preset)))
    if (dataset, name) not in {key[:2] for key in evidence.groups}:
        return [shown if column == "test" else "--" for column in columns]
    runs = evidence.runs(dataset, name, preset)
    return [cells[column](runs) for column in columns]

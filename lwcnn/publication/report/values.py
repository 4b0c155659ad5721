r"""From a name in `research_report.tex`, `\val{name}`, to what stands there.

A name is one of
    <data set>/<experiment>/<preset>:<quantity>      such as cifar10/paper/full:test
    <group> minus <group>                            the difference of two groups' accuracies, in points, with its sign
    <group> against <group>                          the same in words: "7.90 points above"
    <name of a sentence>                             of `lwcnn.publication.report.sentences`
where a group is <data set>/<experiment>/<preset>, and the preset may be "largest": the largest that was run.
"""

from collections.abc import Callable, Sequence

import numpy as np

from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.experiments.release import PRESETS_BY_SIZE
from lwcnn.publication.report.evidence import LARGEST, Evidence
from lwcnn.publication.report.latex import interval, mean_and_spread, percent, signed, whole
from lwcnn.publication.report.sentences import SENTENCES
from lwcnn.publication.tables.tables import DATASET_ORDER
from lwcnn.system.errors import LwcnnError, unknown_name

OPERATORS = (" minus ", " against ")
LEVEL = 0.005  # points: what two decimals show as nothing


def _mean(key: str, digits: int) -> Callable[[Sequence[dict]], str]:
    return lambda runs: percent(float(np.mean([run[key] for run in runs])), digits)


QUANTITIES: dict[str, Callable[[Sequence[dict]], str]] = {
    "test": _mean("test_accuracy", 2),
    "spread": lambda runs: mean_and_spread([run["test_accuracy"] for run in runs]),
    "interval": lambda runs: interval([run["test_accuracy"] for run in runs]),
    "lowest": lambda runs: percent(min(run["test_accuracy"] for run in runs)),
    "highest": lambda runs: percent(max(run["test_accuracy"] for run in runs)),
    "val": _mean("val_accuracy", 2),
    "train": _mean("train_accuracy", 2),
    "ece": _mean("ece", 1),
    "seeds": lambda runs: str(len(runs)),
    "minutes": lambda runs: whole(np.mean([run["train_seconds"] for run in runs]) / 60),
    "preset": lambda runs: runs[0]["preset"],
}
COUNTS = ("params", "trainable", "macs")  # counted by building the network: they need no run


def resolve(name: str, evidence: Evidence) -> str:
    """What a name stands for, as LaTeX; a marked "not run" where its result is not there.

    Raises:
        LwcnnError: if the name stands for nothing.
    """
    if name in SENTENCES:
        return evidence.or_not_run(SENTENCES[name], evidence)
    for operator in OPERATORS:
        if operator in name:
            groups = [_group(part) for part in name.split(operator)]
            if len(groups) != 2:
                raise LwcnnError(f"Two groups can be compared. Received: {name!r}")
            return evidence.or_not_run(_compared, evidence, operator, *groups)
    group, _, quantity = name.partition(":")
    if not quantity:
        raise unknown_name("sentence", name, SENTENCES)
    dataset, experiment, preset = _group(group)
    if quantity in COUNTS:
        return whole(getattr(evidence.counts(dataset, experiment), quantity))
    if quantity not in QUANTITIES:
        raise unknown_name("quantity", quantity, [*QUANTITIES, *COUNTS])
    return evidence.or_not_run(lambda: QUANTITIES[quantity](evidence.runs(dataset, experiment, preset)))


def _compared(evidence: Evidence, operator: str, group: tuple, reference: tuple) -> str:
    points = _difference(evidence, group, reference)
    return signed(points) if operator == " minus " else _in_words(points)


def _group(text: str) -> tuple[str, str, str]:
    parts = text.strip().split("/")
    if len(parts) != 3:
        raise LwcnnError(f"A group is <data set>/<experiment>/<preset>. Received: {text!r}")
    known = (DATASET_ORDER, EXPERIMENT_NAMES, (*PRESETS_BY_SIZE, LARGEST))
    for kind, part, names in zip(("data set", "experiment", "preset"), parts, known):
        if part not in names:
            raise unknown_name(kind, part, names)
    return parts[0], parts[1], parts[2]


def _difference(evidence: Evidence, group: tuple[str, str, str], reference: tuple[str, str, str]) -> float:
    """In points, of the means over seeds."""
    return 100 * float(np.mean(evidence.accuracies(*group)) - np.mean(evidence.accuracies(*reference)))


def _in_words(points: float) -> str:
    if abs(points) < LEVEL:
        return "level with"
    return f"{abs(points):.2f} points {'above' if points > 0 else 'below'}"

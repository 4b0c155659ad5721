"""Which images and classes are missed."""

from collections.abc import Callable, Sequence

import numpy as np

from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import code, escape, joined, percent

NAMED_PAIRS = (("cat", "dog"), ("deer", "horse"))  # by the reproduction's text


def summed_confusion(runs: Sequence[dict]) -> np.ndarray:
    """Confusion matrices of all seeds added up, (classes, classes)."""
    return np.sum([run["confusion_matrix"] for run in runs], axis=0)


def pair_share(matrix: np.ndarray, a: int, b: int) -> float:
    """Share of all errors that take one of two classes for the other."""
    return float((matrix[a, b] + matrix[b, a]) / (matrix.sum() - np.trace(matrix)))


def shared_misses(evidence: Evidence) -> str:
    """How many CIFAR-10 test images all seeds miss, and how many only some, baseline and best."""
    texts = []
    for experiment in evidence.inputs("cifar10").shown():
        runs = evidence.runs("cifar10", experiment)
        folder = evidence.folders.results / "cifar10"
        labels = np.load(folder / "test_labels.npy")
        files = [folder / experiment / run["preset"] / f"seed{run['seed']}_classes.npy" for run in runs]
        wrong = np.mean([np.load(path) != labels for path in files], axis=0)
        texts.append(
            f"{percent(float(np.mean(wrong == 1)), 1)}\\,\\% of the test images are missed by all {len(runs)} seeds of "
            f"{code(experiment)} and {percent(float(np.mean((wrong > 0) & (wrong < 1))), 1)}\\,\\% by some"
        )
    return "; ".join(texts)


def weakest_classes(evidence: Evidence) -> str:
    """The weakest and the strongest class on CIFAR-10, baseline and best."""
    texts = []
    for experiment in evidence.inputs("cifar10").shown():
        runs = evidence.runs("cifar10", experiment)
        means = {
            name: np.mean([run["per_class_accuracy"][name] for run in runs])
            for name in evidence.inputs("cifar10").class_names
        }
        low, high = min(means, key=means.get), max(means, key=means.get)
        texts.append(
            f"{code(experiment)} is weakest on `{escape(low)}' ({percent(means[low], 1)}\\,\\%) and strongest on "
            f"`{escape(high)}' ({percent(means[high], 1)}\\,\\%)"
        )
    return "; ".join(texts)


def named_pairs(evidence: Evidence) -> str:
    """The share of errors in the pairs that the reproduction names."""
    names = evidence.inputs("cifar10").class_names
    matrix = summed_confusion(evidence.runs("cifar10", "paper"))
    shares = [
        f"{a} and {b} for {percent(pair_share(matrix, names.index(a), names.index(b)), 1)}\\,\\%"
        for a, b in NAMED_PAIRS
    ]
    return joined(shares)


def even_share(evidence: Evidence) -> str:
    """A pair's share of the errors if all pairs were confused equally often."""
    count = len(evidence.inputs("cifar10").class_names)
    return percent(2 / (count * (count - 1)), 1)


SENTENCES: dict[str, Callable[[Evidence], str]] = {
    "shared misses": shared_misses,
    "weakest classes": weakest_classes,
    "named pairs": named_pairs,
    "even share": even_share,
    "best experiment": lambda evidence: code(evidence.inputs("cifar10").best_experiment),
}

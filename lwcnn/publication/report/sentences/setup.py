"""What was run, on which machine, for how long."""

from collections.abc import Callable

from lwcnn.experiments.recipes import get_preset
from lwcnn.publication.report.evidence import Evidence
from lwcnn.publication.report.latex import escape, joined, number_word, percent, whole
from lwcnn.publication.tables.tables import PAPER_ACCURACY

_BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
_PACKAGES = {
    "keras": "Keras",
    "tensorflow-cpu": "TensorFlow",
    "tensorflow": "TensorFlow",
    "jax": "JAX",
    "torch": "PyTorch",
}


def machines(evidence: Evidence) -> str:
    """The devices of all runs and trials, with their threads and backends."""
    found: dict[tuple[str, str], set[int]] = {}
    for run in [*evidence.all_runs, *evidence.trials, *evidence.kfolds]:
        found.setdefault((run["device"], run["backend"]), set()).add(run["num_threads"])
    described = [
        f"{escape(device)} ({joined([number_word(n) for n in sorted(threads)], 'or')} thread"
        f"{'' if threads == {1} else 's'} a run, Keras on {_BACKENDS.get(backend, escape(backend))})"
        for (device, backend), threads in sorted(found.items())
    ]
    return joined(described)


def versions(evidence: Evidence) -> str:
    """The framework's versions in all runs, the backend's beside Keras's."""
    found: dict[str, set[str]] = {}
    for run in [*evidence.all_runs, *evidence.trials]:
        for package, version in run["versions"].items():
            title = _PACKAGES.get(package)
            if title and title.lower() in ("keras", run["backend"]):
                found.setdefault(title, set()).add(version)
    return joined([f"{title} {' and '.join(sorted(numbers))}" for title, numbers in sorted(found.items())])


def amount(evidence: Evidence) -> str:
    """How many trainings, and how long they took together."""
    runs, trials, kfolds = evidence.all_runs, evidence.trials, evidence.kfolds
    hours = sum(run["train_seconds"] for run in [*runs, *trials, *kfolds]) / 3600
    return (
        f"{len(runs)} runs, {len(trials)} trials of the search and {number_word(len(kfolds))} K-fold assessments, "
        f"{whole(hours)} hours of training in all"
    )


def seeds(evidence: Evidence) -> str:
    """From how many to how many seeds an experiment was run with."""
    counts = sorted({len(runs) for runs in evidence.groups.values()})
    shown = [number_word(count) for count in counts]
    return shown[0] if len(shown) == 1 else f"{shown[0]} to {shown[-1]}"


def data_sizes(evidence: Evidence) -> str:
    """How many images train and validate, by share."""
    found = sorted({(run["num_train_images"], run["num_val_images"]) for run in evidence.all_runs}, reverse=True)
    return joined([f"{whole(training)} and {whole(validation)}" for training, validation in found])


def budget(preset: str, what: str) -> Callable[[Evidence], str]:
    """Epochs of a preset: of the stages of the paper's method, or of the networks that train in one go."""
    size = get_preset(preset)
    text = {
        "stages": f"{size.dual} + {size.head} + {size.all}",
        "network": str(size.network),
        "stage 1 of ours": str(size.tuned_dual),
    }[what]
    return lambda evidence: text


def paper_figures(evidence: Evidence) -> str:
    """The accuracies of the paper's abstract, in the order of its data sets."""
    return joined([percent(share, 0) for share in PAPER_ACCURACY.values()])


SENTENCES: dict[str, Callable[[Evidence], str]] = {
    "machines": machines,
    "versions": versions,
    "amount of training": amount,
    "seeds an experiment": seeds,
    "paper figures": paper_figures,
    "full stages": budget("full", "stages"),
    "quick stages": budget("quick", "stages"),
    "full network epochs": budget("full", "network"),
    "quick network epochs": budget("quick", "network"),
    "full stage 1 of ours": budget("full", "stage 1 of ours"),
    "training and validation images": data_sizes,
}

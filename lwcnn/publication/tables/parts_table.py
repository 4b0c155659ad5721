"""The table of what each part of the improved model is worth, from the results files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwcnn.evaluation.comparison import Difference, paired_difference
from lwcnn.experiments.recipes.ablation import BASELINE, OPTIMIZERS, PARTS, WHOLE, left_out, only
from lwcnn.publication.tables.reference_table import percent
from lwcnn.system.files import read_json


def parts_table(results: Path = Path("results"), preset: str = "quick") -> str:
    """A row for each part and data set: accuracy and gain, alone and in the whole; "" without runs.

    Accuracies are mean and standard deviation over seeds. The gains' intervals are the 95% bootstrap's over seeds and
    images, p-values of exact McNemar tests, seed by seed. The first row has the baseline and the whole themselves.
    """
    lines = []
    for folder in sorted(path for path in Path(results).glob("*") if (path / BASELINE / preset).is_dir()):
        none, whole = (_accuracy(folder, preset, name) for name in (BASELINE, WHOLE))
        rows = [("none; all", none, "", "", whole, "", "", "")]
        for key, part in PARTS.items():
            alone = _cells(folder, preset, only(key), BASELINE, shown=only(key))
            within = _cells(folder, preset, WHOLE, left_out(key), shown=left_out(key))
            rows.append((part.title, *alone, *within, part.claim or "none"))
        for key, optimizer in OPTIMIZERS.items():
            within = _cells(folder, preset, WHOLE, f"parts_{key}", shown=f"parts_{key}")
            rows.append((f"AdamW in place of {_TITLES[optimizer.name]}", "", "", "", *within, "none"))
        lines += [f"| {' | '.join((folder.name, *row))} |" for row in rows]
    if not lines:
        return ""
    head = [
        f"| data | part (`{preset}`) | alone, test % | minus the baseline, points | p | without it, test % "
        "| the whole minus that, points | p | claimed |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    return "\n".join(head + lines)


_TITLES = {"adam": "Adam", "rmsprop": "RMSProp", "sgd": "SGD with momentum"}


def compare_experiments(folder: Path, preset: str, name: str, reference: str) -> Difference | None:
    """Accuracy of an experiment minus that of another, over the seeds that both have; None if they share none.

    Args:
        folder: results/<dataset>.
        preset: of both.
        name: the experiment.
        reference: the one it is compared with.
    """
    seeds = sorted(_finished_seeds(folder / name / preset) & _finished_seeds(folder / reference / preset))
    if not seeds:
        return None
    return paired_difference(*(_correct(folder, preset, n, seeds) for n in (name, reference)))


def _correct(folder: Path, preset: str, name: str, seeds: Sequence[int]) -> list[np.ndarray]:
    """Whether each test image is recognised, for each seed."""
    labels = np.load(folder / "test_labels.npy")
    return [np.load(folder / name / preset / f"seed{seed}_classes.npy") == labels for seed in seeds]


def _finished_seeds(folder: Path) -> set[int]:
    return {read_json(path)["seed"] for path in folder.glob("seed*.json")}


def _accuracy(folder: Path, preset: str, name: str) -> str:
    """Mean and standard deviation, in percent, of the test accuracy over an experiment's seeds."""
    seeds = sorted(_finished_seeds(folder / name / preset))
    correct = _correct(folder, preset, name, seeds)
    return percent([float(one.mean()) for one in correct]) if seeds else "not run"


def _cells(folder: Path, preset: str, name: str, reference: str, shown: str) -> tuple[str, str, str]:
    """The accuracy of the experiment `shown`, the points of one minus another with their interval, and p-values."""
    difference = compare_experiments(folder, preset, name, reference)
    if difference is None:
        return _accuracy(folder, preset, shown), "not run", ""
    interval = f"{100 * difference.mean:+.2f} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    return _accuracy(folder, preset, shown), interval, format_p_values(difference.p_values)


def format_p_values(p_values: Sequence[float]) -> str:
    """Three digits, or that it is less."""
    return ", ".join("<0.001" if p < 0.001 else f"{p:.3f}" for p in p_values)

"""The table of what each part of the improved model is worth, from the results files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lwcnn.comparison import Difference, paired_difference
from lwcnn.experiments.parts import BASELINE, OPTIMIZERS, PARTS, WHOLE, left_out, only
from lwcnn.files import read_json


def parts_table(results: Path = Path("results"), preset: str = "quick") -> str:
    """A row for each part and data set: its gain alone and in the whole, with intervals and p-values; "" without runs.

    The intervals are the 95% bootstrap's over seeds and images; p-values are of exact McNemar tests, seed by seed.
    """
    lines = []
    for folder in sorted(path for path in Path(results).glob("*") if (path / BASELINE / preset).is_dir()):
        for key, part in PARTS.items():
            alone = compare_experiments(folder, preset, only(key), BASELINE)
            within = compare_experiments(folder, preset, WHOLE, left_out(key))
            cells = [folder.name, part.title, *_cells(alone), *_cells(within), part.claim or "none"]
            lines.append(f"| {' | '.join(cells)} |")
        for key, optimizer in OPTIMIZERS.items():
            within = compare_experiments(folder, preset, WHOLE, f"parts_{key}")
            cells = [folder.name, f"AdamW in place of {_TITLES[optimizer.name]}", "", "", *_cells(within), "none"]
            lines.append(f"| {' | '.join(cells)} |")
    if not lines:
        return ""
    head = [
        f"| data | part (`{preset}`) | alone on the baseline, points | p | in the whole, points | p | claimed |",
        "|---|---|---|---|---|---|---|",
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
    labels = np.load(folder / "test_labels.npy")
    correct = (
        [np.load(folder / n / preset / f"seed{seed}_classes.npy") == labels for seed in seeds]
        for n in (name, reference)
    )
    return paired_difference(*correct)


def _finished_seeds(folder: Path) -> set[int]:
    return {read_json(path)["seed"] for path in folder.glob("seed*.json")}


def _cells(difference: Difference | None) -> tuple[str, str]:
    """Points with their interval, and p-values."""
    if difference is None:
        return "not run", ""
    interval = f"{100 * difference.mean:+.2f} [{100 * difference.low:+.2f}, {100 * difference.high:+.2f}]"
    return interval, format_p_values(difference.p_values)


def format_p_values(p_values: Sequence[float]) -> str:
    """Three digits, or that it is less."""
    return ", ".join("<0.001" if p < 0.001 else f"{p:.3f}" for p in p_values)

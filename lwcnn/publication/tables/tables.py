"""Markdown tables made from the results files; nothing in them is typed by hand but the paper's own figures."""

from collections import defaultdict
from pathlib import Path

import numpy as np

from lwcnn.evaluation import mcnemar_exact, mean_and_interval
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, PRESETS
from lwcnn.experiments.recipes.ablation import PARTS_EXPERIMENTS
from lwcnn.experiments.recipes.paper import EXPERIMENTS
from lwcnn.publication.tables.parts_table import format_p_values, parts_table
from lwcnn.publication.tables.reference_table import percent, reference_table
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json, write_atomically

PAPER_ACCURACY = {"mnist": 0.99, "fashion_mnist": 0.89, "cifar10": 0.65}  # arXiv 2501.15547, abstract
BEGIN, END = "<!-- results: made by `lwcnn table --write` -->", "<!-- end of results -->"
DATASET_ORDER = ("mnist", "fashion_mnist", "cifar10")


def load_results(results: Path = Path("results")) -> list[dict]:
    """Every run's result under a folder, by data set, experiment, preset and seed."""
    found = [read_json(path) for path in sorted(Path(results).glob("*/*/*/seed*.json"))]
    return sorted(found, key=_order)


def _order(result: dict) -> tuple:
    datasets, experiments, presets = list(DATASET_ORDER), list(EXPERIMENT_NAMES), list(PRESETS)
    place = [
        names.index(result[key]) if result[key] in names else len(names)
        for key, names in (("dataset", datasets), ("preset", presets[::-1]), ("experiment", experiments))
    ]
    return *place, result["dataset"], result["experiment"], result["seed"]


def _groups(results: list[dict]) -> dict[tuple[str, str, str], list[dict]]:
    groups = defaultdict(list)
    for result in results:
        groups[result["dataset"], result["experiment"], result["preset"]].append(result)
    return dict(groups)


def results_table(results: Path = Path("results")) -> str:
    """A row for each experiment: mean and standard deviation of the test accuracy over its seeds."""
    lines = [
        "| data | experiment | preset | parameters | seeds | validation % | test % | paper % | ECE % | scaled | s |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (dataset, experiment, preset), runs in _groups(load_results(results)).items():
        if experiment in PARTS_EXPERIMENTS:  # they have a table of their own
            continue
        paper = PAPER_ACCURACY.get(dataset)
        cells = [
            dataset,
            f"`{experiment}`",
            preset,
            f"{runs[0]['params']:,}",
            str(len(runs)),
            f"{100 * np.mean([r['val_accuracy'] for r in runs]):.2f}",
            percent([r["test_accuracy"] for r in runs]),
            f"{100 * paper:.0f}" if paper else "",
            f"{100 * np.mean([r['ece'] for r in runs]):.1f}",
            _scaled_ece(runs),
            f"{np.mean([r['train_seconds'] for r in runs]):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _scaled_ece(runs: list[dict]) -> str:
    """The mean calibration error after temperature scaling, of the runs that have it."""
    found = [100 * run["ece_scaled"] for run in runs if "ece_scaled" in run]
    return f"{np.mean(found):.1f}" if found else ""


def ablation_table(results: Path = Path("results"), preset: str = "quick") -> str:
    """What each part of the method is worth: every experiment minus `paper`, seed by seed, in points.

    The last column has the p-value of an exact McNemar test on the test images for each pair of seeds.
    """
    lines = [
        f"| data | experiment (`{preset}`) | minus `paper`, points | pairs of seeds | McNemar p |",
        "|---|---|---|---|---|",
    ]
    groups = _groups(load_results(results))
    for (dataset, experiment, size), runs in groups.items():
        base = {r["seed"]: r for r in groups.get((dataset, "paper", preset), [])}
        pairs = [(r, base[r["seed"]]) for r in runs if r["seed"] in base]
        if size != preset or experiment not in EXPERIMENTS or experiment == "paper" or not pairs:
            continue
        differences = mean_and_interval([a["test_accuracy"] - b["test_accuracy"] for a, b in pairs])
        spread = "" if differences.std is None else f" ± {100 * differences.std:.2f}"
        p_values = ", ".join(_p_value(results, a, b) for a, b in pairs)
        cells = [
            dataset,
            f"`{experiment}`",
            f"{100 * differences.mean:+.2f}{spread}",
            str(len(pairs)),
            p_values,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def kfold_table(results: Path = Path("results")) -> str:
    """A row for each K-fold assessment."""
    lines = [
        "| data | K-fold of | preset | folds % | mean % | test % of the same model | leak, points |",
        "|---|---|---|---|---|---|---|",
    ]
    for path in sorted(Path(results).glob("*/*/*/kfold*.json")):
        r = read_json(path)
        leaking = "leaking, as published" if r["leaking"] else "from scratch"
        cells = [
            r["dataset"],
            f"`{r['experiment']}`, {leaking}",
            r["preset"],
            " ".join(f"{100 * a:.2f}" for a in r["accuracies"]),
            percent(r["accuracies"]),
            f"{100 * r['test_accuracy']:.2f}" if r["leaking"] else "",
            f"{100 * r['leak']:+.2f}" if r["leaking"] else "",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def all_tables(results: Path = Path("results")) -> str:
    """What stands in the README between its two marks."""
    parts = [results_table(results), ablation_table(results), parts_table(results), kfold_table(results)]
    parts.append(reference_table(results))
    return "\n\n".join([part for part in parts if part] + [_machines(results)])


def _machines(results: Path) -> str:
    """On what the runs were made."""
    found = sorted(
        {
            f"{r['device']}, {r['num_threads']} thread(s) a run, Keras {r['versions']['keras']} on {r['backend']}"
            for r in load_results(results)
        }
    )
    return "Made on: " + "; ".join(found) + "." if found else "No results yet."


def write_tables(readme: Path, results: Path = Path("results")) -> None:
    """Puts the tables into a file between its two marks.

    Raises:
        LwcnnError: if the file can't be read or lacks the marks.
    """
    write_between(readme, BEGIN, END, all_tables(results))


def write_between(path: Path, begin: str, end: str, text: str) -> None:
    """Puts a text into a file in place of what stands between two marks, each on a line of its own.

    Raises:
        LwcnnError: if the file can't be read or lacks the marks.
    """
    try:
        old = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise LwcnnError(f"Can't read {path}: {error.strerror}") from error
    before, found, rest = old.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        raise LwcnnError(f"{path} must hold the marks {begin!r} and {end!r}, in this order.")
    write_atomically(path, f"{before}{begin}\n{text}\n{end}{after}".encode())


def _p_value(results: Path, a: dict, b: dict) -> str:
    labels = Path(results) / a["dataset"] / "test_labels.npy"
    files = [
        Path(results) / r["dataset"] / r["experiment"] / r["preset"] / f"seed{r['seed']}_classes.npy" for r in (a, b)
    ]
    if a["data_checksum"] != b["data_checksum"] or not all(f.exists() for f in (labels, *files)):
        return "?"
    truth = np.load(labels)
    return format_p_values([mcnemar_exact(*(np.load(f) == truth for f in files))])

"""The command `lwcnn run`: the whole method on the data at hand."""

import argparse
from pathlib import Path

from lwcnn.cli.arguments import seed_number
from lwcnn.data import Dataset, find_dataset, load_dataset
from lwcnn.experiments.recipes import PRESETS
from lwcnn.experiments.release import release_best
from lwcnn.experiments.run import Folders, run_experiment
from lwcnn.publication.tables.tables import PAPER_ACCURACY
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_atomically
from lwcnn.training.progress import Progress

RUN_FOLDERS = Folders(Path("runs/results"), Path("runs/cache"), models=Path("runs/models"))


def run(options) -> int:
    """Run the whole method on the data at hand and show its results beside the paper's."""
    data, notice = choose_dataset()
    _loudly(notice)
    preset = options.preset or ("full" if data.name == "digits" else "quick")  # the digits are few
    progress = Progress("bar", f"{data.name} paper {preset}")
    result = run_experiment("paper", data, preset, options.seed, RUN_FOLDERS, progress, notice)
    release_best(data.name, "paper", RUN_FOLDERS)
    if notice:  # beside the files that can't hold it
        for folder in (RUN_FOLDERS.results, RUN_FOLDERS.models):
            write_atomically(folder / f"NOTICE-{data.name}.txt", f"{notice}\n".encode())
    print(_run_table(data, result))
    print(f"\nresult  {RUN_FOLDERS.result(data.name, 'paper', preset, options.seed)}")
    print(f"model   {RUN_FOLDERS.models / f'{data.name}-paper.keras'}")
    _loudly(notice)
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, help="quick for CIFAR-10, full for the digits")
    parser.add_argument("--seed", type=seed_number, default=0)


def choose_dataset() -> tuple[Dataset, str | None]:
    """CIFAR-10 where it is at hand or can be fetched, else scikit-learn's digits.

    Returns:
        The data set, and, if it is the digits, a notice that says so, why, and how to get CIFAR-10.

    Raises:
        LwcnnError: if CIFAR-10 is at hand but can't be read: a broken file is no reason to take other data.
    """
    if find_dataset("cifar10"):
        return load_dataset("cifar10"), None
    try:
        return load_dataset("cifar10"), None  # by download
    except LwcnnError as error:
        notice = (  # the error says what to do to get CIFAR-10
            f"NOT CIFAR-10: scikit-learn's 8x8 digits, enlarged to 28x28, were used in its place. Why: {error}"
        )
        return load_dataset("digits"), notice


def _run_table(data: Dataset, result: dict) -> str:
    """The result of the whole method, stage by stage, beside the paper's figure."""
    paper = PAPER_ACCURACY.get(data.name)
    rows = [("", "here", "paper"), ("parameters", f"{result['params']:,}", _paper_params(data.name))]
    for phase in result["history"]:
        rows.append((f"validation accuracy after {phase['name']}", f"{100 * phase['best_val_accuracy']:.2f} %", ""))
    published = f"{100 * paper:.0f} %" if paper else "no figure"
    rows.append(("test accuracy", f"{100 * result['test_accuracy']:.2f} %", published))
    rows.append(("expected calibration error", f"{100 * result['ece']:.2f} %", ""))
    rows.append(("training time", f"{result['train_seconds']:.0f} s", ""))
    width = max(len(row[0]) for row in rows)
    lines = [f"{name:<{width}}  {here:>10}  {published:>14}" for name, here, published in rows]
    lines += [f"sign of trouble: {sign}" for sign in result["warnings"]]
    title = f"{data.name}, `paper`, preset {result['preset']}, seed {result['seed']}, {result['device']}"
    return "\n".join(["", title, *lines])


def _paper_params(dataset: str) -> str:
    return {"mnist": "14,862", "fashion_mnist": "14,862", "cifar10": "under 20,000"}.get(dataset, "")


def _loudly(notice: str | None) -> None:
    if notice:
        line = "!" * 100
        print(f"\n{line}\n{notice}\n{line}\n", flush=True)

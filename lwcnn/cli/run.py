"""The command `lwcnn run`: the paper's whole method on the available data."""

import argparse
import shlex
from pathlib import Path

from lwcnn.cli.arguments import SEED, Arguments, option
from lwcnn.cli.training import release_and_print
from lwcnn.data.datasets import Dataset, choose_dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import PRESETS
from lwcnn.experiments.shipped import trained_networks
from lwcnn.training.progress import Progress

ARGUMENTS: Arguments = {
    "--preset": option("training length (default: quick for CIFAR-10, full for digits)", choices=PRESETS),
    **SEED,
}


def run(options: argparse.Namespace) -> None:
    """Train the paper's method on CIFAR-10, or on digits if it is not available, and compare with the paper."""
    from lwcnn.experiments.run import run_experiment

    folders = Folders()
    data, notice = choose_dataset()
    _loudly(notice)
    preset = options.preset or ("full" if data.name == "digits" else "quick")  # the digits are few
    progress = Progress("bar", f"{data.name} paper {preset}")
    result = run_experiment("paper", data, preset, options.seed, folders, progress, notice)
    print(_run_table(data, result))
    print(f"\nresult {folders.result(data.name, 'paper', preset, options.seed)}")
    model = release_and_print(data, "paper", preset, folders)
    _loudly(notice)
    print(_next_steps(data.name, preset, model))


def _run_table(data: Dataset, result: dict) -> str:
    """The result of the whole method, stage by stage, beside the paper's figure."""
    from pandas import DataFrame, Series

    from lwcnn.evaluation.diagnostics import final_accuracy
    from lwcnn.publication.claims import PAPER_ACCURACY

    here = {
        "parameters": f"{result['params']:,}",
        **{f"validation accuracy after {phase['name']}": f"{final_accuracy(phase):.2%}" for phase in result["history"]},
        "test accuracy": f"{result['test_accuracy']:.2%}",
        "expected calibration error": f"{result['ece']:.2%}",
        "training time": f"{result['train_seconds']:.0f} s",
    }
    accuracy = f"{PAPER_ACCURACY[data.name]:.0%}" if data.name in PAPER_ACCURACY else "no figure"
    parameters = "under 20,000" if data.name == "cifar10" else ""
    paper = Series({"parameters": parameters, "test accuracy": accuracy})
    table = DataFrame({"here": here}).assign(paper=paper).fillna("").to_string()
    return f"\n{data.name}, `paper`, preset {result['preset']}, seed {result['seed']}, {result['device']}\n{table}"


def _next_steps(dataset: str, preset: str, model: Path | None) -> str:
    """The accuracy of shipped networks, and commands to run next."""
    shipped = {name: told for (name, trained_on), told in trained_networks().items() if trained_on == dataset}
    lines = [f"This was the preset `{preset}`."]
    paper = shipped.get("paper")
    if paper and paper.preset != preset:
        lines.append(f"The shipped `paper`, trained with `{paper.preset}`, reaches {paper.test_accuracy:.2%}.")
    if shipped:
        best = max(shipped, key=lambda name: shipped[name].test_accuracy)
        lines.append(f"`{best}`, the most accurate network shipped, reaches {shipped[best].test_accuracy:.2%}.")
    option = " --dataset digits" if dataset == "digits" else ""
    commands = {}
    if preset != "full":
        commands[f"lwcnn train paper{option} --preset full"] = "the method with all its epochs"
    elif model:
        commands[f"lwcnn evaluate {shlex.quote(str(model))}"] = "all metrics of this model"
    commands |= {
        f"lwcnn train wren{option} --preset full": "a more accurate network, trained here",
        "lwcnn predict wren-30k photo.png": "a trained network, on your own photo",
    }
    return "\n".join([" ".join(lines), "Next:", *(f"  {line:<50} {what}" for line, what in commands.items())])


def _loudly(notice: str | None) -> None:
    if notice:
        line = "!" * 100
        print(f"\n{line}\n{notice}\n{line}\n", flush=True)

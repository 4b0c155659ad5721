"""What each command of the command line does."""

import argparse
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from lwcnn import figures_command
from lwcnn.data import DATASET_NAMES, Dataset, find_dataset, load_dataset
from lwcnn.deployment import add_bench_arguments, add_export_arguments, bench, export
from lwcnn.errors import LwcnnError, unknown_name
from lwcnn.evaluation import predict_logits, summarise
from lwcnn.experiments import EXPERIMENT_NAMES, PRESETS, get_experiment, get_preset
from lwcnn.files import write_atomically, write_json
from lwcnn.jobs import run_jobs
from lwcnn.kfold import run_kfold
from lwcnn.models.saved import load_model, require_fit
from lwcnn.release import release_best
from lwcnn.runs import Folders, run_experiment
from lwcnn.search import run_trial, trials
from lwcnn.summary import show_summary, summary_arguments
from lwcnn.tables import PAPER_ACCURACY, all_tables, write_tables
from lwcnn.training.progress import Progress

RUN_FOLDERS = Folders(Path("runs/results"), Path("runs/cache"), models=Path("runs/models"))


@dataclass(frozen=True)
class Command:
    """A command: its arguments, what it does, and an example of its use."""

    run: Callable[[argparse.Namespace], int | None]
    add_arguments: Callable[[argparse.ArgumentParser], None]
    example: str


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


def _run(options) -> int:
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


def _datasets(options) -> int:
    """List the data sets and where each would be read from."""
    for name in DATASET_NAMES:
        print(f"{name:<14} {find_dataset(name, options.data_dir) or 'not at hand; would be downloaded'}")
    return 0


def _list(options) -> int:
    """List the experiments and the presets."""
    for name in EXPERIMENT_NAMES:
        print(f"{name:<20} {get_experiment(name).question}")
    print()
    for name, preset in PRESETS.items():
        print(f"{name:<20} at most {preset.dual} + {preset.head} + {preset.all} epochs")
    return 0


def _train(options) -> int:
    """Train experiments, or find their finished runs."""
    for name in options.experiments:
        get_experiment(name, options.preset)  # a wrong name should not be found out hours later
    folders = _folders(options)
    if options.jobs > 1:
        commands = {
            f"{name} seed {seed}": ["train", name, "--seeds", str(seed), "--no-release"]
            for name in options.experiments
            for seed in options.seeds
        }
        run_jobs(commands, options.jobs, options, ("dataset", "preset", "results", "cache", "models", "data_dir"))
    else:
        data = load_dataset(options.dataset, options.data_dir)
        for seed in options.seeds:
            for name in options.experiments:
                progress = Progress(options.progress, f"{data.name} {name} {options.preset} seed {seed}")
                result = run_experiment(name, data, options.preset, seed, folders, progress)
                for sign in result["warnings"]:
                    progress.note(f"sign of trouble: {sign}")
    if options.preset != "smoke" and not options.no_release:
        dataset = Path(options.dataset).stem
        for name in options.experiments:
            if released := release_best(dataset, name, folders):
                print(f"released {released}")
    return 0


def _kfold(options) -> int:
    """Assess an experiment by K-fold, from scratch in every fold or leaking as published."""
    get_preset(options.preset)
    progress = Progress(options.progress, f"{options.dataset} {options.experiment} {options.folds}-fold")
    result = run_kfold(
        options.experiment,
        options.dataset,
        options.preset,
        options.seed,
        options.leaking,
        options.folds,
        _folders(options),
        progress,
    )
    print("folds " + " ".join(f"{100 * a:.2f}" for a in result["accuracies"]))
    print(f"mean  {100 * result['mean_accuracy']:.2f} %")
    if options.leaking:
        print(f"test  {100 * result['test_accuracy']:.2f} % (the same model): leak {100 * result['leak']:+.2f} points")
    for sign in result["warnings"]:
        print(f"sign of trouble: {sign}")
    return 0


def _search(options) -> int:
    """Try changes of the residual network and its recipe, judged on validation images."""
    known = trials(Path(options.dataset).stem, options.epochs)
    names = options.trials or list(known)
    for name in names:
        if name not in known:
            raise unknown_name("trial", name, known)
    if options.jobs > 1:
        commands = {name: ["search", "--trials", name, "--seed", str(options.seed)] for name in names}
        run_jobs(commands, options.jobs, options, ("dataset", "epochs", "results", "cache", "data_dir"))
        return 0
    data = load_dataset(options.dataset, options.data_dir)
    for name in names:
        progress = Progress(options.progress, f"{data.name} {name}")
        result = run_trial(name, data, options.epochs, options.results, options.cache, options.seed, progress)
        print(
            f"{name:<20} {result['params']:>7,} parameters  {100 * result['val_accuracy']:.2f} % on validation images"
        )
    return 0


def _table(options) -> int:
    """Show the tables of all results, or write them into a file between its marks."""
    if options.write:
        write_tables(options.write, options.results)
    else:
        print(all_tables(options.results))
    return 0


def _evaluate(options) -> int:
    """Evaluate a saved model on a data set's test images."""
    model = load_model(options.model)
    data = load_dataset(options.dataset, options.data_dir)
    require_fit(model, options.model, data)
    measured = summarise(predict_logits(model, data.x_test), data.y_test)
    print(f"model          {options.model}")
    print(f"data           {data.name}, {len(data.y_test)} test images from {data.source}")
    print(f"parameters     {model.count_params():,}")
    print(f"test accuracy  {100 * measured['accuracy']:.2f} %")
    print(f"test loss      {measured['loss']:.4f}")
    print(f"ECE            {100 * measured['ece']:.2f} %")
    if options.json:
        write_json(options.json, {"model": str(options.model), "dataset": data.name, **measured})
    return 0


def _folders(options) -> Folders:
    return Folders(Path(options.results), Path(options.cache), options.data_dir, Path(options.models))


def _data_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", help="folder of <name>.npz files (else $LWCNN_DATA_DIR)")


def _run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", choices=PRESETS, help="quick for CIFAR-10, full for the digits")
    parser.add_argument("--seed", type=_seed, default=0)


def _train_arguments(parser: argparse.ArgumentParser, many: bool = True) -> None:
    if many:
        parser.add_argument("experiments", nargs="+", metavar="EXPERIMENT", help=", ".join(EXPERIMENT_NAMES))
        parser.add_argument("--seeds", type=_seed, nargs="+", default=[0])
        parser.add_argument("--jobs", type=_at_least_one, default=1, help="processes of one thread each")
        parser.add_argument("--no-release", action="store_true", help="leave models/ as it is")
    else:
        parser.add_argument("experiment", metavar="EXPERIMENT", help=", ".join(EXPERIMENT_NAMES))
        parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--preset", default="quick", help=", ".join(PRESETS))
    parser.add_argument("--models", default="models", help="folder of the released models")
    _folder_arguments(parser)


def _folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dataset", default="cifar10", help=f"{', '.join(DATASET_NAMES)} or the path of an .npz")
    parser.add_argument("--results", default="results", help="folder of the results")
    parser.add_argument("--cache", default=".lwcnn", help="folder of interrupted runs and trained models")
    style = "bar" if sys.stdout.isatty() else "line"
    parser.add_argument("--progress", choices=("bar", "line", "none"), default=style)
    _data_arguments(parser)


def _search_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--trials", nargs="+", metavar="TRIAL", help="of lwcnn.search; all by default")
    parser.add_argument("--epochs", type=_at_least_one, default=12)
    parser.add_argument("--seed", type=_seed, default=0)
    parser.add_argument("--jobs", type=_at_least_one, default=1, help="processes of one thread each")
    _folder_arguments(parser)


def _kfold_arguments(parser: argparse.ArgumentParser) -> None:
    _train_arguments(parser, many=False)
    parser.add_argument("--folds", type=_at_least_one, default=6)
    parser.add_argument("--leaking", action="store_true", help="as published: one model through all folds")


def _table_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--results", type=Path, default=Path("results"))
    parser.add_argument("--write", type=Path, metavar="FILE", help="put the tables between the marks of a file")


def _evaluate_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="a .keras file")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--json", type=Path, help="write the measurements to this file")
    _data_arguments(parser)


def _seed(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"a seed is a whole number from 0. Received: {text!r}")
    return int(text)


def _at_least_one(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a whole number from 1 is needed. Received: {text!r}")
    return int(text)


logging.getLogger("tensorflow").setLevel(logging.ERROR)  # its advice on retracing is not for users

COMMANDS = {
    "run": Command(_run, _run_arguments, "lwcnn run"),
    "datasets": Command(_datasets, _data_arguments, "LWCNN_DATA_DIR=~/data lwcnn datasets"),
    "list": Command(_list, lambda parser: None, "lwcnn list"),
    "train": Command(_train, _train_arguments, "lwcnn train paper single --dataset mnist --preset quick --seeds 0 1 2"),
    "kfold": Command(_kfold, _kfold_arguments, "lwcnn kfold paper --dataset mnist --preset quick"),
    "search": Command(_search, _search_arguments, "lwcnn search --dataset cifar10 --epochs 12 --jobs 2"),
    "table": Command(_table, _table_arguments, "lwcnn table --write README.md"),
    "summary": Command(show_summary, summary_arguments, "lwcnn summary models/cifar10-paper.keras"),
    "figures": Command(figures_command.draw, figures_command.add_arguments, "lwcnn figures --dataset cifar10"),
    "evaluate": Command(_evaluate, _evaluate_arguments, "lwcnn evaluate models/mnist-paper.keras --dataset mnist"),
    "export": Command(export, add_export_arguments, "lwcnn export models/mnist-paper.keras --format litert-int8"),
    "bench": Command(bench, add_bench_arguments, "lwcnn bench models/mnist-paper.keras --json bench.json"),
}

"""The commands that train: `lwcnn train`, `lwcnn finetune` and `lwcnn kfold`."""

import argparse
import contextlib
import itertools
import shlex
from pathlib import Path

from lwcnn.cli import arguments
from lwcnn.cli.arguments import Arguments, option
from lwcnn.data.datasets import Dataset
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import Experiment, get_experiment, with_settings
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.training.devices import PRECISIONS, Computing
from lwcnn.training.progress import Progress

TRAIN: Arguments = {
    "experiments": option("networks or experiments (see `lwcnn list`)", nargs="+", type=arguments.experiment_name),
    **arguments.DATASET,
    **arguments.PRESET,
    "--seeds": option("random seeds, one run per seed", [0], nargs="+", type=arguments.seed_number),
    **arguments.RECIPE,
    **arguments.TRAINING,
    **arguments.MODELS,
    **arguments.JOBS,
    "--precision": option(
        "mixed_float16 and mixed_bfloat16 compute in 16 bits, but keep weights and logits in float32; use separate "
        "--results and --models folders for each precision",
        "float32",
        choices=PRECISIONS,
    ),
    "--devices": option("devices that share each batch", 1, type=arguments.at_least_one),
    "--tensorboard": option(
        "also write curves, the confusion matrix and sample images for `tensorboard --logdir PATH`", type=arguments.path
    ),
}
FINETUNE: Arguments = {
    **arguments.MODEL,
    "--dataset": option(arguments.DATASET_HELP, required=True, type=arguments.dataset_source),
    **arguments.PRESET,
    **arguments.SEED,
    **arguments.RECIPE,
    **arguments.TRAINING,
    "--size": option("image size: 64, or 64x96 as height x width (default: the network's)", type=arguments.image_size),
    **arguments.MODELS,
}
KFOLD: Arguments = {
    "experiment": option("network or experiment (see `lwcnn list`)", type=arguments.experiment_name),
    **arguments.DATASET,
    **arguments.PRESET,
    **arguments.SEED,
    **arguments.TRAINING,
    "--folds": option("number of folds", 6, type=arguments.whole_number(2, 10**9), metavar="N"),
    "--leaky": option(
        "train one model through all folds, as the author's code does, so that it is tested on images that it has seen",
        action="store_true",
    ),
}


def train(options: argparse.Namespace) -> None:
    """Train networks or experiments; finished runs are reused."""
    from lwcnn.cli.jobs import run_jobs

    if not options.cluster:  # whose nodes train, not this machine
        Computing(options.precision, options.devices).require_possible()
    data, plans = _prepare(options)
    try:
        if options.jobs > 1 or options.cluster:
            names = [(name, seed) for name in options.experiments for seed in options.seeds]
            runs = {f"{name} seed {seed}": {"experiments": [name], "seeds": [seed]} for name, seed in names}
            run_jobs(_train_job, runs, options)
        else:
            _train_runs(options, data, plans)
    except LwcnnError:
        for plan in plans:
            with contextlib.suppress(LwcnnError):  # the first error is reported
                _release(options, data, plan)
        raise
    models = [model for plan in plans if (model := _release(options, data, plan))]
    if models and options.jobs == 1 and not options.cluster:
        _print_next(options, models[-1])


def _release(options: argparse.Namespace, data: Dataset, plan: Experiment) -> Path | None:
    return release_and_print(data, plan.name, options.preset, arguments.get_folders(options))


def _print_next(options: argparse.Namespace, model: Path | None) -> None:
    """Prints a command that uses a model; not with `--progress none`, for a script that reads the model's path."""
    if model and options.progress != "none":
        print(f"next   lwcnn predict {shlex.quote(str(model))} photo.png")


def _train_job(options: argparse.Namespace) -> None:
    environment.load_backend()
    Computing(options.precision, options.devices).require_possible()
    _train_runs(options, *_prepare(options))


def _prepare(options: argparse.Namespace) -> tuple[Dataset, list[Experiment]]:
    """Returns the images and the experiments."""
    data = arguments.load_images(options)
    plans = [get_experiment(name, options.preset, data.spec) for name in options.experiments]
    return data, [with_settings(plan, **arguments.recipe_settings(options)) for plan in plans]


def _train_runs(options: argparse.Namespace, data: Dataset, plans: list[Experiment]) -> None:
    """Trains every run; the errors of those that fail are raised as one at the end."""
    from lwcnn.experiments.run import run_experiment

    folders, computing = arguments.get_folders(options), Computing(options.precision, options.devices)
    failed, boards = [], options.tensorboard if environment.process_id() == 0 else None  # the first process writes
    for seed, plan in itertools.product(options.seeds, plans):
        board = boards and boards / data.name / plan.name / options.preset / f"seed{seed}"
        progress = _open_progress(options.progress, f"{data.name} {plan.name} {options.preset} seed {seed}", board)
        try:
            run_experiment(plan, data, options.preset, seed, folders, progress, computing=computing)
            if board and not any(board.iterdir()):
                progress.note("nothing is written for TensorBoard, because the run was finished before")
        except LwcnnError as error:
            failed.append(f"{plan.name} seed {seed}: {error}")
    if failed:
        raise LwcnnError("; ".join(failed))


def _open_progress(style: str, title: str, board: Path | None) -> Progress:
    """Returns the progress display of a run, which also writes into the TensorBoard folder `board`, if given."""
    if board is None:
        return Progress(style, title)
    from lwcnn.publication.tensorboard import TensorBoard

    return TensorBoard(board, style, title)


def release_and_print(data: Dataset, experiment: str, preset: str, folders: Folders) -> Path | None:
    """Copies the best model of an experiment, by validation accuracy, into its folder; prints its path and returns it.

    A model of a longer preset is kept. Smoke tests and runs at chance have no model to copy.
    """
    from lwcnn.experiments.release import release_best
    from lwcnn.models.description import read_description

    if environment.process_id() > 0:
        return None
    if preset == "smoke":
        print("model  none: a smoke test keeps its model in the cache")
        return None
    model = release_best(data, experiment, folders)
    if model and (told := read_description(model)):
        kept = "" if told.preset == preset else f" (kept: the model of preset {told.preset})"
        print(f"model  {model}{kept}")
    return model


def finetune(options: argparse.Namespace) -> None:
    """Fine-tune a trained network on your images: a new head, then progressive unfreezing."""
    from lwcnn.experiments.finetune import finetune, load_to_finetune

    folders = arguments.get_folders(options)
    data = load_to_finetune(options.model, options.dataset, options.data_dir, options.size, options.mirror)
    progress = Progress(options.progress, f"{data.name} finetune {options.model} seed {options.seed}")
    settings = arguments.recipe_settings(options)
    result = finetune(options.model, data, options.preset, options.seed, folders, progress, **settings)
    _print_next(options, release_and_print(data, result["experiment"], options.preset, folders))


def kfold(options: argparse.Namespace) -> None:
    """Evaluate an experiment by K-fold cross-validation."""
    from lwcnn.experiments.kfold import run_kfold

    data = arguments.load_images(options)
    progress = Progress(options.progress, f"{data.name} {options.experiment} {options.folds}-fold")
    run = (options.experiment, data, options.preset, options.seed, options.leaky, options.folds)
    result = run_kfold(*run, arguments.get_folders(options), progress)
    print("folds " + " ".join(f"{100 * a:.2f}" for a in result["accuracies"]))
    print(f"mean  {result['mean_accuracy']:.2%}")
    if options.leaky:
        print(f"test  {result['test_accuracy']:.2%} (the same model): leak {100 * result['leak']:+.2f} points")

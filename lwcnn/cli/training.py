"""The commands that train experiments, by themselves or by K-fold."""

import argparse

from lwcnn.cli.arguments import (
    add_training_arguments,
    at_least_one,
    get_folders,
    recipe_settings,
)
from lwcnn.experiments.recipes import get_experiment, with_settings
from lwcnn.system import environment
from lwcnn.training.devices import Computing
from lwcnn.training.progress import Progress

_OF_EVERY_JOB = ("dataset", "preset", "results", "cache", "models", "data_dir")
_OF_TRAINING = ("size", "mirror", "precision", "devices", "tensorboard")


def train(options) -> int:
    """Train experiments; finished runs are reused."""
    from lwcnn.cli.cluster import open_pool
    from lwcnn.cli.jobs import make_jobs, run_jobs
    from lwcnn.data.datasets import load_dataset
    from lwcnn.experiments.release import release_best
    from lwcnn.experiments.run import run_experiment

    for name in options.experiments:
        get_experiment(name, options.preset)  # a wrong name should not be found out hours later
    settings = recipe_settings(options)
    computing = Computing(options.precision, options.devices)
    computing.require_possible(options.force_precision)
    folders = get_folders(options)
    data = load_dataset(options.dataset, options.data_dir, mirror=options.mirror, size=options.size)
    plans = [with_settings(get_experiment(name, options.preset, data.spec), **settings) for name in options.experiments]
    if options.jobs > 1 or options.cluster:
        forced = ["--force-precision"] if options.force_precision else []
        commands = {
            f"{name} seed {seed}": ["train", name, "--seeds", str(seed), "--no-model", *forced]
            for name in options.experiments
            for seed in options.seeds
        }
        jobs = make_jobs(commands, options, (*_OF_EVERY_JOB, *_OF_TRAINING, *settings))
        run_jobs(jobs, open_pool(options), options.progress)
    else:
        for seed in options.seeds:
            for plan in plans:
                progress = _open_progress(options, data.name, plan.name, seed)
                result = run_experiment(plan, data, options.preset, seed, folders, progress, computing=computing)
                for sign in result["warnings"]:
                    progress.note(f"sign of trouble: {sign}")
    if options.preset != "smoke" and not options.no_model and environment.process_id() == 0:
        for plan in plans:
            release_best(data, plan.name, folders)
            if (path := folders.best_model(data.name, plan.name)).exists():
                print(f"model  {path}, the best seed on validation images")
    return 0


def _open_progress(options, dataset: str, experiment: str, seed: int) -> Progress:
    """Returns the progress display of a run, which also writes for TensorBoard if asked."""
    title = f"{dataset} {experiment} {options.preset} seed {seed}"
    if options.tensorboard is None:
        return Progress(options.progress, title)
    from lwcnn.publication.tensorboard import TensorBoard

    folder = options.tensorboard / dataset / experiment / options.preset / f"seed{seed}"
    return TensorBoard(folder, options.progress, title)


def kfold(options) -> int:
    """Evaluate an experiment by K-fold cross-validation."""
    from lwcnn.data.datasets import load_dataset
    from lwcnn.experiments.kfold import run_kfold

    get_experiment(options.experiment, options.preset)  # a wrong name fails before the data is read
    data = load_dataset(options.dataset, options.data_dir, mirror=options.mirror, size=options.size)
    progress = Progress(options.progress, f"{data.name} {options.experiment} {options.folds}-fold")
    result = run_kfold(
        options.experiment,
        data,
        options.preset,
        options.seed,
        options.leaky,
        options.folds,
        get_folders(options),
        progress,
    )
    print("folds " + " ".join(f"{100 * a:.2f}" for a in result["accuracies"]))
    print(f"mean  {100 * result['mean_accuracy']:.2f} %")
    if options.leaky:
        print(f"test  {100 * result['test_accuracy']:.2f} % (the same model): leak {100 * result['leak']:+.2f} points")
    for sign in result["warnings"]:
        print(f"sign of trouble: {sign}")
    return 0


def add_kfold_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `lwcnn kfold` to its parser."""
    add_training_arguments(parser, many=False)
    parser.add_argument("--folds", type=at_least_one, default=6, metavar="K", help="number of folds (default: 6)")
    parser.add_argument(
        "--leaky", action="store_true", help="train one model through all folds, as published, which leaks"
    )

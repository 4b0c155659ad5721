"""The command that searches for the residual network's shape and recipe."""

import argparse
import warnings
from typing import cast

from lwcnn.cli.arguments import add_folder_arguments, add_image_arguments, add_job_arguments, at_least_one, seed_number
from lwcnn.system.environment import install_hint
from lwcnn.system.errors import LwcnnError
from lwcnn.training.progress import Progress

_OF_EVERY_JOB = (
    "dataset",
    "space",
    "epochs",
    "limit",
    "trials",
    "seed",
    "results",
    "cache",
    "data_dir",
    "size",
    "mirror",
)


def search(options) -> int:
    """Search for the residual network's shape and recipe on validation images; several machines can share a study."""
    from lwcnn.cli.cluster import open_pool
    from lwcnn.cli.jobs import make_jobs, run_jobs
    from lwcnn.data.datasets import load_dataset

    try:
        from lwcnn.experiments.search import Search
    except ImportError as error:
        raise LwcnnError(f"Install Optuna: {install_hint('search')}. Received: {error}") from error

    data = load_dataset(options.dataset, options.data_dir, mirror=options.mirror, size=options.size)
    progress = Progress(options.progress, f"{data.name} {options.space}")
    folders = (options.results, options.cache)
    study = Search(options.space, data, options.epochs, options.limit, *folders, options.seed, progress=progress)
    if options.show:
        draw(study)
    elif options.jobs > 1 or options.cluster:
        commands = {f"{options.space} search {i}": ["search"] for i in range(1, options.jobs + 1)}
        run_jobs(make_jobs(commands, options, _OF_EVERY_JOB), open_pool(options), options.progress)
    else:
        study.run(options.trials)
    print(study.front().T.to_string(header=False))
    return 0


def draw(study) -> None:
    """Draws the front (or, for one objective, the history) and the importance of the parameters beside the journal."""
    from matplotlib.figure import Figure
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as figures

    if len(study.study.get_trials(states=(TrialState.COMPLETE,))) < 2:
        raise LwcnnError(f"Train trials first, without --show: the figures need two. Received: {study.path}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls its figures experimental
        if len(study.study.directions) > 1:
            names = ["parameters", "accuracy on validation images"]
            axes = {
                "front": figures.plot_pareto_front(
                    study.study, targets=lambda t: (t.values[1], t.values[0]), target_names=names
                )
            }
        else:
            axes = {"history": figures.plot_optimization_history(study.study)}
        axes["importance"] = figures.plot_param_importances(study.study, target=lambda trial: trial.values[0])
    for name, axis in axes.items():
        path = study.path.with_suffix(f".{name}.png")
        cast(Figure, axis.figure).savefig(path, dpi=150, bbox_inches="tight")
        print(path)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument(
        "--space", default="width", metavar="SPACE", help="what varies: width, network, recipe or all (default: width)"
    )
    parser.add_argument("--limit", type=at_least_one, metavar="N", help="maximum number of parameters (default: none)")
    parser.add_argument(
        "--trials", type=at_least_one, default=40, metavar="N", help="trials that the study shall have (default: 40)"
    )
    parser.add_argument("--epochs", type=at_least_one, default=12, metavar="N", help="epochs of a trial (default: 12)")
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of sampler and trials (default: 0)")
    parser.add_argument(
        "--show", action="store_true", help="draw the front and the parameters' importance; train nothing"
    )
    add_job_arguments(parser)
    add_folder_arguments(parser)
    add_image_arguments(parser)

"""The command that searches for the residual network's shape and recipe."""

import argparse
import warnings
from typing import cast

from lwcnn.cli import arguments
from lwcnn.cli.arguments import Arguments, at_least_one, option
from lwcnn.system.environment import load_backend, require
from lwcnn.system.errors import wrong
from lwcnn.system.files import write_atomically
from lwcnn.training.progress import Progress

ARGUMENTS: Arguments = {
    "--space": option("what to vary: width, network, recipe or all", "width", metavar="SPACE"),
    "--limit": option("maximum number of parameters (default: none)", type=at_least_one),
    "--trials": option("number of trials in the study, besides those in results/search", 40, type=at_least_one),
    "--epochs": option("number of epochs per trial", 12, type=at_least_one),
    "--seed": option("random seed of the sampler and the trials", 0, type=arguments.seed_number),
    "--show": option(
        "draw the Pareto front and the importance of each parameter, without training", action="store_true"
    ),
    **arguments.JOBS,
    **arguments.DATASET,
    **arguments.TRAINING,
}


def search(options: argparse.Namespace) -> None:
    """Search for the residual network's shape and recipe on validation images; several machines can share a study."""
    from lwcnn.cli.jobs import run_jobs

    study = _open_study(options)
    if options.show:
        draw(study)
    elif options.jobs > 1 or options.cluster:
        _ = study.study  # begun here, where `results/search` is: processes on a cluster may start in another folder
        run_jobs(_train_trials, {f"{options.space} search {i}": {} for i in range(1, options.jobs + 1)}, options)
    else:
        study.run(options.trials)
    print(study.front().astype(object).T.to_string(header=False))
    print(f"\nstudy  {study.path}")


def _open_study(options: argparse.Namespace):
    require("optuna", "search")
    from lwcnn.experiments.search import Search

    data = arguments.load_images(options)
    progress = Progress(options.progress, f"{data.name} {options.space}")
    folders = arguments.get_folders(options)
    return Search(options.space, data, options.epochs, options.limit, folders, options.seed, progress=progress)


def _train_trials(options: argparse.Namespace) -> None:
    load_backend()
    _open_study(options).run(options.trials)


def draw(study) -> None:
    """Draws the front (or, for one objective, the history) and the importance of the parameters beside the journal."""
    import matplotlib
    from matplotlib.figure import Figure
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as figures

    from lwcnn.publication.figures.style import to_png

    if not study.path.exists() or len(study.study.get_trials(states=(TrialState.COMPLETE,))) < 2:
        advice = "Train two trials first, without --show and with the same --space, --dataset and --epochs"
        raise wrong(advice, f"{study.path}")
    accuracy = "accuracy on validation images"
    with warnings.catch_warnings(), matplotlib.rc_context():  # Optuna sets a style for the whole process
        warnings.simplefilter("ignore")  # and calls its figures experimental
        importance = figures.plot_param_importances(  # which takes the trials of the lowest values for the best
            study.study, target=lambda trial: -trial.values[0], target_name=accuracy
        )
        drawn = {"importance": importance}
        if len(study.study.directions) > 1:
            drawn["front"] = figures.plot_pareto_front(
                study.study, targets=lambda t: (t.values[1], t.values[0]), target_names=["parameters", accuracy]
            )
        else:
            drawn["history"] = figures.plot_optimization_history(study.study)
    for name, axis in drawn.items():
        path = study.path.with_suffix(f".{name}.png")
        figure = cast(Figure, axis.figure)
        figure.tight_layout()
        write_atomically(path, to_png(figure, dpi=150))
        print(path)

"""The command `lwcnn finetune`: a trained network learns your images."""

import argparse

from lwcnn.cli.arguments import (
    MODEL_HELP,
    add_folder,
    add_folder_arguments,
    add_image_arguments,
    add_recipe_arguments,
    get_folders,
    recipe_settings,
    seed_number,
)
from lwcnn.experiments.recipes import PRESETS, get_preset
from lwcnn.training.progress import Progress


def finetune(options) -> int:
    """Train a trained network on your images: a new head, then progressive unfreezing."""
    from lwcnn.experiments.finetune import finetune, load_for
    from lwcnn.experiments.release import release_best

    get_preset(options.preset)
    folders = get_folders(options)
    data = load_for(options.model, options.dataset, options.data_dir, options.size, options.mirror)
    progress = Progress(options.progress, f"{data.name} finetune {options.model} seed {options.seed}")
    settings = recipe_settings(options)
    result = finetune(options.model, data, options.preset, options.seed, folders, progress, **settings)
    for sign in result["warnings"]:
        progress.note(f"sign of trouble: {sign}")
    release_best(data, result["experiment"], folders)
    if (path := folders.best_model(data.name, result["experiment"])).exists():
        print(f"model  {path}")
    return 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the command's arguments to its parser."""
    parser.add_argument("model", metavar="MODEL", help=MODEL_HELP)
    parser.add_argument("--seed", type=seed_number, default=0, help="seed of the run (default: 0)")
    parser.add_argument(
        "--preset", default="quick", help=f"size of the training: {', '.join(PRESETS)} (default: quick)"
    )
    parser.add_argument(
        "--class-weight", choices=("balanced",), help="balanced: weigh the loss so that every class counts alike"
    )
    add_folder(parser, "models", "runs/models", "the best model")
    add_folder_arguments(parser, dataset=None)
    add_image_arguments(parser)
    add_recipe_arguments(parser)

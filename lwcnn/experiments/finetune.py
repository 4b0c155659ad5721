"""Fine-tunes a trained network on other images by the paper's progressive unfreezing (docs/own-images.md).

A new head is trained alone, then with the last half of the layers, then with all layers.
"""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.image_files import Size, check_size
from lwcnn.data.known import ImageSpec
from lwcnn.evaluation.predict import input_shape
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.recipes import FineTunedExperiment, get_preset, with_settings
from lwcnn.experiments.recipes.presets import augmentation
from lwcnn.experiments.recipes.residual_se import AVERAGED
from lwcnn.experiments.run import run_experiment
from lwcnn.experiments.shipped import model_file
from lwcnn.models.description import model_checksum
from lwcnn.models.io import load_model
from lwcnn.system.errors import wrong
from lwcnn.system.files import StrPath
from lwcnn.system.safe_text import path_part
from lwcnn.training.phases import Phase, names_with_weights
from lwcnn.training.progress import Progress

SHARES = (0.2, 0.2, 0.6)  # of the epochs: for the head, the last half of the layers, all layers
LEARNING_RATES = (0.04, 0.01, 0.01)  # ours (docs/own-images.md, "Fine-tuning")


def finetune(
    model: StrPath,
    dataset: Any,
    preset: str = "quick",
    seed: int = 0,
    folders: Folders = Folders(),
    progress: Progress | None = None,
    size: Size | None = None,
    mirror: bool | None = None,
    **settings: Any,
) -> dict:
    """Fine-tunes a trained network on other images and evaluates it, as `run_experiment` does.

    Args:
        model: Name of a trained network (`list_models`), or path of a .keras file.
        dataset: Loaded dataset, or a source for `load_dataset`, whose images are converted to the network's size and
            channels.
        preset: "smoke", "quick", "medium" or "full", which sets the number of epochs.
        seed: Integer from 0 to 2**32 - 1. Seed for the new head, shuffling, augmentation and dropout.
        folders: Folders to read and write.
        progress: Progress display. None shows nothing.
        size: Height and width to which a source's images are resized; by default, the network's. The number of
            channels is always the network's.
        mirror: Whether a mirrored image of a source still belongs to its class. If None, as in `load_dataset`.
        **settings: Epochs and other settings, as in `with_settings`.

    Returns:
        The content of the result file. `folders.model(result)` is the path of the trained model.

    Raises:
        LwcnnError: As in `load_dataset` and `run_experiment`, or the network does not accept the images.

    Examples:
        >>> finetune("wren", "photos/pets")["test_accuracy"]  # doctest: +SKIP
    """
    if not isinstance(dataset, Dataset):
        dataset = load_to_finetune(model, dataset, folders.data, size, mirror)
    elif size is not None or mirror is not None:
        raise wrong("Give size and mirror to load_dataset when you load the dataset", f"size={size}, mirror={mirror}")
    plan = with_settings(fine_tuning(model, dataset.spec, preset), **settings)
    progress, (height, width, channels) = progress or Progress(), dataset.input_shape
    colors = "gray" if channels == 1 else "color"
    progress.note(f"starts from {model_file(model).name}, with images of {height}x{width} pixels in {colors}")
    return run_experiment(plan, dataset, preset, seed, folders, progress)


def load_to_finetune(
    model: StrPath, dataset: Any, data_dir: Path | None = None, size: Size | None = None, mirror: bool | None = None
) -> Dataset:
    """Loads a dataset with the image size and channels of a network; arguments as in `finetune`."""
    *sides, channels = input_shape(load_model(model_file(model)))
    return load_dataset(dataset, data_dir, mirror=mirror, size=(*(check_size(size)[:2] or sides), channels))


def fine_tuning(model: StrPath, images: ImageSpec, preset: str = "quick") -> FineTunedExperiment:
    """Returns the experiment that `finetune` runs on images with these properties."""
    path = model_file(model)
    num_layers, epochs = len(names_with_weights(load_model(path))), get_preset(preset).network_epochs
    checksum = model_checksum(path)
    is_file = path == Path(os.path.expanduser(model))
    own = f"-{checksum[:8]}" if is_file else ""  # two files may have one name, and a file may change
    trainable: tuple[int | str, ...] = (1, max(1, num_layers // 2), "all")
    phases = [
        Phase(
            name,
            replace(AVERAGED, learning_rate=rate),
            epochs=max(1, round(share * epochs)),
            trainable=layers,
            augmentation=augmentation(images),
        )
        for name, rate, share, layers in zip(("head", "last_half", "all"), LEARNING_RATES, SHARES, trainable)
    ]
    return FineTunedExperiment(
        name=f"finetune-{path_part(Path(model).stem)}{own}",
        question="what a network trained on other images learns from a few of your own",
        phases=tuple(phases),
        start=str(model),
        checksum=checksum,
    )

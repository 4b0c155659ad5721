"""One run: an experiment on a data set with a preset and a seed, trained once and saved as files.

runs/results/<dataset>/<experiment>/<preset>/seed<k>.json          result, written last
runs/results/<dataset>/<experiment>/<preset>/seed<k>_classes.npy   predicted class of each test image
runs/cache/<dataset>/                                              checkpoints, models and outputs
"""

from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.splits import split_for_training
from lwcnn.evaluation.diagnostics import diagnose_run
from lwcnn.evaluation.metrics import drop_large_confusion_matrix
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.finished import identify, load_or_make
from lwcnn.experiments.folders import Folders, load_classes, save_classes
from lwcnn.experiments.measures import measure, mixed_computing, penultimate_features, provenance
from lwcnn.experiments.pipeline import train_method
from lwcnn.experiments.recipes import DistilledExperiment, Experiment, Preset, get_experiment, get_preset
from lwcnn.experiments.sequence import PhaseCache
from lwcnn.experiments.teachers import load_teacher
from lwcnn.models.description import Description
from lwcnn.models.io import save_model
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.npz import save_npz
from lwcnn.training.devices import Computing
from lwcnn.training.images import Images, Split
from lwcnn.training.progress import Progress

SPLIT_SEED = 0  # all runs share one validation split
NUM_FEATURE_IMAGES = 2000


def run_experiment(
    experiment: str | Experiment,
    dataset: str | Dataset = "cifar10",
    preset: str = "quick",
    seed: int = 0,
    folders: Folders = Folders(),
    progress: Progress | None = None,
    notice: str | None = None,
    computing: Computing = Computing(),
) -> dict:
    """Trains and evaluates an experiment, resuming an interrupted run; loads the result of a finished one.

    Args:
        experiment: Name of an experiment (`EXPERIMENT_NAMES`), or an experiment of your own, such as a changed one:
            `with_settings(get_experiment("wren", dataset=data.spec), epochs=40)`. Its `name` is that of the result.
        dataset: Loaded data set, or what `load_dataset` takes.
        preset: "smoke", "quick", "medium" or "full".
        seed: Seed for initialization, shuffling, augmentation and dropout. The validation split does not depend on it.
        folders: Folders to read and write.
        progress: Progress display. None shows nothing.
        notice: Remark that is stored in the result, such as why this data set was used.
        computing: Precision and devices of the training. Values other than the defaults are part of the configuration.

    Returns:
        The content of the result file.

    Raises:
        LwcnnError: A name is unknown, the data are not available, or the existing result belongs to another
            configuration or other data.

    Example:

    >>> run_experiment("paper", "mnist", preset="smoke")["test_accuracy"]  # doctest: +SKIP
    """
    get_preset(preset)
    if isinstance(experiment, str):
        get_experiment(experiment, preset)  # an unknown name fails before the data is read
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, folders.data)
    plan = get_experiment(experiment, preset, data.spec) if isinstance(experiment, str) else experiment
    run = identify(plan, data, preset, seed, computing)
    about = {"notice": notice, "precision": computing.precision, "num_devices": computing.devices}
    progress = progress or Progress("none")
    make = partial(_train_run, run | about, plan, data, folders, progress, computing)
    path = folders.result(data.name, plan.name, preset, seed)
    return load_or_make(path, make, run["config"], data, "test_accuracy", progress.note)


def _train_run(
    run: dict, plan: Experiment, data: Dataset, folders: Folders, progress: Progress, computing: Computing
) -> dict:
    """Trains a run and writes its files; the result comes last."""
    name = (data.name, run["experiment"], run["preset"], run["seed"])
    labels = Path(folders.results) / data.name / "test_labels.npy"
    if labels.exists() and not np.array_equal(load_classes(labels), data.y_test):
        raise LwcnnError(
            f"{labels} has the labels of other test images: use another results folder. Received: {data.name} of "
            f"checksum {data.checksum[:12]}"
        )
    split = split_images(data, plan, get_preset(run["preset"]))
    teacher = load_teacher(plan.teacher, data, folders) if isinstance(plan, DistilledExperiment) else None
    cache = PhaseCache(Path(folders.cache) / data.name, data.checksum)
    options: dict = {"cache": cache, "progress": progress, "teacher": teacher, "computing": computing}
    trained = train_method(plan, split, data.num_classes, run["seed"], **options)
    logits = predict_logits(trained.model, data.x_test)
    result = run | {"data_source": data.source} | measure(trained, data, split, logits) | provenance()
    signs = diagnose_run(result | {"num_test_images": len(data.y_test)})
    result["warnings"] = signs + mixed_computing(result["history"])
    result = drop_large_confusion_matrix(result)
    save_model(folders.model(run), trained.model, Description.of_run(result, data.class_names))
    features = penultimate_features(trained.model, data.x_test[:NUM_FEATURE_IMAGES])
    save_npz(folders.outputs(run), logits=logits.astype(np.float16), features=features.astype(np.float16))
    classes = np.argmax(logits, axis=-1)
    save_classes(folders.classes(*name), classes)
    save_classes(labels, data.y_test)  # for paired tests
    path = folders.result(*name)
    write_json(path, result)
    progress.end_run(result, data.x_test, classes, path)
    return result


def split_images(data: Dataset, plan: Experiment, size: Preset) -> Split:
    """Splits the training images of a data set into training and validation, limited by experiment and preset."""
    limits = [limit for limit in (size.num_images, plan.num_images) if limit]
    parts = split_for_training(data.y_train, plan.validation, min(limits, default=None), SPLIT_SEED)
    return Split(*(Images(data.x_train, data.y_train, part) for part in parts))

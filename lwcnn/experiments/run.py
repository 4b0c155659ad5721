"""One run: an experiment on a dataset with a preset and a seed, trained once and saved as files (see `results.py`)."""

from functools import partial
from typing import Any

import keras
import numpy as np

from lwcnn.data.checks import MAX_COPIES
from lwcnn.data.datasets import Dataset
from lwcnn.data.known import DATASET_NAMES
from lwcnn.data.splits import is_among, join_hashes
from lwcnn.evaluation.diagnostics import diagnose_run
from lwcnn.evaluation.metrics import accuracy, drop_large_confusion_matrix, measure_calibration, summarize
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.folders import Folders, load_classes, save_classes
from lwcnn.experiments.identity import Run, find_plan, load_or_make, mixed_computing, provenance
from lwcnn.experiments.pipeline import train_experiment
from lwcnn.experiments.recipes import Experiment, FineTunedExperiment
from lwcnn.experiments.sequence import PhaseSequence
from lwcnn.experiments.shipped import model_file
from lwcnn.experiments.teachers import load_teacher
from lwcnn.models.cost import count_macs, trainable_params
from lwcnn.models.description import Description, read_description
from lwcnn.models.io import save_model
from lwcnn.system.errors import wrong
from lwcnn.system.files import write_json
from lwcnn.training.devices import Computing
from lwcnn.training.progress import Progress

MAX_CLASS_RATIO = 2  # of images; above it the macro accuracy is reported too


def run_experiment(
    experiment: str | Experiment,
    dataset: Any = "cifar10",
    preset: str = "quick",
    seed: int = 0,
    folders: Folders = Folders(),
    progress: Progress | None = None,
    notice: str | None = None,
    computing: Computing = Computing(),
) -> dict:
    """Trains and evaluates an experiment, resuming an interrupted run; loads the result of a finished one.

    Args:
        experiment: Name of an experiment (see `lwcnn list`), or an `Experiment`, such as a modified one:
            `with_settings(get_experiment("wren", dataset=data.spec), epochs=40)`. The result has its `name`.
        dataset: Loaded `Dataset`, or a source for `load_dataset`.
        preset: "smoke", "quick", "medium" or "full". An `Experiment` already has its number of epochs; for it, `preset`
            names the folder of the result, and "smoke" limits the number of images.
        seed: Integer from 0 to 2**32 - 1. Seed for initialization, shuffling, augmentation and dropout. The validation
            split does not depend on it.
        folders: Folders to read and write.
        progress: Progress display (`lwcnn.training.progress.Progress`). None shows nothing.
        notice: Remark that is stored in the result, such as why this dataset was used.
        computing: Precision and devices of training (`lwcnn.training.devices.Computing`). Values other than the
            defaults are part of the configuration.

    Returns:
        The content of the result file. `folders.model(result)` is the path of the trained model.

    Raises:
        LwcnnError: A name is unknown, the data are not available, or the existing result belongs to another
            configuration or other data.

    Examples:
        >>> run_experiment("paper", "mnist", preset="smoke")["test_accuracy"]  # doctest: +SKIP
    """
    plan, data = find_plan(experiment, dataset, preset, folders)
    run = Run(plan, data, preset, seed, folders, progress or Progress(), computing)
    return load_or_make(run.path, run.identity, partial(_train, run, notice), "test_accuracy", run.progress.note)


def _train(run: Run, notice: str | None) -> dict:
    """Trains a run and writes its files; the result comes last."""
    plan, data, folders, identity = run.plan, run.data, run.folders, run.identity
    labels = folders.results / data.name / "test_labels.npz"
    if labels.exists() and not np.array_equal(load_classes(labels), data.y_test):
        advice = f"{labels} has the labels of other test images: use other folders for results and models"
        raise wrong(advice, f"{data.name} of checksum {data.checksum[:12]}")
    teacher = load_teacher(plan, data, folders)  # fails before any training
    sequence = run.begin()
    model = train_experiment(plan, sequence, teacher)
    logits = predict_logits(model, data.x_test)
    about = {"notice": notice, "precision": run.computing.precision, "num_devices": run.computing.devices}
    result = identity | about | {"data_source": data.source} | _measure(model, sequence, data, logits) | provenance()
    signs = diagnose_run(result | {"num_test_images": len(data.y_test)})
    seen_before = _seen_before(plan)
    if (num_seen := int(is_among(data.x_test, seen_before).sum())) > MAX_COPIES * len(data.x_test):
        found = f"{num_seen} of {len(data.x_test)} test images"
        signs.append(f"its starting model was trained on {found}: the accuracy is too high")
    result["warnings"] = signs + mixed_computing(result["history"])
    result = drop_large_confusion_matrix(result)
    seen = (seen_before or None) if data.name in DATASET_NAMES else seen_before + join_hashes(data.x_train)
    save_model(folders.model(identity), model, Description.of_run(result | {"seen": seen}, data.class_names))
    classes = np.argmax(logits, axis=-1)
    save_classes(folders.classes(data.name, plan.name, run.preset, run.seed), classes)
    save_classes(labels, data.y_test)  # for paired tests
    write_json(run.path, result)
    run.progress.end_run(result, data.x_test, classes, run.path)
    return result


def _seen_before(plan: Experiment) -> str:
    """Returns the hashes of the user's own images on which a fine-tuning run's starting model was trained."""
    told = read_description(model_file(plan.start)) if isinstance(plan, FineTunedExperiment) else None
    return (told and told.seen) or ""


def _measure(model: keras.Model, sequence: PhaseSequence, data: Dataset, logits: np.ndarray) -> dict:
    """Measures a trained model, given its logits of the test images, which a run uses only here."""
    (train_pixels, train_labels), (val_pixels, val_labels) = (part.arrays() for part in sequence.split)
    val_logits, test = predict_logits(model, val_pixels), summarize(logits, data.y_test)
    measured = {
        "params": model.count_params(),
        "trainable_params": trainable_params(model),
        "macs": count_macs(model),
        "num_train_images": len(train_labels),
        "num_val_images": len(val_labels),
        "train_accuracy": accuracy(predict_logits(model, train_pixels), train_labels),
        "val_accuracy": accuracy(val_logits, val_labels),
        "test_accuracy": test["accuracy"],
        **({"test_macro_accuracy": test["macro_recall"]} if _is_imbalanced(data) else {}),
        "test_loss": test["loss"],
        "ece": test["ece"],
        **measure_calibration(val_logits, val_labels, logits, data.y_test),
        "per_class_accuracy": dict(zip(data.class_names, test["per_class_accuracy"])),
        "confusion_matrix": test["confusion_matrix"],
        "history": sequence.records,
        "train_seconds": sequence.seconds,
        "weights": None,  # the path of the released model, set by `release_best`
    }
    return {name: round(value, 6) if isinstance(value, float) else value for name, value in measured.items()}


def _is_imbalanced(data: Dataset) -> bool:
    """Returns whether the classes' numbers of training or test images differ by more than `MAX_CLASS_RATIO`."""
    counts = [np.bincount(labels, minlength=data.num_classes) for labels in (data.y_train, data.y_test)]
    return any(count.max() > MAX_CLASS_RATIO * count.min() for count in counts)

"""One run: an experiment on a data set with a preset and a seed, trained once and saved as files.

runs/results/<dataset>/<experiment>/<preset>/seed<k>.json          result, written last
runs/results/<dataset>/<experiment>/<preset>/seed<k>_classes.npy   predicted class of each test image
runs/cache/<dataset>/                                              checkpoints, models and outputs
"""

import json
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.data import Dataset, load_dataset, split_for_training
from lwcnn.data.checks import images_at_once
from lwcnn.evaluation import accuracy, drop_large_confusion_matrix, measure_calibration, predict_logits, summarize
from lwcnn.evaluation.diagnostics import diagnose_run
from lwcnn.experiments.finished import check_finished, load_or_make
from lwcnn.experiments.folders import Folders, load_classes, save_classes
from lwcnn.experiments.pipeline import TrainedMethod, train_method
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    Preset,
    get_experiment,
    get_preset,
    with_settings,
)
from lwcnn.experiments.sequence import PhaseCache
from lwcnn.experiments.teachers import find_teacher
from lwcnn.models.cost import count_macs
from lwcnn.models.description import Description
from lwcnn.models.io import load_model, save_model
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.npz import save_npz
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import current_computing
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import build_ensemble
from lwcnn.training.images import Images, Split
from lwcnn.training.progress import Progress

SPLIT_SEED = 0  # all runs share one validation split
MAX_CLASS_RATIO = 2  # of images; above it the macro accuracy is reported too
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
    class_weight: str | None = None,
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
        class_weight: "balanced" weights the loss so that every class counts alike; part of the configuration.

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
    plan = with_settings(plan, class_weight=class_weight)
    run = identify(plan, data, preset, seed, computing)
    path = folders.result(data.name, plan.name, preset, seed)
    progress = progress or Progress("none")
    make = partial(_train_run, run, plan, data, folders, progress, notice, computing)
    return load_or_make(path, make, run["config"], data, "test_accuracy", progress.note)


def identify(
    plan: Experiment, data: Dataset, preset: str, seed: int, computing: Computing = Computing()
) -> dict[str, Any]:
    """Returns the entries of a result that identify its run: its name and all that determines its weights."""
    config = json.loads(json.dumps(plain_settings(plan)))
    if plain_settings(computing):
        config["computing"] = plain_settings(computing)
    return {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "experiment": plan.name,
        "preset": preset,
        "seed": seed,
        "config": config,
        "backend": keras.backend.backend(),
        "step": current_computing()["step"],
    }


def _train_run(
    run: dict,
    plan: Experiment,
    data: Dataset,
    folders: Folders,
    progress: Progress,
    notice: str | None,
    computing: Computing,
) -> dict:
    """Trains a run and writes its files; the result comes last."""
    name = (data.name, run["experiment"], run["preset"], run["seed"])
    labels = Path(folders.results) / data.name / "test_labels.npy"
    _require_same_labels(labels, data)
    split = split_images(data, plan, get_preset(run["preset"]))
    teacher = None
    if isinstance(plan, DistilledExperiment):
        teacher = _load_teacher(plan, data, folders)
    trained = train_method(
        plan,
        split,
        data.num_classes,
        run["seed"],
        cache=PhaseCache(Path(folders.cache) / data.name, data.checksum),
        progress=progress,
        teacher=teacher,
        computing=computing,
    )
    result = _evaluate(trained, data, split) | {
        **run,
        "data_source": data.source,
        "notice": notice,
        "precision": computing.precision,
        "num_devices": computing.devices,
    }
    result = _ordered(result) | provenance()
    logits = result.pop("logits")
    signs = diagnose_run(result | {"num_test_images": len(data.y_test)})
    result["warnings"] = signs + mixed_computing(result["history"])
    result = drop_large_confusion_matrix(result)
    save_model(folders.model(run), trained.model, Description.of_run(result, data.class_names))
    features = penultimate_features(trained.model, data.x_test[:NUM_FEATURE_IMAGES])
    outputs = {"logits": logits.astype(np.float16), "features": features.astype(np.float16)}
    if notice:
        outputs["notice"] = np.array(notice)
    save_npz(folders.outputs(run), **outputs)
    classes = np.argmax(logits, axis=-1)
    save_classes(folders.classes(*name), classes)
    save_classes(labels, data.y_test)  # for paired tests
    path = folders.result(*name)
    write_json(path, result)
    progress.end_run(result, data.x_test, classes, path)
    return result


def _load_teacher(plan: DistilledExperiment, data: Dataset, folders: Folders) -> keras.Model:
    teacher, runs = plan.teacher, []
    taught = get_experiment(teacher.experiment, teacher.preset, data.spec)
    for seed in teacher.seeds:
        run = identify(taught, data, teacher.preset, seed)
        path = folders.result(data.name, teacher.experiment, teacher.preset, seed)
        runs.append(check_finished(path, run["config"], data) if path.exists() else run)
    paths = find_teacher(teacher, data, [folders.model(run) for run in runs], folders.models)
    return build_ensemble([load_model(path) for path in paths])


def _require_same_labels(path: Path, data: Dataset) -> None:
    """Checks that this results folder does not hold the labels of other test images."""
    if path.exists() and not np.array_equal(load_classes(path), data.y_test):
        raise LwcnnError(
            f"{path} has the labels of other test images: use another results folder. Received: {data.name} of "
            f"checksum {data.checksum[:12]}"
        )


def mixed_computing(history: list[dict]) -> list[str]:
    """Returns a warning if parts of a training were computed with different steps or thread counts."""
    ways: list[dict] = []
    for phase in history:
        ways += [way for way in phase["computing"] if way not in ways]
    if len(ways) < 2:
        return []
    words = "; ".join(", ".join(f"{key} {value}" for key, value in way.items()) for way in ways)
    return [
        f"the training was resumed or shared between different settings ({words}): the same seed gives other weights"
    ]


def split_images(data: Dataset, plan: Experiment, size: Preset) -> Split:
    """Splits the training images of a data set into training and validation, limited by experiment and preset."""
    limits = [limit for limit in (size.num_images, plan.num_images) if limit]
    parts = split_for_training(data.y_train, plan.validation, min(limits, default=None), SPLIT_SEED)
    return Split(*(Images(data.x_train, data.y_train, part) for part in parts))


def _evaluate(trained: TrainedMethod, data: Dataset, split: Split) -> dict:
    """Measures a trained model; the only place where a run uses test images."""
    model = trained.model
    train_pixels, train_labels = split.training.arrays()
    val_pixels, val_labels = split.validation.arrays()
    val_logits, logits = predict_logits(model, val_pixels), predict_logits(model, data.x_test)
    test = summarize(logits, data.y_test)
    return {
        "params": model.count_params(),
        "trainable_params": sum(int(np.prod(w.shape)) for w in model.trainable_weights),
        "macs": count_macs(model),
        "num_train_images": len(train_labels),
        "num_val_images": len(val_labels),
        "train_accuracy": accuracy(predict_logits(model, train_pixels), train_labels),
        "val_accuracy": accuracy(val_logits, val_labels),
        "test_accuracy": test["accuracy"],
        **_macro_accuracy(test["per_class_accuracy"], data),
        "test_loss": test["loss"],
        "ece": test["ece"],
        **measure_calibration(val_logits, val_labels, logits, data.y_test),
        "per_class_accuracy": dict(zip(data.class_names, test["per_class_accuracy"])),
        "confusion_matrix": test["confusion_matrix"],
        "history": trained.phases,
        "train_seconds": trained.train_seconds,
        "logits": logits,
        "weights": None,
    }


def _macro_accuracy(per_class: list[float | None], data: Dataset) -> dict:
    """Returns the mean test accuracy of the classes if their sizes differ by more than `MAX_CLASS_RATIO`."""
    counts = [np.bincount(labels, minlength=data.num_classes) for labels in (data.y_train, data.y_test)]
    if all(count.max() <= MAX_CLASS_RATIO * count.min() for count in counts):
        return {}
    return {"test_macro_accuracy": float(np.mean([value for value in per_class if value is not None]))}


def _ordered(result: dict) -> dict:
    """Returns the result with identifying entries first, for readers of the file."""
    first = ("dataset", "experiment", "preset", "seed", "notice", "val_accuracy", "test_accuracy")
    return {k: result[k] for k in first} | {k: v for k, v in result.items() if k not in first}


def provenance() -> dict:
    """Returns the hardware and software that a result was made with."""
    return {
        "backend": keras.backend.backend(),
        "step": current_computing()["step"],
        "device": environment.device_name(),
        "num_threads": environment.num_threads(),
        "versions": environment.versions(),
        "commit": environment.commit(),
    }


def penultimate_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the inputs of the last layer with weights for each image: (n, 32) for the merged model."""
    last = [layer for layer in model.layers if layer.weights][-1]
    trunk = keras.Model(model.inputs, last.input)
    return trunk.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0).reshape(len(images), -1)

"""One run: an experiment on a data set with a preset and a seed, trained once and saved as files (see `results.py`)."""

from functools import partial
from pathlib import Path

import keras
import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.splits import split_for_training
from lwcnn.evaluation.calibration import measure_calibration
from lwcnn.evaluation.diagnostics import diagnose_run
from lwcnn.evaluation.metrics import accuracy, drop_large_confusion_matrix, summarize
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.folders import Folders, load_classes, save_classes
from lwcnn.experiments.pipeline import TrainedMethod, train_method
from lwcnn.experiments.recipes import DistilledExperiment, Experiment, Preset, get_experiment, get_preset
from lwcnn.experiments.recipes.types import Teacher
from lwcnn.experiments.records import check_finished, identify, load_or_make, mixed_computing, provenance
from lwcnn.experiments.sequence import PhaseCache
from lwcnn.experiments.zoo import SHIPPED_MODELS
from lwcnn.models.cost import count_macs
from lwcnn.models.description import Description, read_description
from lwcnn.models.io import load_model, save_model
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.npz import save_npz
from lwcnn.training.devices import Computing
from lwcnn.training.distillation import build_ensemble
from lwcnn.training.images import Images, Split
from lwcnn.training.progress import Progress

SPLIT_SEED = 0  # all runs share one validation split
NUM_FEATURE_IMAGES = 2000
MAX_CLASS_RATIO = 2  # of images; above it the macro accuracy is reported too


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
    return load_or_make(path, run, make, "test_accuracy", progress.note)


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


def load_teacher(teacher: Teacher, data: Dataset, folders: Folders) -> keras.Model:
    return build_ensemble([load_model(find_teacher(teacher, seed, data, folders)) for seed in teacher.seeds])


def find_teacher(teacher: Teacher, seed: int, data: Dataset, folders: Folders) -> Path:
    """Returns the path of a teacher's model of these images, in the cache or else among the shipped ones."""
    run = identify(get_experiment(teacher.experiment, teacher.preset, data.spec), data, teacher.preset, seed)
    result = folders.result(data.name, teacher.experiment, teacher.preset, seed)
    path = folders.model(check_finished(result, run) if result.exists() else run)
    if not path.exists():
        path = SHIPPED_MODELS / "teachers" / f"{data.name}-{teacher.experiment}-seed{seed}.keras"
    if not path.exists():
        raise LwcnnError(
            f"A model of the teacher is missing: train it with `lwcnn train {teacher.experiment} "
            f"--dataset {data.name} --preset {teacher.preset} --seeds {seed}`. Received: no {path.name}"
        )
    description = read_description(path)
    if description is None or description.data_checksum != data.checksum:
        raise LwcnnError(f"The teacher was trained on other images than {data.name}'s. Received: {path}")
    return path


def measure(trained: TrainedMethod, data: Dataset, split: Split, logits: np.ndarray) -> dict:
    """Measures a trained model, given its logits of the test images, which a run uses only here."""
    model = trained.model
    train_pixels, train_labels = split.training.arrays()
    val_pixels, val_labels = split.validation.arrays()
    val_logits, test = predict_logits(model, val_pixels), summarize(logits, data.y_test)
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
        "weights": None,
    }


def _macro_accuracy(per_class: list[float | None], data: Dataset) -> dict:
    """Returns the mean test accuracy of the classes if their sizes differ by more than `MAX_CLASS_RATIO`."""
    counts = [np.bincount(labels, minlength=data.num_classes) for labels in (data.y_train, data.y_test)]
    if all(count.max() <= MAX_CLASS_RATIO * count.min() for count in counts):
        return {}
    return {"test_macro_accuracy": float(np.mean([value for value in per_class if value is not None]))}


def penultimate_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the inputs of the last layer with weights, of an ensemble's last member, for each image."""
    last = [layer for layer in model.layers if layer.weights][-1]
    if isinstance(last, keras.Model):
        return penultimate_features(last, images)
    trunk = keras.Model(model.inputs, last.input)
    return trunk.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0).reshape(len(images), -1)

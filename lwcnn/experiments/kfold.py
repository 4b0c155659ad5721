"""K-fold cross-validation: from scratch in every fold, and leaky as in the author's code."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import keras
import numpy as np

from lwcnn.data.images import Images, Split
from lwcnn.data.splits import distinct_images, stratified_folds, stratified_subset
from lwcnn.evaluation.diagnostics import diagnose_folds
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.identity import Run, find_plan, load_or_make, mixed_computing, provenance, split_images
from lwcnn.experiments.pipeline import build_model, train_experiment
from lwcnn.experiments.recipes import DistilledExperiment, Experiment, MergedExperiment, get_preset
from lwcnn.system import environment
from lwcnn.system.errors import wrong
from lwcnn.system.files import write_json
from lwcnn.system.settings import plain_settings
from lwcnn.training.progress import Progress

NUM_FOLDS = 6  # paper
FOLD_SEED, LEAKY_PATIENCE = 42, 3  # the author's notebook

_Fold = tuple[np.ndarray, np.ndarray]  # positions in the training images: the training part and the test part
_Trained = tuple[keras.Model, list[dict]]  # a model and the records of its phases


def run_kfold(
    experiment: str | Experiment,
    dataset: Any = "mnist",
    preset: str = "quick",
    seed: int = 0,
    leaky: bool = False,
    num_folds: int = NUM_FOLDS,
    folders: Folders = Folders(),
    progress: Progress | None = None,
) -> dict:
    """Trains the folds of a K-fold cross-validation, or loads their result if it exists.

    Each fold trains the experiment from scratch on its training part, which is split once more to choose epochs, and
    tests it on the remaining images. Your own validation images are in the folds, too. With `leaky`, as published, one
    model is trained by the whole method and then continues through all folds without a reset, so every fold is tested
    on images that the model was trained on.

    Args:
        experiment: Name of a network or experiment (see `lwcnn list`), or an `Experiment`.
        dataset: Loaded `Dataset`, or a source for `load_dataset`.
        preset: "smoke", "quick", "medium" or "full", which sets the number of epochs.
        seed: Integer from 0 to 2**32 - 1. Seed for training; the folds do not depend on it.
        leaky: Whether one model continues through all folds, as published.
        num_folds: Number of folds, at least 2.
        folders: Folders to read and write.
        progress: Progress display. None shows nothing.

    Returns:
        The content of the result file: accuracy and phases of each fold, mean and standard deviation of the
        accuracies; with `leaky` also the accuracy of the final model on the test images.

    Raises:
        LwcnnError: As in `run_experiment`; or there are too few images for the folds, or the experiment does not suit
            K-fold cross-validation.

    Examples:
        >>> run_kfold("paper", "mnist", "smoke", num_folds=2)["accuracies"]  # doctest: +SKIP
    """
    plan, data = find_plan(experiment, dataset, preset, folders)
    data = replace(data, is_validation=None)  # the folds are of all training images
    if leaky and not isinstance(plan, MergedExperiment):
        raise wrong("Use leaky only with the paper's merged model", repr(plan.name))
    if isinstance(plan, DistilledExperiment):
        advice = "Use K-fold without distillation: the teacher was trained on the images of every fold"
        raise wrong(advice, repr(plan.name))
    run = Run(plan, data, preset, seed, folders, progress or Progress())
    identity = run.identity
    identity["config"] |= plain_settings({"num_folds": num_folds, "leaky": leaky})
    path = run.path.with_name(f"kfold{num_folds}{'_leaky' if leaky else ''}_seed{seed}.json")

    def make() -> dict:
        folds = _make_folds(run, num_folds)
        trained = _train_leaky(run, folds) if leaky else _train_apart(run, folds)
        first_phases = next(trained)[1] if leaky else []
        accuracies, histories = [], []
        for (_, assessed), (model, phases) in zip(folds, trained):
            logits = predict_logits(model, data.x_train[assessed])
            accuracies.append(accuracy(logits, data.y_train[assessed]))
            histories.append(phases)
        phases = sum(histories, first_phases)
        mean = float(np.mean(accuracies))
        result = identity | {
            "leaky": leaky,
            "num_folds": len(folds),
            "data_source": data.source,
            "accuracies": accuracies,
            "mean_accuracy": mean,
            "std_accuracy": float(np.std(accuracies, ddof=1)),
            "train_seconds": round(sum(phase["seconds"] for phase in phases), 2),
            "fold_histories": histories,
            "warnings": diagnose_folds(accuracies, len(folds[0][1])) + mixed_computing(phases),
            **provenance(),
        }
        if leaky:
            test_accuracy = accuracy(predict_logits(model, data.x_test), data.y_test)
            leak = mean - test_accuracy
            result |= {"test_accuracy": test_accuracy, "leak": leak, "first_phases": first_phases}
        write_json(path, result)
        run.progress.note(f"mean accuracy of {num_folds} folds {100 * mean:.2f}%, {path}")
        return result

    return load_or_make(path, identity, make, "mean_accuracy", run.progress.note)


def _make_folds(run: Run, num_folds: int) -> list[_Fold]:
    data, limit = run.data, run.plan.image_limit(get_preset(run.preset))
    part = stratified_subset(data.y_train, limit or len(data.y_train), FOLD_SEED)
    label_of, copy_of = distinct_images(data.x_train[part], data.y_train[part])
    folds = stratified_folds(label_of, num_folds, FOLD_SEED, data.class_names)
    return [(part[np.isin(copy_of, training)], part[np.isin(copy_of, assessed)]) for training, assessed in folds]


def _train_apart(run: Run, folds: list[_Fold]) -> Iterator[_Trained]:
    """Trains a model per fold, without the images that it is tested on."""
    data = run.data
    run.progress.expect(len(folds) * run.plan.num_epochs)
    splits = [_split_fold(run, inside) for inside, _ in folds]  # too few images of a class fail before any training
    for k, split in enumerate(splits):
        run.progress.note(f"fold {k + 1} of {len(folds)}")
        sequence = run.begin(split, f"{data.checksum} fold {k} of {len(folds)}")
        yield train_experiment(run.plan, sequence), sequence.records


def _split_fold(run: Run, inside: np.ndarray) -> Split:
    data = run.data
    of_fold = replace(data, x_train=data.x_train[inside], y_train=data.y_train[inside])
    parts = split_images(of_fold, run.plan, get_preset(run.preset))
    return Split(*(Images(data.x_train, data.y_train, inside[part.indices]) for part in parts))


def _train_leaky(run: Run, folds: list[_Fold]) -> Iterator[_Trained]:
    """Trains one model, yields it, and continues through all folds with it, as the author's code does."""
    plan, data, epochs = run.plan, run.data, get_preset(run.preset).fold_epochs
    run.progress.expect(plan.num_epochs + len(folds) * epochs)
    first = run.begin()
    trained = train_experiment(plan, first)
    yield trained, first.records
    model = build_model(plan, data.input_shape, data.num_classes)
    model.set_weights(trained.get_weights())
    phase = replace(plan.phases[-1], name="fold", epochs=epochs, patience=LEAKY_PATIENCE)
    for k, fold in enumerate(folds):
        run.progress.note(f"fold {k + 1} of {len(folds)}, with the same model")
        split = Split(*(Images(data.x_train, data.y_train, part) for part in fold))
        of_fold = replace(run, seed=(run.seed + k) % (environment.MAX_SEED + 1))
        sequence = of_fold.begin(split, f"{data.checksum} leaky fold {k} of {len(folds)}")
        sequence.depends_on([plain_settings(plan), run.preset])  # and with them the folds before
        sequence.train(model, phase)
        yield model, sequence.records

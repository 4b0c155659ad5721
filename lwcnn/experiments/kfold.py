"""K-fold assessment of the method: done properly, and leaky as the author's code does it.

results/<dataset>/<experiment>/<preset>/kfold<K>_seed<k>.json   or   kfold<K>_leaky_seed<k>.json
"""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import Dataset, load_dataset, split_for_training, stratified_folds, stratified_split
from lwcnn.evaluation import accuracy, mean_and_interval, predict_logits
from lwcnn.evaluation.diagnostics import diagnose_folds
from lwcnn.experiments.finished import check_finished
from lwcnn.experiments.pipeline import PhaseCache, train_method
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    MergedExperiment,
    Preset,
    get_experiment,
    get_preset,
)
from lwcnn.experiments.run import Folders, mixed_computing, provenance, split_images
from lwcnn.models.dual import build_merged_model
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import Checkpoint, current_computing
from lwcnn.training.images import Images, Split
from lwcnn.training.loop import train_phase
from lwcnn.training.progress import Progress

NUM_FOLDS = 6  # paper
FOLD_SEED = 42  # the author's notebook
LEAKING_PATIENCE = 3  # the author's notebook


def run_kfold(
    experiment: str,
    dataset: str | Dataset = "mnist",
    preset: str = "quick",
    seed: int = 0,
    leaky: bool = False,
    num_folds: int = NUM_FOLDS,
    folders: Folders = Folders(),
    progress: Progress | None = None,
) -> dict:
    """The accuracies of K folds of the training images, trained now or found where they are finished.

    Properly: every fold runs the whole method from scratch on its own training part, which is split once more
    to choose epochs, and is assessed on the part that nothing of it has seen. Leaky, as published: one model,
    trained by the whole method, goes on training through all folds without being reset, so that every fold is
    assessed on images that the model was trained on.

    Args:
        experiment: a name of `lwcnn.experiments.recipes`.
        dataset: a name, the path of an .npz, or a loaded data set.
        preset: "smoke", "quick" or "full".
        seed: of everything random in the training; the folds do not depend on it.
        leaky: whether to do as published.
        num_folds: K, at least 2.
        folders: where to read and write.
        progress: what is shown meanwhile.

    Returns:
        What the JSON holds: accuracies of the folds, their mean and spread, and, leaky, the accuracy of the
        same final model on the test images.

    Raises:
        LwcnnError: as `lwcnn.run_experiment`, or if there are too few images for the folds.
    """
    size, plan = get_preset(preset), get_experiment(experiment, preset)  # wrong names before the data is read
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, folders.data)
    plan = get_experiment(experiment, preset, data.spec)
    if leaky and not isinstance(plan, MergedExperiment):
        raise LwcnnError(f"Only the paper's merged model was assessed leaky. Received: {experiment!r}")
    if isinstance(plan, DistilledExperiment):
        raise LwcnnError(
            f"K-fold takes no distilled experiment: its teacher was trained on the images of every fold. "
            f"Received: {experiment!r}"
        )
    config = json.loads(json.dumps(plain_settings(plan) | {"num_folds": num_folds, "leaky": leaky}))
    name = f"kfold{num_folds}{'_leaky' if leaky else ''}_seed{seed}.json"
    path = folders.result(data.name, experiment, preset, seed).with_name(name)
    progress = progress or Progress("none")
    if not path.exists():
        with locked(path, progress.note):
            if not path.exists():  # else another process has made it meanwhile
                return _assess(plan, size, data, seed, leaky, num_folds, path, config, folders, progress)
    environment = {"backend": keras.backend.backend(), "step": current_computing()["step"]}
    return check_finished(path, config, data, "accuracies", environment, progress.note)


def _assess(plan, size: Preset, data: Dataset, seed, leaky, num_folds, path, config, folders, progress) -> dict:
    """Trains the folds and writes their result."""
    run = _leaking_folds if leaky else _proper_folds
    measured = run(plan, size, data, seed, num_folds, Path(folders.cache) / data.name, progress)
    history = measured.pop("history")
    interval = mean_and_interval(measured["accuracies"])
    result = {
        "dataset": data.name,
        "experiment": plan.name,
        "preset": size.name,
        "seed": seed,
        "leaky": leaky,
        "num_folds": num_folds,
        "mean_accuracy": interval.mean,
        "std_accuracy": interval.std,
        **measured,
        "warnings": diagnose_folds(measured["accuracies"]) + mixed_computing(history),
        "data_checksum": data.checksum,
        "data_source": data.source,
        "config": config,
        **provenance(),
    }
    write_json(path, result)
    progress.note(f"mean accuracy of {num_folds} folds {100 * interval.mean:.2f} %, {path}")
    return result


def _folds(data: Dataset, plan: Experiment, size: Preset, num_folds: int):
    """The folds as positions in the training images, of as many of them as the preset and the experiment allow."""
    if num_folds < 2:
        raise LwcnnError(f"num_folds must be at least 2. Received: {num_folds}")
    part = np.arange(len(data.y_train))
    limit = min((n for n in (size.num_images, plan.num_images) if n), default=len(part))
    if limit < len(part):
        _, part = stratified_split(data.y_train, limit, FOLD_SEED)
    folds = stratified_folds(data.y_train[part], num_folds, FOLD_SEED)
    return [(part[training], part[assessed]) for training, assessed in folds]


def _proper_folds(plan: Experiment, size: Preset, data: Dataset, seed, num_folds, cache, progress) -> dict:
    accuracies, history, seconds = [], [], 0.0
    for k, (inside, assessed) in enumerate(_folds(data, plan, size, num_folds)):
        parts = split_for_training(data.y_train[inside], plan.validation, seed=0)
        progress.note(f"fold {k + 1} of {num_folds}")
        trained = train_method(
            plan,
            Split(*(Images(data.x_train, data.y_train, inside[part]) for part in parts)),
            data.num_classes,
            seed,
            cache=PhaseCache(cache, f"{data.checksum} fold {k} of {num_folds}"),
            progress=progress,
        )
        logits = predict_logits(trained.model, data.x_train[assessed])
        accuracies.append(accuracy(logits, data.y_train[assessed]))
        history += trained.phases
        seconds += trained.train_seconds
    return {"accuracies": accuracies, "train_seconds": round(seconds, 2), "history": history}


def _leaking_folds(plan: Experiment, size: Preset, data: Dataset, seed, num_folds, cache, progress) -> dict:
    split = split_images(data, plan, size)
    trained = train_method(
        plan, split, data.num_classes, seed, cache=PhaseCache(cache, data.checksum), progress=progress
    )
    names = [name for name, _ in plan.branches]
    model = build_merged_model(data.input_shape, data.num_classes, names, plan.dropout)
    model.set_weights(trained.model.get_weights())
    phase = replace(plan.phases[-1], name="fold", epochs=size.fold, patience=LEAKING_PATIENCE)
    accuracies, history, seconds = [], list(trained.phases), trained.train_seconds
    # All that determines a fold's weights: a fold of other settings must not be found.
    chain = [data.checksum, *(plain_settings(part) for part in (plan, size, phase)), seed, num_folds]
    chain += [keras.backend.backend(), keras.version(), current_computing()["step"]]
    for k, (inside, assessed) in enumerate(_folds(data, plan, size, num_folds)):
        progress.note(f"fold {k + 1} of {num_folds}, going on with the same model")
        key = hashlib.sha256(json.dumps([*chain, k]).encode()).hexdigest()[:16]
        path = cache / f"seed{seed}-leaky-fold{k}-of-{num_folds}-{key}.npz"
        held_out = Images(data.x_train, data.y_train, assessed)
        split = Split(Images(data.x_train, data.y_train, inside), held_out)
        with locked(path, progress.note):
            state = train_phase(model, phase, split, seed + k, checkpoint=Checkpoint(path, key), progress=progress)
        pixels, labels = held_out.arrays()
        accuracies.append(accuracy(predict_logits(model, pixels), labels))
        history.append({"computing": state.computing})
        seconds += state.seconds
    test_accuracy = accuracy(predict_logits(model, data.x_test), data.y_test)
    return {
        "accuracies": accuracies,
        "test_accuracy": test_accuracy,
        "leak": float(np.mean(accuracies)) - test_accuracy,
        "train_seconds": round(seconds, 2),
        "history": history,
    }

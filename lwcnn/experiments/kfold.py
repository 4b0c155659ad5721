"""K-fold cross-validation: from scratch in every fold, and leaky as in the author's code."""

import hashlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import keras
import numpy as np

from lwcnn.data.datasets import Dataset, load_dataset
from lwcnn.data.splits import split_for_training, stratified_folds, stratified_subset
from lwcnn.evaluation.diagnostics import diagnose_folds
from lwcnn.evaluation.metrics import accuracy
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.folders import Folders
from lwcnn.experiments.pipeline import TrainedMethod, build_model, train_method
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    MergedExperiment,
    Preset,
    get_experiment,
    get_preset,
)
from lwcnn.experiments.records import identify, load_or_make, mixed_computing, provenance
from lwcnn.experiments.run import split_images
from lwcnn.experiments.sequence import PhaseCache, phase_record
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import write_json
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import Checkpoint, current_computing
from lwcnn.training.images import Images, Split
from lwcnn.training.loop import train_phase
from lwcnn.training.progress import Progress

NUM_FOLDS = 6  # paper
FOLD_SEED, LEAKY_PATIENCE = 42, 3  # the author's notebook


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
    """Trains the folds of a K-fold cross-validation, or loads their result if it exists.

    Each fold trains the experiment from scratch on its training part, which is split once more to choose epochs, and is
    assessed on the part that it has not seen. With `leaky`, as published, one model is trained by the whole method and
    then continues through all folds without a reset, so every fold is assessed on images that the model has seen.

    Args:
        experiment: Name of an experiment (`EXPERIMENT_NAMES`).
        dataset: Name of a data set, path of an .npz file, or a loaded data set.
        preset: "smoke", "quick", "medium" or "full".
        seed: Seed of the training; the folds do not depend on it.
        leaky: Whether to assess as published.
        num_folds: Number of folds, at least 2.
        folders: Folders to read and write.
        progress: Progress display. None shows nothing.

    Returns:
        The content of the result file: accuracy and phases of each fold, mean and standard deviation of the
        accuracies; with `leaky` also the accuracy of the final model on the test images.

    Raises:
        LwcnnError: As in `run_experiment`; or there are too few images for the folds, or the experiment does not suit
            K-fold cross-validation.

    Example:

    >>> run_kfold("paper", "mnist", "smoke", num_folds=2)["accuracies"]  # doctest: +SKIP
    """
    size, plan = get_preset(preset), get_experiment(experiment, preset)  # unknown names fail before the data is read
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, folders.data)
    plan = get_experiment(experiment, preset, data.spec)
    if leaky and not isinstance(plan, MergedExperiment):
        raise LwcnnError(f"Only the paper's merged model was assessed leaky. Received: {experiment!r}")
    if isinstance(plan, DistilledExperiment):
        raise LwcnnError(
            f"K-fold takes no distilled experiment: its teacher was trained on the images of every fold. "
            f"Received: {experiment!r}"
        )
    run = identify(plan, data, preset, seed)
    run["config"] |= {"num_folds": num_folds, "leaky": leaky}
    name = f"kfold{num_folds}{'_leaky' if leaky else ''}_seed{seed}.json"
    path = folders.result(data.name, experiment, preset, seed).with_name(name)
    progress = progress or Progress("none")
    folds = _Folds(plan, size, data, seed, num_folds, Path(folders.cache) / data.name, progress)

    def make() -> dict:
        measured = folds.leaky() if leaky else folds.from_scratch()
        accuracies = measured["accuracies"]
        phases = [*measured.get("first_phases", []), *itertools.chain(*measured["fold_histories"])]
        result = run | {"leaky": leaky, "num_folds": num_folds, "data_source": data.source} | measured | provenance()
        result |= {"mean_accuracy": float(np.mean(accuracies)), "std_accuracy": float(np.std(accuracies, ddof=1))}
        result["warnings"] = diagnose_folds(accuracies, folds.num_images // num_folds) + mixed_computing(phases)
        write_json(path, result)
        progress.note(f"mean accuracy of {num_folds} folds {100 * result['mean_accuracy']:.2f} %, {path}")
        return result

    return load_or_make(path, run, make, "mean_accuracy", progress.note)


@dataclass(frozen=True)
class _Folds:
    plan: Experiment
    size: Preset
    data: Dataset
    seed: int
    num_folds: int
    cache: Path
    progress: Progress

    @property
    def num_images(self) -> int:
        return min(n for n in (len(self.data.y_train), self.size.num_images, self.plan.num_images) if n)

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields each fold's positions in the training images: those to train on and those to assess on."""
        labels = self.data.y_train
        part = np.arange(len(labels))
        if self.num_images < len(part):
            part = stratified_subset(labels, self.num_images, FOLD_SEED)
        for training, assessed in stratified_folds(labels[part], self.num_folds, FOLD_SEED):
            yield part[training], part[assessed]

    def images(self, indices: np.ndarray) -> Images:
        return Images(self.data.x_train, self.data.y_train, indices)

    def train(self, split: Split, data_key: str) -> TrainedMethod:
        cache = PhaseCache(self.cache, data_key)
        return train_method(self.plan, split, self.data.num_classes, self.seed, cache=cache, progress=self.progress)

    def from_scratch(self) -> dict:
        """Trains a model per fold, which has seen none of the images that it is assessed on."""
        accuracies, histories, seconds = [], [], 0.0
        self.progress.expect(self.num_folds * self.plan.num_epochs)
        for k, (inside, assessed) in enumerate(self):
            self.progress.note(f"fold {k + 1} of {self.num_folds}")
            parts = split_for_training(self.data.y_train[inside], self.plan.validation, seed=0)
            split = Split(*(self.images(inside[part]) for part in parts))
            trained = self.train(split, f"{self.data.checksum} fold {k} of {self.num_folds}")
            accuracies.append(self.assess(trained.model, assessed))
            histories.append(trained.phases)
            seconds += trained.train_seconds
        return {"accuracies": accuracies, "train_seconds": round(seconds, 2), "fold_histories": histories}

    def leaky(self) -> dict:
        """Continues training one model through all folds, as the author's code does."""
        assert isinstance(self.plan, MergedExperiment)  # checked by run_kfold
        data, epochs = self.data, self.size.fold
        self.progress.expect(self.plan.num_epochs + self.num_folds * epochs)
        trained = self.train(split_images(data, self.plan, self.size), data.checksum)
        model = build_model(self.plan, data.input_shape, data.num_classes)
        model.set_weights(trained.model.get_weights())
        phase = replace(self.plan.phases[-1], name="fold", epochs=epochs, patience=LEAKY_PATIENCE)
        accuracies, histories, seconds = [], [], trained.train_seconds
        # Everything that determines the weights of a fold, so that a checkpoint with other settings is not used.
        chain = [data.checksum, *(plain_settings(part) for part in (self.plan, self.size, phase)), self.seed]
        chain += [self.num_folds, keras.backend.backend(), keras.version(), current_computing()["step"]]
        for k, (inside, assessed) in enumerate(self):
            self.progress.note(f"fold {k + 1} of {self.num_folds}, with the same model")
            key = hashlib.sha256(json.dumps([*chain, k]).encode()).hexdigest()[:16]
            path = self.cache / f"seed{self.seed}-leaky-fold{k}-of-{self.num_folds}-{key}.npz"
            split = Split(self.images(inside), self.images(assessed))
            with locked(path, self.progress.note):
                checkpoint = Checkpoint(path, key)
                state = train_phase(model, phase, split, self.seed + k, checkpoint=checkpoint, progress=self.progress)
            accuracies.append(self.assess(model, assessed))
            histories.append([phase_record(model, phase, state)])
            seconds += state.seconds
        test_accuracy = accuracy(predict_logits(model, data.x_test), data.y_test)
        return {
            "accuracies": accuracies,
            "test_accuracy": test_accuracy,
            "leak": float(np.mean(accuracies)) - test_accuracy,
            "train_seconds": round(seconds, 2),
            "first_phases": trained.phases,
            "fold_histories": histories,
        }

    def assess(self, model: keras.Model, indices: np.ndarray) -> float:
        return accuracy(predict_logits(model, self.data.x_train[indices]), self.data.y_train[indices])

"""Releases the best run of each experiment: of the largest preset that beats chance, the seed that validates best."""

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.data.datasets import Dataset
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.folders import Folders, load_classes
from lwcnn.experiments.results import PRESETS_BY_SIZE, load_exports, load_latencies, run_paths
from lwcnn.models.description import NOT_SPECIFIED, Description, describe_model, model_checksum, read_description
from lwcnn.models.io import load_model
from lwcnn.system.errors import LwcnnError, wrong
from lwcnn.system.files import read_json, write_atomically, write_json
from lwcnn.system.locking import locked
from lwcnn.system.npz import save_npz

NUM_FEATURE_IMAGES = 700  # in t-SNE, more points hide each other, and take bytes
MAX_DISAGREEMENT = 0.001  # fraction of test images whose class may change through rounding; one always may

_log = logging.getLogger(__name__)


def release_best(
    data: Dataset, experiment: str, folders: Folders, presets: Sequence[str] = PRESETS_BY_SIZE
) -> Path | None:
    """Releases the best run of an experiment and returns the path of its released model.

    The model must reproduce the run's classes of the test images. Uses the first preset that has a run better than
    chance. Returns None if there is none, or its model is no longer in the cache.
    """
    found = (run_paths(folders.result(data.name, experiment, preset, 0).parent) for preset in presets)
    if not (runs := [paths for paths in found if paths]):
        return None
    together = folders.results / data.name / experiment  # model, outputs and results must be of one run
    with locked(together, _log.warning):
        for paths in runs:
            results = {path: read_json(path) for path in paths}
            best, result = max(results.items(), key=lambda one: (one[1]["val_accuracy"], -one[1]["seed"]))
            classes = load_classes(folders.classes(data.name, experiment, result["preset"], result["seed"]))
            if not is_at_chance(result, classes, data.y_test, data.num_classes):
                return _release(best, result, classes, data, folders)
            told = "%s is no better than chance, or predicts a single class: its model stays in the cache, %s"
            _log.warning(told, best, folders.model(result))
    return None


def _release(best: Path, result: dict, classes: np.ndarray, data: Dataset, folders: Folders) -> Path | None:
    trained, released = folders.model(result), folders.best_model(data.name, result["experiment"])
    if result["weights"] and _belongs(released, result):
        return released
    if not trained.exists():
        _log.warning(
            "The model of %s is not in the cache, so none is released; with other folders, it is trained again", best
        )
        return None
    outputs = _verified_outputs(best, trained, result, classes, data)
    write_atomically(released, trained.read_bytes())
    save_npz(best.with_name("released.npz"), compressed=True, seed=np.array(result["seed"]), **outputs)
    _forget_others(best)
    write_json(best, result | {"weights": f"{folders.models.name}/{released.name}"})
    return released


def describe_models(folders: Folders, license_name: str | None = None) -> list[Path]:
    """Writes license, run results, int8 size and latency into every model file of a folder."""
    paths = sorted(folders.models.rglob("*.keras"))
    if not paths:
        raise wrong("Train a model first, with `lwcnn train`", f"{folders.models}, which holds none")
    changed: dict[Path, Description] = {}
    for path in paths:
        told, result = read_description(path), None
        if told and (run := folders.result(told.dataset, told.experiment, told.preset, told.seed)).exists():
            result = read_json(run)
        if told is None or result is None or not _belongs(path, result):
            raise wrong("Move the model away, or train it again: its run is not in the results", path)
        found = Description.of_run(result | {"seen": told.seen}, told.class_names)
        wanted = replace(found, license=license_name or told.license, **_measured(path, folders.results))
        if told.license not in (NOT_SPECIFIED, wanted.license):
            _log.warning("%s: its license was %s and is now %s", path, told.license, wanted.license)
        if wanted != told:
            changed[path] = wanted
    for path, wanted in changed.items():  # after all checks
        describe_model(path, wanted)
    return paths


def _measured(path: Path, results: Path) -> dict[str, Any]:
    """Returns size and latency of a model's int8 file, if they were measured on exactly this model."""
    checksum, int8 = model_checksum(path), "litert-int8"
    exports, latencies = (frame.to_dict("records") for frame in (load_exports(results), load_latencies(results)))
    export: dict = next((row for row in exports if (row["model_sha256"], row["format"]) == (checksum, int8)), {})
    time: dict = next((row for row in latencies if (row["model_sha256"], row["runtime"]) == (checksum, int8)), {})
    return {
        "int8_bytes": int(export["size_bytes"]) if export else None,
        "int8_ms": time.get("p50_ms"),
        "int8_device": time.get("device"),
    }


def is_at_chance(result: dict, classes: np.ndarray, labels: np.ndarray, num_classes: int) -> bool:
    """Returns whether a run predicts one class for images of several, or is within three standard errors of guessing.

    With few images, even 100% is within three; then the threshold is halfway between guessing and 100%.
    """
    train, val = result["num_train_images"], result["num_val_images"]
    accuracy = (result["train_accuracy"] * train + result["val_accuracy"] * val) / (train + val)
    chance = 1 / num_classes
    margin = min(3 * math.sqrt(chance * (1 - chance) / (train + val)), 0.5 * (1 - chance))
    return accuracy <= chance + margin or len(np.unique(classes)) == 1 < len(np.unique(labels))


def _belongs(path: Path, result: dict) -> bool:
    """Returns whether a model file exists and its description matches a run."""
    try:
        description = read_description(path)
    except LwcnnError:
        return False
    name = Folders().model  # which depends on all that identifies a run
    return description is not None and name(vars(description)) == name(result)


def _verified_outputs(path: Path, trained: Path, result: dict, classes: np.ndarray, data: Dataset) -> dict:
    """Returns the logits and features of a run's model, after checking that it reproduces the run's classes."""
    advice = f"move the result {path} away and train again. Received: {trained}"
    if result["data_checksum"] != data.checksum:
        raise LwcnnError(
            f"{path} was made with other images than these of {data.name}; use other folders for results and models. "
            f"Received: checksum {data.checksum[:12]}"
        )
    if not _belongs(trained, result):
        raise LwcnnError(f"The trained model cannot be read or does not belong to its result: {advice}")
    model = load_model(trained)
    logits = predict_logits(model, data.x_test)
    if (logits.argmax(axis=1) != classes).sum() > max(1, MAX_DISAGREEMENT * len(classes)):
        raise LwcnnError(f"The trained model does not give the classes of its result: {advice}")
    features = penultimate_features(model, data.x_test[:NUM_FEATURE_IMAGES])
    return {"logits": logits.astype(np.float16), "features": features.astype(np.float16)}


def penultimate_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the inputs of the last layer with weights, of an ensemble's last member, for each image."""
    last = [layer for layer in model.layers if layer.weights][-1]
    if isinstance(last, keras.Model):
        return penultimate_features(last, images)
    trunk = keras.Model(model.inputs, last.input)
    return trunk.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0).reshape(len(images), -1)


def _forget_others(keep: Path) -> None:
    """Removes the path of the weights from runs that are no longer released, and outputs of other presets."""
    folder = keep.parents[1]  # of the experiment
    for path in [path for preset in folder.iterdir() if preset.is_dir() for path in run_paths(preset)]:
        result = read_json(path)
        if path != keep and result.get("weights"):
            write_json(path, result | {"weights": None})
    for path in folder.glob("*/released.npz"):
        if path.parent != keep.parent:
            path.unlink()

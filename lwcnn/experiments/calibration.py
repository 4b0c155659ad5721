"""Calibration before and after temperature scaling, for runs that were made before results had it."""

from pathlib import Path

import keras

from lwcnn.data import Dataset
from lwcnn.evaluation import accuracy, measure_calibration, predict_logits
from lwcnn.experiments.recipes import get_experiment, get_preset
from lwcnn.experiments.results import run_paths
from lwcnn.experiments.run import Folders, split_images
from lwcnn.models.io import load_model
from lwcnn.system.files import read_json, write_json

SAME_ACCURACY = 0.001  # what rounding may change on another machine


def add_calibration(data: Dataset, folders: Folders = Folders()) -> list[Path]:
    """Measures the calibration of finished runs that lack it, and whose trained model is at hand.

    Nothing else of a result changes; the temperature is fitted on the validation images of the run.

    Args:
        data: the data set of the runs.
        folders: where results and models are.

    Returns:
        The results that were added to.
    """
    added = []
    presets = sorted((Path(folders.results) / data.name).glob("*/*/"))
    for path in [path for preset in presets for path in run_paths(preset)]:
        result = read_json(path)
        model_path = _find_model(result, folders)
        if "temperature" in result or model_path is None or result["data_checksum"] != data.checksum:
            continue
        model = load_model(model_path)
        plan = get_experiment(result["experiment"], result["preset"], data.spec)
        _, validation = split_images(data, plan, get_preset(result["preset"]))
        pixels, labels = validation.arrays()
        logits = predict_logits(model, data.x_test)
        if abs(accuracy(logits, data.y_test) - result["test_accuracy"]) > SAME_ACCURACY:
            continue  # not that run's model
        write_json(path, result | measure_calibration(predict_logits(model, pixels), labels, logits, data.y_test))
        added.append(path)
        keras.backend.clear_session()
    return added


def _find_model(result: dict, folders: Folders) -> Path | None:
    trained = folders.model(result)
    released = Path(folders.models) / Path(result["weights"] or "none").name
    return next((path for path in (trained, released) if path.exists()), None)

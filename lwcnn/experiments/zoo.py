"""Networks by name, with random or trained weights, and the images on which a trained network is tested."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from lwcnn.data.checks import MAX_COPIES
from lwcnn.data.datasets import Dataset, load_dataset, load_unseen
from lwcnn.data.folders import find_files
from lwcnn.data.known import DATASET_NAMES, ImageSpec
from lwcnn.data.splits import is_among
from lwcnn.experiments.recipes import get_experiment
from lwcnn.experiments.shipped import shipped_file, trained_networks
from lwcnn.models.description import Description, read_description, read_input_shape
from lwcnn.system.errors import LwcnnError, unknown_name, wrong
from lwcnn.system.files import StrPath

if TYPE_CHECKING:
    import keras
    import pandas as pd

_log = logging.getLogger(__name__)


def list_models() -> pd.DataFrame:
    """Returns the trained networks that `create_model` loads.

    Returns:
        A DataFrame with one row per network and dataset: `name`, `dataset`, `parameters`, `test_accuracy` (0 to 1),
        `int8_bytes` (size of the int8 LiteRT file) and `latency_ms` (of that file for one image, on one CPU thread).

    Examples:
        >>> list_models()["name"].iloc[0]
        'wren-100k-mixing'
    """
    import pandas as pd

    rows = [
        (name, dataset, told.params, told.test_accuracy, told.int8_bytes, told.int8_ms)
        for (name, dataset), told in trained_networks().items()
    ]
    columns = ["name", "dataset", "parameters", "test_accuracy", "int8_bytes", "latency_ms"]
    return pd.DataFrame(rows, columns=columns).astype({"parameters": "Int64", "int8_bytes": "Int64"})


def create_model(
    name: str, pretrained: str | None = None, input_shape: tuple[int, int, int] = (32, 32, 3), num_classes: int = 10
) -> keras.Model:
    """Returns a network by name.

    Args:
        name: A name from `list_models`, or the name of an experiment.
        pretrained: Dataset of the trained weights, such as "cifar10". None initializes the weights at random.
        input_shape: (height, width, channels) of the images; only without `pretrained`.
        num_classes: Number of classes, at least 2; only without `pretrained`.

    Returns:
        A Keras model that maps images (n, height, width, channels), 0 to 255, to logits (n, num_classes). A trained
        network has the attributes `class_names` and `temperature`, which calibrates its probabilities.

    Raises:
        LwcnnError: The network does not exist, was not trained on this dataset, or does not accept the shape.

    Examples:
        >>> create_model("wren", num_classes=7).output_shape
        (None, 7)
    """
    if pretrained is not None:
        from lwcnn.models.io import load_model

        if (input_shape, num_classes) != ((32, 32, 3), 10):
            advice = "Leave out input_shape and num_classes: the trained weights determine them"
            raise wrong(advice, f"{input_shape}, {num_classes} with pretrained={pretrained!r}")
        if not (file := shipped_file(name, pretrained)).exists():
            keys = list(trained_networks())
            known = [" on ".join(key) for key in ([key for key in keys if key[0] == name] or keys)]
            raise unknown_name("trained network", f"{name} on {pretrained}", known)
        return load_model(file)
    from lwcnn.experiments.pipeline import build_model
    from lwcnn.models.layers import check_shapes

    check_shapes(input_shape, num_classes, 1, "pixel")
    return build_model(get_experiment(name, dataset=ImageSpec(input_shape, mirror=False)), input_shape, num_classes)


def load_dataset_for(models: Sequence[StrPath], dataset: str | None, data_dir: StrPath | None = None) -> Dataset:
    """Loads a dataset in the image size of .keras files; by default, the dataset that the first file names.

    Image files are resized as in prediction, arrays only if the model was trained on them in its size. In a folder
    without a test part, all images that no model was trained on are test images.
    """
    told = [read_description(Path(model)) for model in models]
    if not dataset:
        return _load_data_of(models[0], told[0], data_dir)
    shape, folder = read_input_shape(Path(models[0])), Path(os.path.expanduser(dataset))
    if dataset in DATASET_NAMES or not folder.is_dir():
        data = load_dataset(dataset, data_dir)
        if told[0] and shape not in (None, data.input_shape):
            resized = load_dataset(dataset, data_dir, size=shape)
            data = resized if told[0].data_checksum == resized.checksum else data
    elif "test" in find_files(folder):
        data = load_dataset(dataset, data_dir, size=shape)
    else:
        seen = "".join(one.seen or "" for one in told if one)
        data = load_unseen(folder, shape, told[0].class_names if told[0] else (), seen)
    for model, one in zip(models, told, strict=True):
        _warn_of_seen(model, one, data)
    return data


def _warn_of_seen(model: StrPath, told: Description | None, data: Dataset) -> None:
    """Logs that a model was, or may have been, trained on test images."""
    if told and told.seen is not None:
        if (num_seen := int(is_among(data.x_test, told.seen).sum())) > MAX_COPIES * len(data.x_test):
            words = "%s was trained on %d of %d test images, so accuracy is too high"
            _log.warning(words, model, num_seen, len(data.x_test))
    elif told and told.data_checksum != data.checksum:
        _log.warning(
            "%s was trained on %s; if that has some of these images, accuracy is too high", model, told.dataset
        )
    elif told is None and data.name not in DATASET_NAMES:
        _log.warning("%s does not say which images it has seen; if it has seen these, accuracy is too high", model)


def _load_data_of(model: StrPath, told: Description | None, data_dir: StrPath | None) -> Dataset:
    """Loads the public dataset that a model file names."""
    if told is None:
        raise wrong("The file does not name its dataset: give it with --dataset", model)
    advice = f"give the dataset with --dataset. Received: {model}, trained on {told.dataset!r}"
    if told.dataset not in DATASET_NAMES:
        raise LwcnnError(f"The model was trained on images of your own; {advice}")
    data = load_dataset(told.dataset, data_dir)
    if told.data_checksum != data.checksum:
        raise LwcnnError(f"The model was trained on other images than those found; {advice}")
    return data

"""One run: an experiment on a data set with a preset and a seed, trained once and kept as files.

results/<dataset>/<experiment>/<preset>/seed<k>.json          written last: the run is finished
results/<dataset>/<experiment>/<preset>/seed<k>_classes.npy   predicted class of every test image
.lwcnn/<dataset>/                                             what an interrupted run goes on from
"""

import io
import json
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import Dataset, load_dataset, split_for_training
from lwcnn.data.checks import images_at_once
from lwcnn.evaluation import accuracy, keepable, measure_calibration, predict_logits, summarize
from lwcnn.evaluation.diagnostics import warning_signs
from lwcnn.experiments.pipeline import TrainedMethod, train_method
from lwcnn.experiments.recipes import (
    DistilledExperiment,
    Experiment,
    Preset,
    get_experiment,
    get_preset,
    with_class_weight,
)
from lwcnn.experiments.teachers import find_teacher, load_teacher
from lwcnn.models.cost import count_macs
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import compress_archive, read_json, write_atomically, write_json
from lwcnn.system.npz import save_npz
from lwcnn.system.settings import plain_settings
from lwcnn.training.devices import Computing
from lwcnn.training.loop import Images
from lwcnn.training.progress import Progress

SPLIT_SEED = 0  # one validation split for all runs, so that they can be compared
MAX_CLASS_RATIO = 2  # of images; beyond it the macro accuracy is reported too
NUM_FEATURE_IMAGES = 2000
PENULTIMATE_LAYERS = ("head_dense", "features")  # the merged model's and the residual network's


@dataclass(frozen=True)
class Folders:
    """Where runs read and write.

    Attributes:
        results: one JSON a run, committed.
        cache: states of training, final models and test logits; never committed.
        data: folder of `<name>.npz` files; None means $LWCNN_DATA_DIR.
        models: released models, committed.
    """

    results: Path = Path("results")
    cache: Path = Path(".lwcnn")
    data: Path | None = None
    models: Path = Path("models")

    def result(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """The JSON of a run."""
        return Path(self.results) / dataset / experiment / preset / f"seed{seed}.json"

    def classes(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """The predicted classes of a run."""
        return self.result(dataset, experiment, preset, seed).with_name(f"seed{seed}_classes.npy")

    def model(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """The trained model of a run, in the cache."""
        return Path(self.cache) / dataset / experiment / preset / f"seed{seed}.keras"

    def outputs(self, dataset: str, experiment: str, preset: str, seed: int) -> Path:
        """The test logits and features of a run, in the cache."""
        return self.model(dataset, experiment, preset, seed).with_suffix(".npz")


def run_experiment(
    experiment: str,
    dataset: str | Dataset = "cifar10",
    preset: str = "quick",
    seed: int = 0,
    folders: Folders = Folders(),
    progress: Progress | None = None,
    notice: str | None = None,
    computing: Computing = Computing(),
    class_weight: str | None = None,
) -> dict:
    """The result of a run: trained now, gone on with, or found where it is finished.

    Args:
        experiment: a name of `lwcnn.experiments.recipes`.
        dataset: a name, the path of an .npz, or a loaded data set.
        preset: "smoke", "quick" or "full".
        seed: of everything random in the run; the validation split does not depend on it.
        folders: where to read and write.
        progress: what is shown meanwhile.
        notice: kept in the result, such as why this data set was used.
        computing: precision and devices of the training; what differs from the default is part of the
            configuration.
        class_weight: "balanced" weighs the loss so that every class counts alike; part of the configuration.

    Returns:
        What the run's JSON holds.

    Raises:
        LwcnnError: if a name is unknown, the data can't be had, or the results file found is of another
            configuration or other data.
    """
    size, plan = get_preset(preset), get_experiment(experiment, preset)  # wrong names before the data is read
    data = dataset if isinstance(dataset, Dataset) else load_dataset(dataset, folders.data)
    plan = with_class_weight(get_experiment(experiment, preset, data.spec), class_weight)
    config = json.loads(json.dumps(plain_settings(plan)))
    if plain_settings(computing):
        config["computing"] = plain_settings(computing)
    path = folders.result(data.name, experiment, preset, seed)
    if path.exists():
        return check_finished(path, config, data)

    progress = progress or Progress("none")
    training, validation = split_images(data, plan, size)
    teacher = None
    if isinstance(plan, DistilledExperiment):
        paths = find_teacher(plan.teacher, data.name, folders.cache, folders.models)
        teacher = load_teacher(paths)
    trained = train_method(
        plan,
        training,
        validation,
        data.num_classes,
        seed,
        Path(folders.cache) / data.name,
        data.checksum,
        progress,
        teacher,
        computing,
    )
    result = _evaluate(trained, data, training, validation) | {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "data_source": data.source,
        "notice": notice,
        "experiment": experiment,
        "preset": preset,
        "seed": seed,
        "precision": computing.precision,
        "num_devices": computing.devices,
        "config": config,
    }
    result = _ordered(result) | provenance()
    logits = result.pop("logits")
    result["warnings"] = warning_signs(result)
    result = keepable(result)
    keep_model(folders.model(data.name, experiment, preset, seed), trained.model)
    save_npz(
        folders.outputs(data.name, experiment, preset, seed),
        logits=logits.astype(np.float16),
        features=penultimate_features(trained.model, data.x_test[:NUM_FEATURE_IMAGES]).astype(np.float16),
        **({"notice": np.array(notice)} if notice else {}),
    )
    save_classes(folders.classes(data.name, experiment, preset, seed), np.argmax(logits, axis=-1))
    save_classes(Path(folders.results) / data.name / "test_labels.npy", data.y_test)  # for paired tests
    write_json(path, result)
    macro = result.get("test_macro_accuracy")
    beside = "" if macro is None else f", mean of the classes {100 * macro:.2f} %"
    progress.note(f"test accuracy {100 * result['test_accuracy']:.2f} %{beside}, {path}")
    return result


def split_images(data: Dataset, plan: Experiment, size: Preset) -> tuple[Images, Images]:
    """The training and the validation part of a data set's training images."""
    limits = [limit for limit in (size.num_images, plan.num_images) if limit]
    parts = split_for_training(data.y_train, plan.validation, min(limits, default=None), SPLIT_SEED)
    training, validation = (Images(data.x_train, data.y_train, part) for part in parts)
    return training, validation


def _evaluate(trained: TrainedMethod, data: Dataset, training: Images, validation: Images) -> dict:
    """The measurements of a trained model; the only place where a run looks at test images."""
    model = trained.model
    train_pixels, train_labels = training.arrays()
    val_pixels, val_labels = validation.arrays()
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
    """The mean of the classes' test accuracies, where the numbers of images of two classes differ by more than 2."""
    counts = [np.bincount(labels, minlength=data.num_classes) for labels in (data.y_train, data.y_test)]
    if all(count.max() <= MAX_CLASS_RATIO * count.min() for count in counts):
        return {}
    return {"test_macro_accuracy": float(np.mean([value for value in per_class if value is not None]))}


def _ordered(result: dict) -> dict:
    """The result with what identifies it first, for people who open the file."""
    first = ("dataset", "experiment", "preset", "seed", "notice", "val_accuracy", "test_accuracy")
    return {k: result[k] for k in first} | {k: v for k, v in result.items() if k not in first}


def provenance() -> dict:
    """Where and with what a result was made."""
    return {
        "backend": keras.backend.backend(),
        "device": environment.device_name(),
        "num_threads": environment.num_threads(),
        "versions": environment.versions(),
        "commit": environment.commit(),
    }


def check_finished(path: Path, config: dict, data: Dataset, needed: str = "test_accuracy") -> dict:
    """The result in a file, if it is that of this configuration and these images.

    Raises:
        LwcnnError: if it is not, or the file can't be read.
    """
    result = read_json(path)
    is_result = isinstance(result, dict) and {"config", "data_checksum", needed} <= set(result)
    if not is_result or not isinstance(result["config"], dict):
        raise LwcnnError(f"Move {path} away and run again. Received: a file that is not the result of a run")
    if result["config"] != config:
        keys = set(config) | set(result["config"])
        differing = sorted(key for key in keys if result["config"].get(key) != config.get(key))
        raise LwcnnError(
            f"{path} was made with another configuration; move it away, or use another results folder. "
            f"Received a file that differs in: {', '.join(differing)}"
        )
    if result["data_checksum"] != data.checksum:
        raise LwcnnError(
            f"{path} was made with other images; move it away, or use another results folder. "
            f"Received checksum {data.checksum[:12]}, the file has {result['data_checksum'][:12]}"
        )
    return result


def keep_model(path: Path, model: keras.Model) -> None:
    """Saves a model atomically, compressed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.tmp.keras")
    try:
        model.save(temporary)
        compress_archive(temporary)
        temporary.replace(path)
    except OSError as error:
        raise LwcnnError(f"Can't write {path}: {error}. Make room or choose another folder.") from error
    finally:
        temporary.unlink(missing_ok=True)


def save_classes(path: Path, classes: np.ndarray) -> None:
    """Writes class numbers as a uint8 .npy (uint16 beyond 256 classes)."""
    buffer = io.BytesIO()
    np.save(buffer, classes.astype(np.uint8 if classes.max() < 256 else np.uint16))
    write_atomically(path, buffer.getvalue())


def penultimate_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """What the last layers read, for each image: (n, 32) for the merged model."""
    name = next(name for name in PENULTIMATE_LAYERS if any(layer.name == name for layer in model.layers))
    trunk = keras.Model(model.inputs, model.get_layer(name).output)
    return trunk.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0).reshape(len(images), -1)

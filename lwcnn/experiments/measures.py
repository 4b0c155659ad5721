"""Measurements of a trained model that a result records, and how and where the model was trained."""

import keras
import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.data.datasets import Dataset
from lwcnn.evaluation.calibration import measure_calibration
from lwcnn.evaluation.metrics import accuracy, summarize
from lwcnn.evaluation.predict import predict_logits
from lwcnn.experiments.pipeline import TrainedMethod
from lwcnn.models.cost import count_macs
from lwcnn.system import environment
from lwcnn.training.checkpoint import current_computing
from lwcnn.training.images import Split

MAX_CLASS_RATIO = 2  # of images; above it the macro accuracy is reported too


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


def mixed_computing(history: list[dict]) -> list[str]:
    """Returns a warning if parts of a training were computed with different steps or thread counts."""
    ways: list[dict] = []
    for phase in history:
        ways += [way for way in phase["computing"] if way not in ways]
    if len(ways) < 2:
        return []
    words = "; ".join(", ".join(f"{key} {value}" for key, value in way.items()) for way in ways)
    return [f"the phases were trained with different settings ({words}): the same seed gives other weights"]


def provenance() -> dict:
    return {
        "backend": keras.backend.backend(),
        "step": current_computing()["step"],
        "device": environment.device_name(),
        "num_threads": environment.num_threads(),
        "versions": environment.versions(),
        "commit": environment.commit(),
    }


def penultimate_features(model: keras.Model, images: np.ndarray) -> np.ndarray:
    """Returns the inputs of the last layer with weights for each image: (n, 32) for the merged model.

    Those of an ensemble are its last member's.
    """
    last = [layer for layer in model.layers if layer.weights][-1]
    if isinstance(last, keras.Model):
        return penultimate_features(last, images)
    trunk = keras.Model(model.inputs, last.input)
    return trunk.predict(images, batch_size=images_at_once(images.shape[1:]), verbose=0).reshape(len(images), -1)

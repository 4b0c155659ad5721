"""Results folders that the tests make."""

import json

import numpy as np

from lwcnn.experiments.folders import save_classes

CLASSES = [f"class{k}" for k in range(10)]


def write_run(folder, group, seed, wrong, num_images=100, **changes):
    """Writes a run of `num_images` test images of ten classes, the first `wrong` of them taken for the next class."""
    labels = np.arange(num_images) % 10
    classes = np.where(np.arange(num_images) < wrong, (labels + 1) % 10, labels)
    return write_run_of_classes(folder, group, seed, labels, classes, CLASSES, **changes)


def write_run_of_classes(folder, group, seed, labels, classes, class_names, **changes):
    """Writes a run that predicts `classes` for test images with `labels`.

    Args:
        folder: The results folder.
        group: "<dataset>/<experiment>/<preset>".
    """
    dataset, experiment, preset = group.split("/")
    matrix = np.zeros((len(class_names), len(class_names)), int)
    np.add.at(matrix, (labels, classes), 1)
    accuracy = float((classes == labels).mean())
    run = {
        **{"dataset": dataset, "experiment": experiment, "preset": preset, "seed": seed, "params": 14862, "macs": 5000},
        **{"num_train_images": 900, "num_val_images": 100, "train_accuracy": 0.95, "val_accuracy": accuracy},
        **{"test_accuracy": accuracy, "ece": 0.1, "confusion_matrix": matrix.tolist(), "train_seconds": 120.4},
        "per_class_accuracy": {name: matrix[k, k] / matrix[k].sum() for k, name in enumerate(class_names)},
        **{"history": [], "weights": None, "config": {}, "data_checksum": "c", "backend": "jax", "device": "a CPU"},
        **{"num_threads": 1, "versions": {"keras": "3"}, "commit": "abc", "warnings": []},
    }
    path = folder / dataset / experiment / preset / f"seed{seed}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(run | changes))
    save_classes(path.with_name(f"seed{seed}_classes.npz"), classes)
    save_classes(folder / dataset / "test_labels.npz", labels)
    return path


def write_folds(folder, group, accuracies, **changes):
    """Writes a K-fold cross-validation."""
    dataset, experiment, preset = group.split("/")
    leaks = bool(changes.get("leaky"))
    assessment = {
        **{"dataset": dataset, "experiment": experiment, "preset": preset, "seed": 0, "leaky": leaks},
        **{"accuracies": accuracies, "fold_histories": [None] * len(accuracies), "train_seconds": 60.0},
        **{"data_checksum": "c", "backend": "jax", "device": "a CPU", "num_threads": 1, "versions": {"keras": "3"}},
        "commit": "abc",
    }
    path = folder / dataset / experiment / preset / f"kfold{len(accuracies)}{'_leaky' * leaks}_seed0.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(assessment | changes))

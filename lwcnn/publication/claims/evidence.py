"""What there is here to hold against a claim: counts of models built, and figures of the results files, in words.

Each function gives a measurement: a function of the results folder that returns a short text. What was not run says
so, with the command that would run it.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from lwcnn.data import INPUT_SHAPES
from lwcnn.experiments.library import library_model
from lwcnn.models.configs import BRANCHES
from lwcnn.models.dual import build_submodel
from lwcnn.publication.tables.parts_table import compare_experiments
from lwcnn.publication.tables.tables import percent
from lwcnn.system.files import read_json

Measurement = Callable[[Path], str]
PRESETS = ("full", "quick")  # the first that was run
MEBIBYTE = 2**20


def counted(experiment: str, dataset: str = "cifar10", trainable: bool = False) -> Measurement:
    """The parameters of the model that an experiment trains."""

    def measure(results: Path) -> str:
        model = _model(experiment, dataset)
        count = _size(model.trainable_weights) if trainable else model.count_params()
        return f"{count:,} parameters{', trainable' if trainable else ''}, counted"

    return measure


def submodels_counted(dataset: str) -> Measurement:
    """The parameters of the paper's two submodels side by side."""
    return lambda results: f"{_dual_params(dataset):,} parameters, counted"


def float_size(experiment: str, dataset: str = "cifar10", values_per_weight: int = 1) -> Measurement:
    """The size of the weights as float32, each with the optimiser's values that belong to it."""

    def measure(results: Path) -> str:
        size = 4 * values_per_weight * _model(experiment, dataset).count_params() / MEBIBYTE
        slots = f" with {values_per_weight - 1} optimiser slots" if values_per_weight > 1 else ""
        return f"{size:.3f} MiB as float32{slots}"

    return measure


def convolution_share(experiment: str, dataset: str = "cifar10") -> Measurement:
    """How many of the parameters are those of convolutions."""

    def measure(results: Path) -> str:
        model = _model(experiment, dataset)
        inside = sum(_size(layer.weights) for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
        return f"{100 * inside / model.count_params():.1f} % ({inside:,} of {model.count_params():,}), counted"

    return measure


def accuracy(experiment: str, dataset: str = "cifar10") -> Measurement:
    """Test accuracy, mean and deviation over seeds."""
    return _of_runs(experiment, dataset, lambda runs: f"{percent([r['test_accuracy'] for r in runs])} %")


def calibration(experiment: str, dataset: str = "cifar10") -> Measurement:
    """Expected calibration error on the test images, mean over seeds."""
    return _of_runs(experiment, dataset, lambda runs: f"ECE {100 * np.mean([r['ece'] for r in runs]):.1f} %")


def training_time(experiment: str, dataset: str = "cifar10") -> Measurement:
    """Seconds of training, mean over seeds."""
    return _of_runs(experiment, dataset, lambda runs: f"{np.mean([r['train_seconds'] for r in runs]):,.0f} s")


def difference(experiment: str, reference: str, dataset: str = "cifar10") -> Measurement:
    """Test accuracy of an experiment minus that of another, seed by seed, with its bootstrap interval."""

    def measure(results: Path) -> str:
        for preset in PRESETS:
            found = compare_experiments(Path(results) / dataset, preset, experiment, reference)
            if found:
                low, high = 100 * found.low, 100 * found.high
                return f"{100 * found.mean:+.2f} points [{low:+.2f}, {high:+.2f}] ({preset})"
        return not_run(f"{experiment} {reference}", dataset, PRESETS[-1])

    return measure


def folds(experiment: str, dataset: str, leaking: bool = False) -> Measurement:
    """Mean and deviation of the accuracies of K folds, and the same model's test accuracy where they leak."""

    def measure(results: Path) -> str:
        for preset in PRESETS:
            name = "kfold*_leaking_seed*.json" if leaking else "kfold[0-9]_seed*.json"
            found = [read_json(p) for p in sorted((Path(results) / dataset / experiment / preset).glob(name))]
            if found:
                test = f", test {100 * found[0]['test_accuracy']:.2f} %" if leaking else ""
                return f"folds {percent(found[0]['accuracies'])} %{test} ({preset})"
        return f"not run: `lwcnn kfold {experiment} --dataset {dataset}{' --leaking' if leaking else ''}`"

    return measure


def latency(experiment: str, runtime: str = "keras function", dataset: str = "cifar10") -> Measurement:
    """Median time of one image on one CPU thread."""

    def measure(results: Path) -> str:
        path, model = Path(results) / "bench.json", f"{dataset}-{experiment}.keras"
        entries = read_json(path).get("models", []) if path.exists() else []
        rows = [row for entry in entries if Path(entry["model"]).name == model for row in entry["rows"]]
        times = [row["batch1"]["p50_ms"] for row in rows if row["name"] == runtime and "batch1" in row]
        if times:
            return f"`{experiment}` {times[0]:.3g} ms ({runtime}, one CPU thread)"
        return f"not measured: `lwcnn bench models/{model} --json results/bench.json`"

    return measure


def together(*measurements: Measurement, names: tuple[str, ...] = ()) -> Measurement:
    """Several measurements in one text, each after its name where there are names."""

    def measure(results: Path) -> str:
        texts = [one(results) for one in measurements]
        return "; ".join(f"{name} {text}" for name, text in zip(names, texts)) if names else "; ".join(texts)

    return measure


def not_run(experiments: str, dataset: str, preset: str) -> str:
    """What stands in place of a result, with the command that makes it."""
    return f"not run: `lwcnn train {experiments} --dataset {dataset} --preset {preset} --seeds 0 1 2`"


def _of_runs(experiment: str, dataset: str, describe: Callable[[list[dict]], str]) -> Measurement:
    """A measurement of the runs of the largest preset."""

    def measure(results: Path) -> str:
        for preset in PRESETS:
            paths = sorted((Path(results) / dataset / experiment / preset).glob("seed*.json"))
            if paths:
                seeds = "1 seed" if len(paths) == 1 else f"{len(paths)} seeds"
                return f"{describe([read_json(path) for path in paths])} ({preset}, {seeds})"
        return not_run(experiment, dataset, PRESETS[0])

    return measure


def _model(experiment: str, dataset: str) -> keras.Model:
    return library_model(experiment, INPUT_SHAPES[dataset], 10)


def _dual_params(dataset: str) -> int:
    return sum(build_submodel(INPUT_SHAPES[dataset], 10, name).count_params() for name in BRANCHES)


def _size(weights) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)

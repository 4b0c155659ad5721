"""Benchmarks models in several formats."""

import os
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from lwcnn.data.datasets import Dataset
from lwcnn.evaluation.predict import input_shape, require_classifier, require_fit
from lwcnn.experiments.shipped import is_untrained, model_file
from lwcnn.experiments.zoo import create_model
from lwcnn.export.bench import measure
from lwcnn.export.convert import convert, draw_calibration_images
from lwcnn.export.formats import (
    BENCH_FORMATS,
    FORMATS,
    PACKAGES,
    Runtime,
    gzip_bytes,
    require_format,
    require_tensorflow,
)
from lwcnn.models.cost import count_macs
from lwcnn.models.description import model_checksum, read_description
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.files import StrPath

BATCH_SIZES = (1, 8, 32, 128, 512)  # the best throughput is reported
NUM_WARM_UP = 30  # untimed calls of one image in a round, before those that are timed
MAX_SECONDS = 1.0  # limit of either
THROUGHPUT_SECONDS = 0.1  # per batch size and round
_TIMES = {"mean ms": "mean_ms", "p50": "p50_ms", "p90": "p90_ms", "p99": "p99_ms"}
_KERAS_PREDICT = "keras predict"  # as in published latencies; most of the time sets up a loop over batches


@dataclass
class _Candidate:
    """A model to measure: its runtimes and files by format, and what each round measured."""

    path: Path
    model: keras.Model
    images: np.ndarray
    opened: dict[str, tuple[Runtime, Path]]
    latencies: dict[str, list[np.ndarray]] = field(default_factory=lambda: defaultdict(list))
    throughputs: dict[str, list[list[float]]] = field(default_factory=lambda: defaultdict(list))

    def measure_round(self, num_calls: int) -> None:
        for name, (runtime, _) in self.opened.items():
            call = partial(runtime.run, runtime.prepare(self.images[:1]))
            self.latencies[name].append(measure.time_calls(call, num_calls, MAX_SECONDS, NUM_WARM_UP))
            batches = (runtime.prepare(np.resize(self.images, (n, *self.images.shape[1:]))) for n in BATCH_SIZES)
            self.throughputs[name].append(
                [measure.images_per_second(runtime.run, batch, THROUGHPUT_SECONDS) for batch in batches]
            )

    def summarize(self) -> dict:
        """Returns the medians over the rounds, and measures peak memory."""
        told = read_description(self.path)
        return {
            "model": self.path.name,
            "dataset": told.dataset if told else "",
            "experiment": told.experiment if told else self.path.stem,
            "model_sha256": model_checksum(self.path),
            "parameters": self.model.count_params(),
            "macs": count_macs(self.model),
            "rows": [self._row(name, file) for name, (_, file) in self.opened.items()],
        }

    def _row(self, name: str, file: Path) -> dict:
        content, by_batch = file.read_bytes(), np.median(self.throughputs[name], axis=0).round(2)
        best = int(by_batch.argmax())
        return {
            "name": name,
            "batch1": measure.summarize_rounds(self.latencies[name]),
            "images_per_second": float(by_batch[best]),
            "best_batch_size": BATCH_SIZES[best],
            "images_per_second_by_batch_size": dict(zip(map(str, BATCH_SIZES), by_batch.tolist())),
            "size_bytes": len(content),
            "gzip_bytes": gzip_bytes(content),
            # The memory of `predict` is that of the function.
            **({} if name == _KERAS_PREDICT else measure.measure_memory(name, file, self.images.shape[1:])),
        }


def bench_models(
    models: Sequence[StrPath],
    formats: Sequence[str] = BENCH_FORMATS,
    data: Dataset | None = None,
    rounds: int = 5,
    num_calls: int = 300,
) -> dict:
    """Measures models in several formats, on the process's threads; results are medians over rounds.

    Each round measures every model in every format, so that slow phases of the machine affect all alike. A call is
    timed from an image in memory, in the runtime's input type, to logits in a NumPy array. `models` are .keras files,
    names of trained networks, or names of other experiments, which get random weights. Without data, images are random,
    and networks with random weights have inputs of 32x32x3.
    """
    require_tensorflow()
    for name in set(formats) - {"keras"}:
        require_format(name)
    load_before = round(os.getloadavg()[0], 2)  # of others: converting loads all cores, too
    with tempfile.TemporaryDirectory() as folder:
        files = [_model_file(model, data, Path(folder)) for model in models]
        opened = [_open(file, data) for file in files]  # errors are reported before anything is measured
        candidates = [
            _Candidate(file, model, images, _open_formats(file, model, formats, calibration, folder))
            for file, model in zip(files, opened, strict=True)
            for images, calibration in [_images(model, data)]
        ]
        for number in range(rounds):
            for candidate in candidates:
                print(f"round {number + 1} of {rounds}: {candidate.path.name}", flush=True)
                candidate.measure_round(num_calls)
        measured = [candidate.summarize() for candidate in candidates]
    return {
        "machine": {
            "device": environment.device_name(),
            "threads": environment.num_threads(),
            "load_average_before": load_before,
            "load_average_after": round(os.getloadavg()[0], 2),
        },
        "versions": environment.versions(PACKAGES),
        "commit": environment.commit(),
        "settings": {"rounds": rounds, "num_calls": num_calls, "batch_sizes": list(BATCH_SIZES)},
        "images": data.name if data else "random; int8 calibrated on them: for speed and size, not for use",
        "peak_memory": measure.HOW_MEMORY,
        "models": measured,
    }


def bench_table(found: dict) -> pd.DataFrame:
    """Returns a result of `bench_models` as text, a row per model and runtime; a MB has 1,000,000 bytes."""
    return pd.DataFrame(
        {
            "model": model["model"].removesuffix(".keras"),
            "format": row["name"],
            **{title: f"{row['batch1'][key]:.3f}" for title, key in _TIMES.items()},
            "images/s": f"{row['images_per_second']:,.0f}",
            "batch": str(row["best_batch_size"]),
            "peak MB": f"{row['peak_memory_bytes'] / 1e6:.0f}" if row.get("peak_memory_bytes") else "",
            "bytes": f"{row['size_bytes']:,}",
            "gzip": f"{row['gzip_bytes']:,}",
            "MACs": f"{model['macs']:,}",
            "params": f"{model['parameters']:,}",
        }
        for model in found["models"]
        for row in model["rows"]
    )


def _model_file(model: StrPath, data: Dataset | None, folder: Path) -> Path:
    """Returns the file of a model; for an experiment without a trained network, writes its model into the folder."""
    if not is_untrained(model):
        return model_file(model, data.name if data else None)
    file, shapes = folder / f"{model}.keras", (data.input_shape, data.num_classes) if data else ()
    create_model(str(model), None, *shapes).save(file)
    return file


def _open(path: Path, data: Dataset | None) -> keras.Model:
    """Loads a model, and checks that it takes the images of the data or, without data, images of one size."""
    model = load_model(path)
    if data is not None:
        require_fit(model, path, data)
    else:
        require_classifier(model)
        input_shape(model)
    return model


def _images(model: keras.Model, data: Dataset | None) -> tuple[np.ndarray, np.ndarray]:
    """Returns images to run a model on, and images to calibrate its int8 file on."""
    if data is not None:
        return data.x_test, draw_calibration_images(data.x_train)
    shape = (max(BATCH_SIZES), *model.input_shape[1:])
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return images, draw_calibration_images(images, 100)


def _open_formats(
    path: Path, model: keras.Model, formats: Sequence[str], calibration: np.ndarray, folder: str
) -> dict[str, tuple[Runtime, Path]]:
    """Returns a model in each format, ready to run, and its file; converted files are written into a new subfolder."""
    print(f"{path.name}: opening", flush=True)
    own_folder = Path(tempfile.mkdtemp(dir=folder))  # of two models with the same name, too
    opened: dict[str, tuple[Runtime, Path]] = {}
    for name in formats:
        if name == "keras":
            predict = Runtime(lambda prepared: model.predict(prepared, batch_size=len(prepared), verbose=0))
            opened |= {measure.KERAS: (measure.open_keras(path), path), _KERAS_PREDICT: (predict, path)}
        else:
            content, file = convert(model, name, calibration), own_folder / name
            file.write_bytes(content)
            opened[name] = FORMATS[name].open(content), file
    return opened

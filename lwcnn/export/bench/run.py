"""Benchmarks models in several formats, in interleaved rounds."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import keras
import numpy as np

from lwcnn.data.datasets import Dataset
from lwcnn.evaluation.predict import require_fit
from lwcnn.experiments.recipes import EXPERIMENT_NAMES, NETWORKS
from lwcnn.experiments.zoo import create_model, model_file
from lwcnn.export.bench import peak_memory
from lwcnn.export.bench.measure import images_per_second, summarize_rounds, time_calls
from lwcnn.export.extras import require_tensorflow, versions
from lwcnn.export.formats import BENCH_FORMATS, NUM_CALIBRATION_IMAGES, gzip_bytes
from lwcnn.export.litert import draw_calibration_images
from lwcnn.export.run import FORMATS, convert, require_format
from lwcnn.export.runtime import ExportedModel
from lwcnn.models.cost import count_macs
from lwcnn.models.description import model_checksum
from lwcnn.models.io import load_model
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, unknown_name

HOW_MEMORY = "VmHWM of a fresh process that imports the runtime, loads the file and runs one image 100 times"
_KERAS_PREDICT = "keras predict"  # its memory is that of the function


@dataclass(frozen=True)
class Settings:
    """Settings of a benchmark. In each round every runtime is measured once; results are medians over rounds."""

    rounds: int = 5
    num_calls: int = 300  # timed calls of one image in a round
    num_warm_up: int = 30  # untimed calls before
    max_seconds: float = 1.0  # limit of these calls
    batch_sizes: tuple[int, ...] = (1, 8, 32, 128, 512)  # the best throughput is reported
    throughput_seconds: float = 0.1  # per batch size and round
    memory: bool = True  # whether to measure peak memory, in one process per format


class KerasFunction(ExportedModel):
    """Runs a model as a compiled function."""

    def __init__(self, model: keras.Model):
        tf = require_tensorflow()
        signature = [tf.TensorSpec((None, *model.inputs[0].shape[1:]), tf.float32)]
        self._function = tf.function(lambda images: model(images, training=False), input_signature=signature)

    def run(self, prepared: np.ndarray) -> np.ndarray:
        return self._function(prepared).numpy()


class KerasPredict(ExportedModel):
    """Runs a model by `predict`, as many published latencies: most of its time is the set-up of a loop over batches."""

    def __init__(self, model: keras.Model):
        self._model = model

    def run(self, prepared: np.ndarray) -> np.ndarray:
        return self._model.predict(prepared, batch_size=len(prepared), verbose=0)


def bench_models(
    paths: Sequence[str | Path],
    formats: Sequence[str] = BENCH_FORMATS,
    data: Dataset | None = None,
    settings: Settings = Settings(),
    note: Callable[[str], None] = lambda line: None,
) -> dict:
    """Measures models in several formats. Limit the process to one thread, as `lwcnn bench` does.

    A call is timed from an image in memory, in the runtime's input type, to logits in a NumPy array. `paths` are .keras
    files, or names of experiments, whose models have random weights and 32x32x3 inputs. Without data, images are
    random, which suffices for speed and size, but not for a usable int8 model.
    """
    require_tensorflow()
    for name in formats:
        if name not in BENCH_FORMATS:
            raise unknown_name("format", name, BENCH_FORMATS)
        if name in FORMATS:
            require_format(name)
    if settings.rounds < 1 or settings.num_calls < 1:
        raise LwcnnError(f"Give at least one round and one call. Received: {settings}")
    load_before = _load_average()
    with tempfile.TemporaryDirectory() as folder:
        files = [_model_file(path, Path(folder)) for path in paths]
        models = [_bench_model(file, formats, data, settings, Path(folder), note) for file in files]
    return {
        "machine": {
            "device": environment.device_name(),
            "threads": environment.num_threads(),
            "load_average_before": load_before,
            "load_average_after": _load_average(),
        },
        "versions": versions(),
        "settings": {**asdict(settings), "batch_sizes": list(settings.batch_sizes)},
        "images": data.name if data else "random; int8 calibrated on them: for speed and size, not for use",
        "peak_memory": HOW_MEMORY,
        "models": models,
    }


def _model_file(path: str | Path, folder: Path) -> Path:
    """Returns the file of a model; for an experiment without a trained network, writes its model into the folder."""
    if str(path) in NETWORKS or str(path) not in EXPERIMENT_NAMES:
        return model_file(path)
    file = folder / f"{path}.keras"
    create_model(str(path)).save(file)
    return file


def _bench_model(path: Path, formats, data: Dataset | None, settings: Settings, folder: Path, note) -> dict:
    model = load_model(path)
    if data is not None:
        require_fit(model, path, data)
        images, calibration = data.x_test, draw_calibration_images(data.x_train, NUM_CALIBRATION_IMAGES)
    else:
        shape = (max(settings.batch_sizes), *model.input_shape[1:])
        images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        calibration = draw_calibration_images(images, 100)
    note(f"{path.name}: converting")
    runtimes: dict[str, ExportedModel] = {}
    files: dict[str, Path] = {}
    for name in formats:
        if name == "keras":
            runtimes |= {"keras function": KerasFunction(model), _KERAS_PREDICT: KerasPredict(model)}
            files |= {"keras function": path, _KERAS_PREDICT: path}
        else:
            content = convert(model, name, calibration)
            runtimes[name], files[name] = FORMATS[name].open(content), folder / f"{path.stem}-{name}"
            files[name].write_bytes(content)
    latencies: dict[str, list] = {name: [] for name in runtimes}
    throughputs: dict[str, list] = {name: [] for name in runtimes}
    for number in range(settings.rounds):
        note(f"{path.name}: round {number + 1} of {settings.rounds}")
        for name, runtime in runtimes.items():
            call = partial(runtime.run, runtime.prepare(images[:1]))
            times = time_calls(call, settings.num_calls, settings.max_seconds, settings.num_warm_up)
            latencies[name].append(times)
            throughputs[name].append(_throughputs(runtime, images, settings))
    if settings.memory:
        note(f"{path.name}: memory")
    rows = []
    for name, file in files.items():
        content = file.read_bytes()
        by_batch = np.median(throughputs[name], axis=0)
        best = int(by_batch.argmax())
        rows.append(
            {
                "name": name,
                "batch1": summarize_rounds(latencies[name]),
                "images_per_second": float(by_batch[best]),
                "best_batch_size": settings.batch_sizes[best],
                "images_per_second_by_batch_size": dict(zip(map(str, settings.batch_sizes), by_batch.tolist())),
                "size_bytes": len(content),
                "gzip_bytes": gzip_bytes(content),
                **(_measure_memory(name, file) if settings.memory and name != _KERAS_PREDICT else {}),
            }
        )
    return {
        "model": path.name,
        "model_sha256": model_checksum(path),
        "parameters": model.count_params(),
        "macs": count_macs(model),
        "rows": rows,
    }


def _throughputs(runtime: ExportedModel, images: np.ndarray, settings: Settings) -> list[float]:
    throughputs = []
    for size in settings.batch_sizes:
        batch = runtime.prepare(np.resize(images, (size, *images.shape[1:])))
        throughputs.append(images_per_second(partial(runtime.run, batch), size, settings.throughput_seconds))
    return throughputs


def _measure_memory(name: str, file: Path) -> dict[str, int]:
    """Measures `peak_memory_bytes` of a new process, and `python_memory_bytes` before importing the runtime."""
    paths = [str(Path(__file__).resolve().parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", peak_memory.__file__, name, str(file.resolve())],
        env=os.environ | environment.thread_environment(1) | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LwcnnError(
            f"Turn off the memory measurement; it failed for {name}. Received: {done.stderr.strip()[-500:]}"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return {"peak_memory_bytes": found["peak_bytes"], "python_memory_bytes": found["before_bytes"]}


def _load_average() -> float | None:
    """Returns the load average of the last minute; timings are unreliable if it exceeds the number of cores."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None

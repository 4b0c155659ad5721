"""The benchmark from beginning to end: every model in every format, side by side, in turn."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np

from lwcnn.data import Dataset
from lwcnn.evaluation import require_fit
from lwcnn.experiments.library import library_model
from lwcnn.experiments.recipes import EXPERIMENT_NAMES
from lwcnn.export.bench import peak_memory
from lwcnn.export.bench.measure import images_per_second, summarize_rounds, time_calls
from lwcnn.export.bench.runtimes import Contender, build_contenders
from lwcnn.export.extras import require_tensorflow, versions
from lwcnn.export.formats import BENCH_FORMATS, NUM_CALIBRATION_IMAGES
from lwcnn.export.litert import draw_calibration_images
from lwcnn.export.sizes import gzip_bytes
from lwcnn.models.cost import count_macs
from lwcnn.models.io import file_checksum, load_model
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, unknown_name

HOW_MEMORY = "VmHWM of a fresh process that imports the runtime, loads the file and runs one image 100 times"


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Args:
        rounds: times that every contender has its turn; figures are medians over them.
        num_calls: calls of batch 1 in a round; num_warm_up: calls before them.
        max_seconds: after this time a round of calls ends, however few they were.
        batch_sizes: those among which the throughput is best.
        throughput_seconds: time for each of them in a round.
        memory: whether peak memory is measured (a process for each format).
    """

    rounds: int = 5
    num_calls: int = 300
    num_warm_up: int = 30
    max_seconds: float = 1.0
    batch_sizes: tuple[int, ...] = (1, 8, 32, 128, 512)
    throughput_seconds: float = 0.1
    memory: bool = True


def bench_models(
    paths: Sequence[str | Path],
    formats: Sequence[str] = BENCH_FORMATS,
    data: Dataset | None = None,
    settings: Settings = Settings(),
    note: Callable[[str], None] = lambda line: None,
) -> dict:
    """Measures models in formats. The process it runs in should be held to one thread: `lwcnn bench` does that.

    A call is timed from an image in memory, in the type that the runtime takes, to logits in a NumPy array.

    Args:
        paths: .keras files, or names of experiments, whose models have random weights and are for 32x32x3 images.
        formats: of `BENCH_FORMATS`.
        data: for the images and int8's calibration; None takes random images, which serve for speed and
            size, not for an int8 model to be used.
        settings: how much is measured.
        note: is told what is going on.

    Returns:
        machine, settings, versions, what was measured and how, and for each model its parameters,
        multiply-accumulates and a row for each way to run it.

    Raises:
        LwcnnError: an unknown format, a model that can't be read, converted or does not fit the data.
    """
    require_tensorflow()
    for name in formats:
        if name not in BENCH_FORMATS:
            raise unknown_name("format", name, BENCH_FORMATS)
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
    """The file of a model, or of one that an experiment's name stands for, written into the folder."""
    if Path(path).suffix == ".keras" or str(path) not in EXPERIMENT_NAMES:
        return Path(path)
    file = folder / f"{path}.keras"
    library_model(str(path)).save(file)
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
    contenders = [c for name in formats for c in build_contenders(model, path, name, folder, calibration)]
    latencies: dict[str, list] = {c.name: [] for c in contenders}
    throughputs: dict[str, list] = {c.name: [] for c in contenders}
    for number in range(settings.rounds):
        note(f"{path.name}: round {number + 1} of {settings.rounds}")
        for contender in contenders:
            latencies[contender.name].append(_latencies(contender, images, settings))
            throughputs[contender.name].append(_throughputs(contender, images, settings))
    memory = {}
    if settings.memory:
        note(f"{path.name}: memory")
        memory = {c.format: _measure_memory(c) for c in contenders if c.name != "keras predict"}
    rows = []
    for contender in contenders:
        content = contender.file.read_bytes()
        by_batch = np.median(throughputs[contender.name], axis=0)
        best = int(by_batch.argmax())
        rows.append(
            {
                "name": contender.name,
                "batch1": summarize_rounds(latencies[contender.name]),
                "images_per_second": float(by_batch[best]),
                "best_batch_size": settings.batch_sizes[best],
                "images_per_second_by_batch_size": dict(zip(map(str, settings.batch_sizes), by_batch.tolist())),
                "size_bytes": len(content),
                "gzip_bytes": gzip_bytes(content),
                **({} if contender.name == "keras predict" else memory.get(contender.format, {})),
            }
        )
    return {
        "model": path.name,
        "model_sha256": file_checksum(path),
        "parameters": model.count_params(),
        "macs": count_macs(model),
        "rows": rows,
    }


def _latencies(contender: Contender, images: np.ndarray, settings: Settings) -> np.ndarray:
    image = contender.prepare(images[:1])
    return time_calls(partial(contender.run, image), settings.num_calls, settings.max_seconds, settings.num_warm_up)


def _throughputs(contender: Contender, images: np.ndarray, settings: Settings) -> list[float]:
    figures = []
    for size in settings.batch_sizes:
        batch = contender.prepare(np.resize(images, (size, *images.shape[1:])))
        figures.append(images_per_second(partial(contender.run, batch), size, settings.throughput_seconds))
    return figures


def _measure_memory(contender: Contender) -> dict[str, int]:
    """peak_memory_bytes of a fresh process, and python_memory_bytes, those before the runtime was imported."""
    root = Path(__file__).resolve().parents[3]
    places = [str(root), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(
        [sys.executable, "-P", peak_memory.__file__, contender.format, str(contender.file.resolve())],
        env=os.environ | environment.thread_environment(1) | {"PYTHONPATH": os.pathsep.join(places)},
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        raise LwcnnError(
            f"The memory of {contender.name} could not be measured. Received: {done.stderr.strip()[-500:]}"
        )
    found = json.loads(done.stdout.splitlines()[-1])
    return {"peak_memory_bytes": found["peak_bytes"], "python_memory_bytes": found["before_bytes"]}


def _load_average() -> float | None:
    """Processes that wanted a core in the last minute: more than there are cores makes times doubtful."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None

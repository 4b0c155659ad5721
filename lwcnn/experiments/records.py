"""What a result says about its run: which one it is, how and where it was trained; loads those of finished runs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from lwcnn.data.datasets import Dataset
from lwcnn.experiments.recipes import Experiment
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json
from lwcnn.system.locking import locked
from lwcnn.system.settings import plain_settings
from lwcnn.training.checkpoint import current_computing
from lwcnn.training.devices import Computing
from lwcnn.training.steps import step_name


def identify(
    plan: Experiment, data: Dataset, preset: str, seed: int, computing: Computing = Computing()
) -> dict[str, Any]:
    """Returns the entries of a result that identify its run: its name and all that determines its weights."""
    config = plain_settings(plan)
    if special := plain_settings(computing):
        config["computing"] = special
    return {
        "dataset": data.name,
        "data_checksum": data.checksum,
        "experiment": plan.name,
        "preset": preset,
        "seed": seed,
        "config": config,
        "backend": keras.backend.backend(),
        "step": step_name(),
    }


def load_or_make(path: Path, run: dict, make: Callable[[], dict], needed: str, note: Callable[[str], None]) -> dict:
    """Returns the result at a path, which one process makes and writes with `make` if it does not exist."""
    result = None
    if not path.exists():
        with locked(path, note):
            if not path.exists():  # else another process has written it in the meantime
                result = make()
    if result is None:
        result = check_finished(path, run, needed)
        for name in ("backend", "step"):
            if result.get(name, run[name]) != run[name]:  # older results do not have every key
                note(f"{path} is taken as it is: it was made with {name} {result[name]}, this process has {run[name]}")
        note(f"finished before: {needed.replace('_', ' ')} {100 * result[needed]:.2f} %, {path}")
    for sign in result.get("warnings", []):
        note(f"sign of trouble: {sign}")
    return result


def check_finished(path: Path, run: dict, needed: str = "test_accuracy") -> dict:
    """Loads a result and checks that it belongs to a run, and has the accuracy `needed`."""
    result = read_json(path)
    config, checksum, accuracy = result["config"], result["data_checksum"], result[needed]
    if not isinstance(config, dict) or not isinstance(checksum, str) or not isinstance(accuracy, (int, float)):
        raise LwcnnError(f"Move {path} away and run again. Received: a file that is not the result of a run")
    if config != run["config"]:
        keys = set(config) | set(run["config"])
        differing = sorted(key for key in keys if config.get(key) != run["config"].get(key))
        raise LwcnnError(
            f"{path} was made with another configuration; move it away, or use another results folder. "
            f"Received a file that differs in: {', '.join(differing)}"
        )
    if checksum != run["data_checksum"]:
        raise LwcnnError(
            f"{path} was made with other images; move it away, or use another results folder. "
            f"Received checksum {run['data_checksum'][:12]}, the file has {checksum[:12]}"
        )
    return result


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

"""Result files of finished runs: reading one, and checking that it belongs to a configuration and data."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import keras

from lwcnn.data import Dataset
from lwcnn.system.errors import LwcnnError
from lwcnn.system.files import read_json
from lwcnn.system.locking import locked
from lwcnn.training.steps import step_name


def read_result(path: Path, needed: Sequence[str] = ()) -> dict:
    """Loads a result that must have the keys `needed`.

    Raises:
        LwcnnError: The file can't be read or is not a result with these keys.
    """
    result = read_json(path)
    if not isinstance(result, dict) or not set(needed) <= set(result):
        raise LwcnnError(f"Move {path} away and run again. Received: a file that is not the result of a run")
    return result


def load_or_make(
    path: Path, make: Callable[[], dict], config: dict, data: Dataset, needed: str, note: Callable[[str], None]
) -> dict:
    """Returns the result at a path, which one process makes if it does not exist.

    Args:
        path: Path of the result.
        make: Function that makes and writes the result.
        config, data, needed, note: As in `check_finished`.
    """
    if not path.exists():
        with locked(path, note):
            if not path.exists():  # else another process has written it in the meantime
                return make()
    environment = {"backend": keras.backend.backend(), "step": step_name()}
    return check_finished(path, config, data, needed, environment, note)


def check_finished(
    path: Path,
    config: dict,
    data: Dataset,
    needed: str = "test_accuracy",
    environment: Mapping[str, str] | None = None,
    note: Callable[[str], None] = lambda text: None,
) -> dict:
    """Loads a result and checks that it belongs to a configuration and data.

    Args:
        path: Path of the result.
        config: Settings of the run.
        data: Data set of the run.
        needed: Key that the result must have.
        environment: Backend and training step of this process, under their keys in a result.
        note: Function that receives a message if the result was made with others.
    """
    result = read_result(path, ("config", "data_checksum", needed))
    found = result["config"]
    if not isinstance(found, dict) or not isinstance(result["data_checksum"], str):
        raise LwcnnError(f"Move {path} away and run again. Received: a file that is not the result of a run")
    if found != config:
        differing = sorted(key for key in set(config) | set(found) if found.get(key) != config.get(key))
        raise LwcnnError(
            f"{path} was made with another configuration; move it away, or use another results folder. "
            f"Received a file that differs in: {', '.join(differing)}"
        )
    if result["data_checksum"] != data.checksum:
        raise LwcnnError(
            f"{path} was made with other images; move it away, or use another results folder. "
            f"Received checksum {data.checksum[:12]}, the file has {result['data_checksum'][:12]}"
        )
    for name, value in (environment or {}).items():
        if result.get(name, value) != value:  # older results do not have every key
            note(f"{path} is taken as it is: it was made with {name} {result[name]}, this process has {value}")
    return result

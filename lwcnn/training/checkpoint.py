"""All that a run must remember to go on after an interruption to the same weights as without it."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import keras
import numpy as np

from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz, save_npz

FORMAT = 2


@dataclass
class PhaseState:
    """Where a phase stands after its last whole epoch.

    Attributes:
        epoch: how many epochs are done.
        finished: whether the phase has ended.
        wait: epochs since the best one.
        best: the best validation accuracy (or loss, its sign changed), an output each, and on average (last).
        best_epoch: the epoch, from 1, of each of them.
        history: one dict an epoch.
        diverged: the epoch, from 1, in which the loss became NaN or infinite; 0 if none.
        seconds: time spent in training, validation included.
        weights: the model's weights, now (while training) or in the end.
        best_weights: the weights at the best epoch; with separate bests, composed branch by branch.
        optimizer: the optimizer's variables.
        seeds: the states of the layers' random generators.
        average: the state of the weights' `MovingAverage`, where there is one.
    """

    epoch: int = 0
    finished: bool = False
    wait: int = 0
    best: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    diverged: int = 0
    seconds: float = 0.0
    weights: list[np.ndarray] = field(default_factory=list)
    best_weights: list[np.ndarray] = field(default_factory=list)
    optimizer: list[np.ndarray] = field(default_factory=list)
    seeds: list[np.ndarray] = field(default_factory=list)
    average: list[np.ndarray] = field(default_factory=list)


_ARRAYS = ("weights", "best_weights", "optimizer", "seeds", "average")


def save_state(path: Path, state: PhaseState, key: str) -> None:
    """Writes the state atomically. `key` names the configuration that it belongs to."""
    plain = {k: v for k, v in asdict(state).items() if k not in _ARRAYS}
    counts = {name: len(getattr(state, name)) for name in _ARRAYS}
    header = json.dumps({"format": FORMAT, "key": key, "state": plain, "counts": counts})
    arrays = {f"{name}_{i}": a for name in _ARRAYS for i, a in enumerate(getattr(state, name))}
    save_npz(path, header=np.array(header), **arrays)


def load_state(path: Path, key: str) -> PhaseState | None:
    """The state in a file; None if there is none.

    Raises:
        LwcnnError: if the file can't be read or belongs to another configuration.
    """
    if not Path(path).exists():
        return None
    arrays = load_npz(path)
    header = json.loads(str(arrays.pop("header", '{"key": null, "format": null}')))
    if header["key"] != key or header["format"] != FORMAT:
        raise LwcnnError(
            f"{path} was written with another configuration or version; delete it to train afresh. "
            f"Received: {header['key']!r}, expected: {key!r}"
        )
    lists = {name: [arrays[f"{name}_{i}"] for i in range(n)] for name, n in header["counts"].items()}
    return PhaseState(**header["state"], **lists)


def random_states(model: keras.Model) -> list[keras.Variable]:
    """The state variables of the model's random generators (dropout)."""
    generators = [getattr(layer, "seed_generator", None) for layer in model.layers]
    return [generator.state for generator in generators if generator is not None]


def values(variables) -> list[np.ndarray]:
    """NumPy copies of the variables."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assign(variables, arrays: list[np.ndarray]) -> None:
    """Sets the variables to the arrays."""
    if len(variables) != len(arrays):
        raise LwcnnError(f"The checkpoint has {len(arrays)} arrays for {len(variables)} variables.")
    for variable, array in zip(variables, arrays):
        variable.assign(array)

"""All that a run must remember to go on after an interruption to the same weights as without it."""

import itertools
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError
from lwcnn.system.npz import load_npz, save_npz
from lwcnn.training.steps import step_name

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
        computing: Settings of `current_computing` under which the epochs were trained, each once.
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
    computing: list[dict] = field(default_factory=list)

    def join_computing(self, note: Callable[[str], None]) -> None:
        """Records the settings of this process, and notes where earlier epochs had others."""
        now = current_computing()
        if self.computing and now not in self.computing:
            note(f"resumed with {_words(now)}; the epochs before had {_words(self.computing[-1])}")
        if now not in self.computing:
            self.computing.append(now)


def current_computing() -> dict:
    """Returns the settings of this process that change the rounding of the weights."""
    return {"step": step_name(), "threads": environment.num_threads()}


def _words(computing: dict) -> str:
    return ", ".join(f"{name} {value}" for name, value in computing.items())


_ARRAYS = ("weights", "best_weights", "optimizer", "seeds", "average")


def save_state(path: Path, state: PhaseState, key: str) -> None:
    """Writes the state atomically. `key` names the configuration that it belongs to."""
    plain = {k: v for k, v in asdict(state).items() if k not in _ARRAYS}
    counts = {name: len(getattr(state, name)) for name in _ARRAYS}
    header = json.dumps({"format": FORMAT, "key": key, "state": plain, "counts": counts})
    arrays = {f"{name}_{i}": a for name in _ARRAYS for i, a in enumerate(getattr(state, name))}
    save_npz(path, header=np.array(header), **arrays)


def load_state(
    path: Path, key: str, model: keras.Model | None = None, note: Callable[[str], None] = lambda text: None
) -> PhaseState | None:
    """Returns the state in a file; None if there is none that can be read.

    A damaged file is renamed, so that the phase begins anew.

    Args:
        path: The file.
        key: Name of the configuration.
        model: Model that the state's weights must fit.
        note: Receives the words that say that a file was set aside.

    Raises:
        LwcnnError: The file belongs to another configuration.
    """
    if not Path(path).exists():
        return None
    try:
        arrays = load_npz(path)
        header = json.loads(str(arrays.pop("header")))
        if header["format"] != FORMAT:
            raise ValueError(f"it has format {header['format']}, this version writes {FORMAT}")
        if (found := header["key"]) == key:
            counts = header["counts"]
            lists: dict[str, Any] = {name: [arrays[f"{name}_{i}"] for i in range(counts[name])] for name in _ARRAYS}
            return _checked(PhaseState(**header["state"], **lists), model)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # LwcnnError is a ValueError
        aside = _set_aside(Path(path))
        reason = " ".join(str(error).split())[:200]
        note(f"the checkpoint {path} can't be read ({reason}): it is now {aside.name}, and the phase begins anew")
        return None
    raise LwcnnError(
        f"{path} was written with another configuration; delete it to train afresh. "
        f"Received: {found!r}, expected: {key!r}"
    )


def _checked(state: PhaseState, model: keras.Model | None) -> PhaseState:
    """Returns a state read from a file if its values are possible."""
    numbers = (state.epoch, state.wait, state.seconds, *state.best, *state.best_epoch)
    if not all(isinstance(number, (int, float)) for number in numbers) or not isinstance(state.finished, bool):
        raise ValueError("a field is of another type")
    if len(state.history) != state.epoch or not all(isinstance(record, dict) for record in state.history):
        raise ValueError(f"{len(state.history)} records for {state.epoch} epochs")
    if model is not None:
        _require_fit(model.weights, state.weights)
        _require_fit(random_states(model), state.seeds)
    return state


def _set_aside(path: Path) -> Path:
    names = (path.with_name(f"{path.name}.unreadable{number or ''}") for number in itertools.count())
    aside = next(name for name in names if not name.exists())
    path.rename(aside)
    return aside


def random_states(model: keras.Model) -> list[keras.Variable]:
    """The state variables of the model's random generators (dropout)."""
    generators = [getattr(layer, "seed_generator", None) for layer in model.layers]
    return [generator.state for generator in generators if generator is not None]


def values(variables) -> list[np.ndarray]:
    """NumPy copies of the variables."""
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]


def assign(variables: Iterable[keras.Variable], arrays: list[np.ndarray]) -> None:
    """Sets the variables to the arrays.

    Raises:
        LwcnnError: Their number or shapes differ.
    """
    variables = list(variables)
    _require_fit(variables, arrays)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def _require_fit(variables: Iterable[keras.Variable], arrays: list[np.ndarray]) -> None:
    expected, found = [tuple(v.shape) for v in variables], [a.shape for a in arrays]
    if len(expected) != len(found):
        raise LwcnnError(f"The checkpoint has {len(found)} arrays for {len(expected)} variables.")
    for shape, other in zip(found, expected, strict=True):
        if shape != other:
            raise LwcnnError(f"The checkpoint has an array of shape {shape} for a variable of shape {other}.")

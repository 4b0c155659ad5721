"""Checkpoint state for bit-exact resume; variables are stored as NumPy arrays."""

import json
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np

from lwcnn.models.graph import flat_layers
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError, Unavailable, wrong
from lwcnn.system.files import StrPath
from lwcnn.system.npz import load_npz, save_npz

FORMAT = 2
_log = logging.getLogger(__name__)


@dataclass
class PhaseState:
    """State of a phase after its last completed epoch.

    `best` has the best validation accuracy (or negated loss) of each output, then that of their mean; `best_epoch` has
    the epochs, counted from 1, in which they occurred. `diverged` is the epoch, counted from 1, in which the loss
    became NaN or infinite, else 0. `weights` are the latest ones during training, the final ones after it. `seeds` are
    the states of the layers' random generators, `settings` a hash of the phase, its augmentation, the seed and the
    images used. `wait` counts the epochs since the best, and `computing` names the steps, threads and devices that
    computed each part.
    """

    epoch: int = 0
    finished: bool = False
    wait: int = 0
    best: list[float] = field(default_factory=list)
    best_epoch: list[int] = field(default_factory=list)
    history: list[dict] = field(default_factory=list)
    diverged: int = 0
    seconds: float = 0.0
    weights: list[np.ndarray] = field(default_factory=list, repr=False)
    best_weights: list[np.ndarray] = field(default_factory=list, repr=False)
    optimizer: list[np.ndarray] = field(default_factory=list, repr=False)
    seeds: list[np.ndarray] = field(default_factory=list, repr=False)
    average: list[np.ndarray] = field(default_factory=list, repr=False)
    computing: list[dict] = field(default_factory=list)
    settings: str = ""

    def record_computing(self, step: str) -> None:
        """Records what affects rounding in this process. If processes differ in it, the run's result has a warning."""
        now = {"step": step, "threads": environment.num_threads()}
        if accelerator := environment.accelerator():
            now["device"] = accelerator
        if now not in self.computing:
            self.computing.append(now)


_ARRAYS = ("weights", "best_weights", "optimizer", "seeds", "average")


@dataclass(frozen=True)
class Checkpoint:
    """File that holds the state of a phase after each epoch.

    Attributes:
        path: Path of the .npz file. A file of another phase, distillation, seed, split or model is rejected. Pixels,
            labels, teachers and the layers' kinds are not compared: use a file for each model, dataset and teacher.

    Examples:
        >>> head = Phase("head", OptimizerConfig("nadam"), epochs=1, trainable=("head_*",))
        >>> checkpoint = Checkpoint(folder / "head.npz")
        >>> train_phase(model, head, Split(training, validation), seed=0, checkpoint=checkpoint).epoch
        1
        >>> checkpoint.load().finished  # a second call of `train_phase` would not train
        True
    """

    path: StrPath

    def save(self, state: PhaseState) -> None:
        plain = {name: value for name, value in vars(state).items() if name not in _ARRAYS}
        counts = {name: len(getattr(state, name)) for name in _ARRAYS}
        header = json.dumps({"format": FORMAT, "state": plain, "counts": counts})
        arrays = {f"{name}_{i}": a for name in _ARRAYS for i, a in enumerate(getattr(state, name))}
        save_npz(self.path, header=np.array(header), **arrays)

    def load(self, model: keras.Model | None = None, settings: str | None = None) -> PhaseState | None:
        """Returns the state, or None if there is no file or it is damaged; a damaged file is renamed.

        Raises `LwcnnError` if the file is no checkpoint, or one of other settings or of another model.
        """
        if not Path(self.path).exists():
            return None
        if Path(self.path).is_dir():
            raise wrong("Give the path of a file for the checkpoint, not of a folder", f"{self.path}")
        arrays: dict[str, np.ndarray] | None = None
        try:
            arrays = load_npz(self.path)
            state = _read_state(arrays)
        except Unavailable:
            raise
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:  # LwcnnError is a ValueError
            if arrays is not None and "header" not in arrays:
                raise wrong("Give a new file for the checkpoint: this one is not a checkpoint", self.path) from error
            aside = Path(f"{self.path}.unreadable")
            Path(self.path).replace(aside)
            reason = " ".join(str(error).split())[:200]
            told = "The checkpoint %s cannot be read (%s): renamed to %s; the phase starts over"
            _log.warning(told, self.path, reason, aside.name)
            return None
        advice = "Use a separate checkpoint, or delete this: it is of another"
        if settings is not None and state.settings != settings:
            raise wrong(f"{advice} phase, distillation, seed or split", self.path)
        if model is not None:
            try:
                require_shapes(model.weights, state.weights)
                require_shapes(random_states(model), state.seeds)
            except LwcnnError as error:
                raise wrong(f"{advice} model", self.path) from error
        return state


def _read_state(arrays: dict[str, np.ndarray]) -> PhaseState:
    """Returns the state in a checkpoint's arrays; raises an error of any kind if they are not those of a state."""
    header = json.loads(str(arrays["header"]))
    if header["format"] != FORMAT:
        raise ValueError(f"it has format {header['format']}, this version writes {FORMAT}")
    counts = header["counts"]
    lists: dict[str, Any] = {name: [arrays[f"{name}_{i}"] for i in range(counts[name])] for name in _ARRAYS}
    state = PhaseState(**header["state"], **lists)
    if len(state.history) != state.epoch:
        raise ValueError(f"{len(state.history)} records for {state.epoch} epochs")
    return state


def get_values(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    """Returns copies of the variables' values."""
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def set_values(variables: Iterable[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Sets the variables to the arrays, or none of them if one does not fit."""
    variables = list(variables)
    require_shapes(variables, arrays)
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def require_shapes(variables: Iterable[keras.Variable], arrays: Sequence[np.ndarray]) -> None:
    """Checks that arrays have the number and the shapes of the variables."""
    expected, found = [tuple(variable.shape) for variable in variables], [array.shape for array in arrays]
    if found != expected:
        raise wrong(f"The checkpoint's arrays do not have the model's shapes, {expected}", found)


def random_states(model: keras.Model) -> list[keras.Variable]:
    """Returns the states of the layers' random generators (dropout, Keras's augmentation)."""
    variables = (variable for layer in flat_layers(model) for variable in getattr(layer, "variables", ()))
    return [variable for variable in variables if variable.name == "seed_generator_state"]

"""Keras's training steps on JAX, with every variable kept on the device for a whole epoch.

`train_on_batch` copies variables, loss and metrics between Keras and JAX at every step. On a GPU these copies take ten
times as long as the step of a small network.
"""

from collections.abc import Sequence

import jax
import keras
import numpy as np

from lwcnn.training.average import MovingAverage

READING_INTERVAL = 50
"""Steps between two readings of the loss: each waits for the device."""


class JaxEpoch:
    """Training steps of one epoch, with running means of loss and metrics, in place of `Epoch`.

    Args:
        model: Compiled model.
        average: Moving average that every step updates, on the device too. None updates none.
        num_steps: Number of steps of the epoch. The loss is read after the last one and every `READING_INTERVAL`.
    """

    def __init__(self, model: keras.Model, average: MovingAverage | None, num_steps: int):
        self._model, self._average, self._last_step = model, average, num_steps
        self._state: tuple[list, ...] = ()
        self._logs: dict[str, float] = {}
        self._num_steps = 0
        self._averaged = [jax.numpy.asarray(value) for value in average.values] if average else []

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch; returns the mean loss and metrics at the last reading, by name."""
        if not self._state:
            self._logs = latest = self._model.train_on_batch(x, y, return_dict=True)  # creates metrics, compiles
            self._state = tuple([variable.value for variable in part] for part in self._parts())
        else:
            latest, self._state = self._model.train_function(self._state, iter(((x, y),)))
        if self._average:
            self._update_average()
        self._num_steps += 1
        if self._num_steps % READING_INTERVAL == 0 or self._num_steps == self._last_step:
            self._logs = {name: float(value) for name, value in latest.items()}
        return self._logs

    def _parts(self) -> tuple[Sequence[keras.Variable], ...]:
        """Returns the variables in the order of the state of Keras's training step."""
        model = self._model
        return (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )

    def _update_average(self) -> None:
        assert self._average is not None
        values = {
            id(v): value for part, values in zip(self._parts()[:2], self._state) for v, value in zip(part, values)
        }
        latest = [values[id(variable)] for variable in self._average.variables]
        share = self._average.next_share()
        # A copy at first: the next step reuses the memory of the variables.
        self._averaged = _mix(self._averaged or [jax.numpy.copy(value) for value in latest], latest, np.float32(share))

    def __enter__(self) -> "JaxEpoch":
        return self

    def __exit__(self, kind, *_) -> None:
        """Writes the variables back to the model; after an exception it stays as it was after the first step."""
        if kind is not None or not self._state:
            return
        for part, values in zip(self._parts(), self._state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        if self._average:
            self._average.values = [np.array(value) for value in self._averaged]


@jax.jit
def _mix(average: list, latest: list, share: np.float32) -> list:
    return [old + share * (new - old) for old, new in zip(average, latest, strict=True)]

"""Keras's training steps on JAX, many of them in one call, with every variable on the device for a whole epoch.

`train_on_batch` copies variables, loss and metrics between Keras and JAX at every step. On a GPU these copies take many
times as long as the step of a small network.
"""

from collections.abc import Callable, Sequence

import jax
import keras
import numpy as np

from lwcnn.training.average import MovingAverage

MAX_STEPS = 60
"""Maximum number of steps in one call. Their batches are on the device together."""


class JaxEpoch:
    """Training steps of one epoch, with running means of loss and metrics, in place of `KerasEpoch`.

    The loss is read after the last of the `num_steps`, and rarely before: reading waits for the device.
    """

    def __init__(self, model: keras.Model, average: MovingAverage | None, num_steps: int):
        self._model, self._average, self._steps_left = model, average, num_steps
        self._steps_at_once = _divisor(num_steps - 1) if _divisor(num_steps - 1) > 1 else _divisor(num_steps)
        self._state: tuple = ()
        self._waiting: list = []
        self._latest: dict = {"loss": 0.0}
        self._logs: dict[str, float] = {"loss": 0.0}

    def step(self, x, y) -> dict[str, float]:
        """Queues a batch and trains on full queues, at the latest at the end; returns the means of an earlier step."""
        share = np.float32(self._average.next_share() if self._average else 1)
        batch = (x, y, share)
        if self._waiting and _shapes(batch) != _shapes(self._waiting[0]):
            self._train()
        self._waiting.append(batch)
        self._steps_left -= 1
        if len(self._waiting) == self._steps_at_once or not self._steps_left:
            self._train()
        if not self._steps_left:
            self._read()
        return self._logs

    def _train(self) -> None:
        """Trains on the queued batches; before, reads the previous means, which are ready on the device."""
        self._read()
        batches = keras.tree.map_structure(lambda *parts: np.stack(parts), *self._waiting)
        self._waiting = []
        if not self._state:
            self._begin(keras.tree.map_structure(lambda part: part[0], batches[:2]))
        self._latest, self._state = self._steps(self._state, batches)

    def _begin(self, batch) -> None:
        """Creates metrics, the compiled steps and the state on the device."""
        self._model._symbolic_build(data_batch=(*batch, None))
        self._model.reset_metrics()
        averaged = self._average.variables if self._average else []
        places = {id(variable): i for i, variable in enumerate((*self._parts()[0], *self._parts()[1]))}
        self._steps = _steps(self._model, [places[id(variable)] for variable in averaged])
        average = self._average.values if self._average else []
        # Copies, because the steps reuse their memory, and the model keeps its values if an exception ends the epoch.
        state = tuple([jax.numpy.array(variable.value) for variable in part] for part in self._parts())
        self._state = (state, [jax.numpy.array(value) for value in average or [v.value for v in averaged]])

    def _read(self) -> None:
        self._logs = {name: float(value) for name, value in self._latest.items()}

    def _parts(self) -> tuple[Sequence[keras.Variable], ...]:
        """Returns the variables in the order of the state of Keras's training step."""
        model = self._model
        frozen, optimizer = model.non_trainable_variables, model.optimizer.variables
        return model.trainable_variables, frozen, optimizer, model.metrics_variables

    def __enter__(self) -> "JaxEpoch":
        return self

    def __exit__(self, kind, *_) -> None:
        """Writes the variables back to the model; after an exception they keep their values from before the epoch."""
        if kind is not None or not self._state:
            return
        state, average = self._state
        for part, values in zip(self._parts(), state, strict=True):
            for variable, value in zip(part, values, strict=True):
                variable.assign(value)
        if self._average:
            self._average.values = [np.array(value) for value in average]


def _steps(model: keras.Model, places: list[int]) -> Callable:
    """Returns a compiled function (state, batches) -> (logs, state) that trains on batches one after the other.

    `places` are the positions of the averaged variables among the trainable and then the other variables.
    """
    model.make_train_function()
    known, steps = getattr(model, "_lwcnn_steps", (None, None))  # Keras drops its function when the model changes
    if steps is not None and known is model.train_function:
        return steps

    def train(carried, batch):
        state, average = carried
        x, y, share = batch
        logs, state = model.train_step(state, (x, y))
        values = (*state[0], *state[1])
        average = [old + share * (values[place] - old) for old, place in zip(average, places, strict=True)]
        return (state, average), logs

    def train_many(carried, batches):
        carried, logs = jax.lax.scan(train, carried, batches)
        return {name: values[-1] for name, values in logs.items()}, carried

    steps = jax.jit(train_many, donate_argnums=0)
    model._lwcnn_steps = model.train_function, steps
    return steps


def _divisor(number: int) -> int:
    return max(i for i in range(1, MAX_STEPS + 1) if number % i == 0)


def _shapes(batch) -> list[tuple[int, ...]]:
    return [np.shape(part) for part in keras.tree.flatten(batch)]

"""Keras's optimizers over all weights as one vector. State is read from the Keras optimizer and written back.

Formulas, order and names are those of Keras 3.15 (`keras.optimizers`): weight decay first, then the update.
"""

import bisect
import math

import keras
import numpy as np

from lwcnn.engine import keras_internals as internals
from lwcnn.engine.keras_internals import Unsupported
from lwcnn.engine.network import Weights


def _update_moments(g, m, v, beta_1, beta_2):
    m += (g - m) * (1 - beta_1)
    v += (g * g - v) * (1 - beta_2)


def _apply_adam(w, g, m, v, rate, beta_1, beta_2, epsilon):
    _update_moments(g, m, v, beta_1, beta_2)
    w -= m * rate / (np.sqrt(v) + epsilon)


class VectorOptimizer:
    """Updates `weights` as a built Keras optimizer that passes `check_optimizer`, with its state as vectors."""

    def __init__(self, optimizer: keras.optimizers.Optimizer, weights: Weights):
        self._optimizer, self._weights = optimizer, weights
        variables = weights.trainable
        self._kind = _kind(optimizer)
        self._update = getattr(self, f"_{self._kind.__name__.lower()}")  # such as `_sgd`
        self._iterations = self._first = int(optimizer.iterations)
        self._indices = [internals.slot_index(optimizer, v) for v in variables]
        self._state = [weights.gather(self._values(name)) for name in internals.SLOTS[self._kind]]
        if self._kind is keras.optimizers.Nadam:
            self._u_product = np.float32(internals.momentum_product(optimizer))
        self._decay = None
        if optimizer.weight_decay:
            decays = [float(optimizer.weight_decay) * internals.is_decayed(optimizer, v) for v in variables]
            self._decay = weights.gather([np.full(v.shape, decay) for decay, v in zip(decays, variables)])
        if self._kind is keras.optimizers.Muon:
            orthogonal = [internals.is_orthogonalized(optimizer, v) for v in variables]
            self._matrices = _by_shape([i for i, wanted in enumerate(orthogonal) if wanted], variables)
            self._others = [i for i, wanted in enumerate(orthogonal) if not wanted]

    def step(self, gradient: np.ndarray) -> None:
        """Updates the weights, given their gradient."""
        w = self._weights.vector
        rate = np.float32(self._rate())
        if self._decay is not None:
            w *= 1 - self._decay * rate
        self._update(w, gradient, rate)
        self._iterations += 1

    def discard_steps(self) -> None:
        """Takes back the number of steps, which `fast_fit` advances for callbacks."""
        self._optimizer.iterations.assign(self._first)

    def write_back(self) -> None:
        """Assigns the state to the variables of the Keras optimizer."""
        optimizer = self._optimizer
        optimizer.iterations.assign(self._iterations)
        for name, vector in zip(internals.SLOTS[self._kind], self._state, strict=True):
            for slot, part in zip(self._slots(name), self._weights.parts(vector), strict=True):
                if slot is not None:
                    slot.assign(part)
        if self._kind is keras.optimizers.Nadam:
            internals.momentum_product(optimizer).assign(self._u_product)

    def _slots(self, name: str) -> list:
        """Returns the Keras optimizer's variables of that name; None for missing ones (SGD without momentum, Muon)."""
        found = getattr(self._optimizer, name)
        return [found[index] if found else None for index in self._indices]

    def _values(self, name: str) -> list:
        slots = zip(self._slots(name), self._weights.trainable, strict=True)
        return [np.zeros(v.shape) if slot is None else slot for slot, v in slots]

    def _rate(self) -> float:
        schedule = internals.learning_rate(self._optimizer)
        if not isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            return float(schedule)
        # Computes Keras's schedules in Python: one backend call per step would be too slow.
        if isinstance(schedule, keras.optimizers.schedules.PiecewiseConstantDecay):
            return schedule.values[bisect.bisect_left(schedule.boundaries, self._iterations)]
        first, step = schedule.initial_learning_rate, self._iterations
        has_warmup = schedule.warmup_target is not None
        warmup, top = (schedule.warmup_steps, schedule.warmup_target) if has_warmup else (0, first)
        if step < warmup:
            return first + (top - first) * step / warmup
        done = min(1.0, (step - warmup) / schedule.decay_steps)
        return top * ((1 - schedule.alpha) * 0.5 * (1 + math.cos(math.pi * done)) + schedule.alpha)

    def _sgd(self, w, g, rate):
        (m,), momentum = self._state, np.float32(self._optimizer.momentum)
        m *= momentum
        m -= g * rate
        w += m * momentum - g * rate if self._optimizer.nesterov else m

    def _adam(self, w, g, rate):
        optimizer, step = self._optimizer, self._iterations + 1
        corrected = rate * math.sqrt(1 - optimizer.beta_2**step) / (1 - optimizer.beta_1**step)
        _apply_adam(w, g, *self._state, np.float32(corrected), *self._settings("beta_1", "beta_2", "epsilon"))

    _adamw = _adam

    def _nadam(self, w, g, rate):
        optimizer, step = self._optimizer, self._iterations + 1
        u, u_next = (optimizer.beta_1 * (1 - 0.5 * 0.96**t) for t in (step, step + 1))
        self._u_product = np.float32(self._u_product * u)
        of_m, of_g = u_next / (1 - self._u_product * u_next), (1 - u) / (1 - self._u_product)
        of_v = 1 / (1 - optimizer.beta_2**step)
        of_m, of_g, of_v = (np.float32(factor) for factor in (of_m, of_g, of_v))
        (m, v), (beta_1, beta_2, epsilon) = self._state, self._settings("beta_1", "beta_2", "epsilon")
        _update_moments(g, m, v, beta_1, beta_2)
        w -= (of_m * m + of_g * g) * rate / (np.sqrt(of_v * v) + epsilon)

    def _rmsprop(self, w, g, rate):
        (v,), (rho, epsilon) = self._state, self._settings("rho", "epsilon")
        v[:] = rho * v + (1 - rho) * g * g
        w -= rate * g / np.sqrt(v + epsilon)

    def _lion(self, w, g, rate):
        (m,), (beta_1, beta_2) = self._state, self._settings("beta_1", "beta_2")
        w -= rate * np.sign(m * beta_1 + g * (1 - beta_1))
        m[:] = m * beta_2 + g * (1 - beta_2)

    def _muon(self, w, g, rate):
        optimizer, step = self._optimizer, self._iterations + 1
        weights, gradients, moments, velocities = (self._weights.parts(vector) for vector in (w, g, *self._state))
        corrected = rate * optimizer.adam_lr_ratio * math.sqrt(1 - optimizer.adam_beta_2**step)
        corrected = np.float32(corrected / (1 - optimizer.adam_beta_1**step))
        settings = self._settings("adam_beta_1", "adam_beta_2", "epsilon")
        for i in self._others:
            arrays = (part[i].reshape(-1) for part in (weights, gradients, moments, velocities))
            _apply_adam(*arrays, corrected, *settings)
        momentum = np.float32(optimizer.momentum)
        for (rows, columns), members in self._matrices.items():
            for i, _ in members:
                moments[i] *= momentum
                moments[i] += gradients[i]
            wide = []
            for i, is_tall in members:
                if getattr(optimizer, "fixed_norm", False):
                    weights[i] *= math.sqrt(weights[i].shape[-1]) / np.linalg.norm(weights[i])
                update = gradients[i] + momentum * moments[i] if optimizer.nesterov else moments[i]
                update = update.reshape(update.shape[-2:])
                wide.append(update.T if is_tall else update)
            scale = rate * np.float32(1 if optimizer.rms_rate is None else optimizer.rms_rate * math.sqrt(columns))
            for (i, is_tall), update in zip(members, scale * _orthogonal(np.stack(wide), optimizer)):
                weights[i] -= (update.T if is_tall else update).reshape(weights[i].shape)

    def _settings(self, *names: str) -> list[np.float32]:
        return [np.float32(getattr(self._optimizer, name)) for name in names]


def _by_shape(positions: list[int], variables: list) -> dict[tuple[int, int], list[tuple[int, bool]]]:
    """Groups matrices by their wide shape: (position, whether it is transposed) by (rows, columns), rows <= columns."""
    found: dict[tuple[int, int], list[tuple[int, bool]]] = {}
    for i in positions:
        rows, columns = variables[i].shape[-2:]
        found.setdefault((min(rows, columns), max(rows, columns)), []).append((i, rows > columns))
    return found


def _orthogonal(x: np.ndarray, optimizer) -> np.ndarray:
    """Brings the singular values of matrices (n, rows, columns) near 1, as `zeropower_via_newtonschulz5` does."""
    a, b, c = map(np.float32, (optimizer.muon_a, optimizer.muon_b, optimizer.muon_c))
    x = x / (np.sqrt((x * x).sum(axis=(1, 2), keepdims=True)) + np.float32(1e-7))
    for _ in range(optimizer.ns_steps):
        product = x @ x.transpose(0, 2, 1)
        x = a * x + (b * product + c * product @ product) @ x
    return x


_SCHEDULES = (keras.optimizers.schedules.CosineDecay, keras.optimizers.schedules.PiecewiseConstantDecay)
_UNKNOWN_SETTINGS = (
    "clipnorm", "clipvalue", "global_clipnorm", "gradient_accumulation_steps", "loss_scale_factor", "use_ema",
    "amsgrad", "centered",
)  # fmt: skip


def _kind(optimizer: keras.optimizers.Optimizer) -> type:
    """Returns the class whose update an optimizer uses; `PointwiseMuon`, known by its registered name, uses Muon's."""
    is_muon = keras.saving.get_registered_name(type(optimizer)) == "lwcnn>PointwiseMuon"
    return keras.optimizers.Muon if is_muon else type(optimizer)


def check_optimizer(optimizer: keras.optimizers.Optimizer) -> None:
    """Raises `Unsupported` for unknown optimizers, and for clipping, accumulation or scaling; the message names it."""
    kind, rate = _kind(optimizer), internals.learning_rate(optimizer)
    name = f"the optimizer {internals.title(optimizer)}"
    if kind not in internals.SLOTS:
        raise Unsupported(f"{name} is not supported")
    is_schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    if is_schedule and type(rate) not in _SCHEDULES or not is_schedule and callable(rate):
        raise Unsupported(f"{name} has the schedule {type(rate).__name__}")
    for setting in (*_UNKNOWN_SETTINGS, *(["momentum"] if kind is keras.optimizers.RMSprop else [])):
        if value := getattr(optimizer, setting, None):
            raise Unsupported(f"{name} has {setting}={value!r}")
    if kind is keras.optimizers.Muon and optimizer.adam_weight_decay != optimizer.weight_decay:
        raise Unsupported(f"{name} has two weight decays")

"""An epoch of training steps on arrays, in the place of `lwcnn.training.steps.Epoch`."""

from functools import cache

import keras
import numpy as np
from threadpoolctl import ThreadpoolController

from lwcnn.engine.fused import formulation
from lwcnn.engine.losses import cross_entropy, divergence, loss_settings
from lwcnn.engine.network import Network, Weights, is_supported
from lwcnn.engine.optimizers import VectorOptimizer, is_supported_optimizer
from lwcnn.engine.threads import Team, in_team
from lwcnn.system import environment


def can_train(model: keras.Model) -> bool:
    """Whether a compiled model's steps can be made here: on a CPU, in float32, of layers and losses known here."""
    if formulation() != "numba" or environment.num_replicas() > 1 or not is_supported_optimizer(model.optimizer):
        return False
    if any(loss_settings(loss) is None for loss in _losses(model)) or model.losses:  # those are of regularisers
        return False
    if any(variable.constraint for variable in model.trainable_variables):
        return False
    if isinstance(model, keras.distillation.Distiller):
        objective, *others = model.distillation_losses
        known = isinstance(objective, keras.distillation.LogitsDistillation)
        known = known and isinstance(objective.loss, keras.losses.KLDivergence) and not others
        known = known and len(model.student.outputs) == 1 and 0 < model.student_loss_weight < 1
        return known and is_supported(model.student) and is_supported(model.teacher, training=False)
    return is_supported(model)


def _losses(model: keras.Model) -> list:
    """What a model was compiled with, one for each output; Keras's Distiller keeps it under another name."""
    is_distiller = isinstance(model, keras.distillation.Distiller)
    loss = model._student_loss_for_serialization if is_distiller else model.loss
    return loss if isinstance(loss, list) else [loss]


class NativeEpoch:
    """One epoch's training steps and the means of loss and metrics over its images so far.

    Weights and optimiser are taken from the model at first, and given back at the end of the `with` that it is used in,
    unless that ends by an exception. Losses, gradients and updates are Keras's within rounding; dropout and stochastic
    depth draw other masks than Keras does from the same seed, with the same probabilities.

    Args:
        model: compiled, and one that `can_train`.
    """

    def __init__(self, model: keras.Model):
        environment.keep_freed_memory()
        self._teachers, self._temperature, self._label_weight = [], 1.0, 1.0
        trained, num_threads = model, environment.num_threads()
        if isinstance(model, keras.distillation.Distiller):
            trained, given = model.student, Weights([], model.teacher.weights)
            # Operations keep what they were last given, so each thread has its own.
            self._teachers = [Network(model.teacher, given, training=False) for _ in range(num_threads)]
            self._temperature = model.distillation_losses[0].temperature
            self._label_weight = model.student_loss_weight
        smoothing, class_weights = loss_settings(_losses(model)[0])
        self._loss_settings = smoothing, class_weights and np.array(class_weights, np.float32)
        self._output_names = list(trained.output_names)
        known = {id(v) for v in trained.trainable_variables}
        self._weights = Weights(trained.trainable_variables, [v for v in trained.weights if id(v) not in known])
        model.optimizer.build(trained.trainable_variables)  # if it was not
        self._optimizer = VectorOptimizer(model.optimizer, self._weights)
        # Each thread has a part of the batch, from the images to the gradient: to share out every layer anew takes as
        # long as to compute some of them.
        self._networks = [Network(trained, self._weights, leads=rank == 0) for rank in range(num_threads)]
        self._generators = {
            name: operation.layer.seed_generator for name, operation in self._networks[0].random_operations().items()
        }
        self._states = {
            name: np.array(keras.ops.convert_to_numpy(generator.state)) for name, generator in self._generators.items()
        }
        self._sums: dict[str, float] = {}
        self._num_images = 0

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch and gives the means so far, each under its name."""
        images, labels = (x, y) if isinstance(x, tuple) else ((x,), (y,))
        count = len(labels[0])
        draws = self._draw(count)
        bounds = np.linspace(0, count, min(len(self._networks), count) + 1).astype(int).tolist()
        team = Team(len(bounds) - 1)

        def train(rank: int) -> dict[str, float]:
            network, part = self._networks[rank], slice(bounds[rank], bounds[rank + 1])
            network.join(team if team.size > 1 else None, rank)
            for name, operation in network.random_operations().items():
                operation.draws = draws[name][part]
            return self._gradients(rank, [x[part] for x in images], [y[part] for y in labels], count)

        sums = in_team(team, train)
        used = [network.gradient for network in self._networks[: team.size]]
        self._optimizer.step(sum(used[1:], used[0]))
        self._num_images += count
        for part in sums:
            for name, value in part.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        return {name: total / self._num_images for name, total in self._sums.items()}

    def value_of(self, variable: keras.Variable) -> np.ndarray:
        """What a variable of the model would be now."""
        return self._weights.array(variable)

    def __enter__(self) -> "NativeEpoch":
        # The threads of NumPy's matrix products wait for the next one in a loop, in our kernels' way.
        self._limits = _thread_pools().limit(limits=1, user_api="blas")
        return self

    def __exit__(self, kind, *_) -> None:
        self._limits.restore_original_limits()
        if kind is None:
            self._give_back()

    def _give_back(self) -> None:
        self._weights.give_back()
        self._optimizer.give_back()
        for name, generator in self._generators.items():
            generator.state.assign(self._states[name])

    def _draw(self, count: int) -> dict[str, np.ndarray]:
        """Random numbers in [0, 1) for each operation that needs some, (count, ...) float32."""
        draws = {}
        for name, operation in self._networks[0].random_operations().items():
            state = self._states[name]
            generator = np.random.default_rng(state.tolist())
            draws[name] = generator.random((count, *operation.random), np.float32)
            state[1] += 1
        return draws

    def _gradients(self, rank: int, images, labels, count: int) -> dict[str, float]:
        """Leaves the gradient of some of a batch's `count` images in a network; gives their sums of the metrics."""
        network = self._networks[rank]
        network.clear()
        outputs = network.forward(images, training=True)
        sums, gradients = {"loss": 0.0}, []
        for name, logits, truth in zip(self._output_names, outputs, labels):
            loss, gradient, right = cross_entropy(logits, truth, *self._loss_settings)
            prefix = "" if len(outputs) == 1 else f"{name}_"
            if self._teachers:
                (taught,) = self._teachers[rank].forward(images, training=False)
                distance, apart = divergence(logits, taught, self._temperature)
                sums |= {"accuracy": right, "student_loss": loss, "distillation_loss": distance}
                loss = self._label_weight * loss + (1 - self._label_weight) * distance
                gradient = np.float32(self._label_weight) * gradient + np.float32(1 - self._label_weight) * apart
                sums["total_loss"] = loss
            else:
                sums[f"{prefix}accuracy"] = right
            if prefix:
                sums[f"{prefix}loss"] = loss
            sums["loss"] += loss
            gradients.append(gradient / np.float32(count))
        network.backward(gradients)
        return sums


@cache
def _thread_pools() -> ThreadpoolController:
    return ThreadpoolController()

"""An epoch of training steps on arrays, in the place of `lwcnn.training.steps.Epoch`."""

from functools import cache

import keras
import numpy as np
from threadpoolctl import ThreadpoolController

from lwcnn.engine.errors import Unsupported
from lwcnn.engine.losses import divergence, find_loss
from lwcnn.engine.network import Network, Weights, check_environment, compile_model
from lwcnn.engine.optimizers import VectorOptimizer, check_optimizer
from lwcnn.engine.threads import Team, in_team, share_out
from lwcnn.system import environment


def unsupported(model: keras.Model) -> str | None:
    """Why a compiled model cannot be trained here, in one line that names what is not known; None if it can."""
    try:
        check_environment()
        is_distiller = isinstance(model, keras.distillation.Distiller)
        compile_model(model.student if is_distiller else model)
        if is_distiller:
            _check_distiller(model)
            compile_model(model.teacher, training=False)
        _check_losses(model)
        check_optimizer(model.optimizer)
    except Unsupported as reason:
        return str(reason)
    return None


def _check_distiller(model: keras.Model) -> None:
    objective, *others = model.distillation_losses
    known = isinstance(objective, keras.distillation.LogitsDistillation)
    known = known and isinstance(objective.loss, keras.losses.KLDivergence) and not others
    if not (known and len(model.student.outputs) == 1 and 0 < model.student_loss_weight < 1):
        raise Unsupported(f"{model.name} (Distiller) has other losses than the divergence of logits")


def _check_losses(model: keras.Model) -> None:
    for loss in _losses(model):
        if not find_loss(loss).from_logits and isinstance(model, keras.distillation.Distiller):
            raise Unsupported(f"{model.name} (Distiller) has a loss of probabilities")
    if model.losses:
        raise Unsupported(f"{model.name} has regularizers")
    for variable in model.trainable_variables:
        if variable.constraint:
            raise Unsupported(f"{variable.path} has a constraint")


def _losses(model: keras.Model) -> list:
    """What a model was compiled with, one for each output; Keras's Distiller keeps it under another name."""
    is_distiller = isinstance(model, keras.distillation.Distiller)
    loss = model._student_loss_for_serialization if is_distiller else model.loss
    return loss if isinstance(loss, list) else [loss]


class Epoch:
    """One epoch's training steps and the means of loss and metrics over its images so far.

    Weights and optimizer are taken from the model at first, and given back at the end of the `with` that it is used in,
    unless that ends by an exception. Losses, gradients and updates are Keras's within rounding; dropout and stochastic
    depth draw other masks than Keras does from the same seed, with the same probabilities.

    Args:
        model: compiled, and not `unsupported`.
    """

    def __init__(self, model: keras.Model):
        environment.keep_freed_memory()
        self._teachers, self._temperature, self._label_weight = [], 1.0, 1.0
        trained, num_threads = model, environment.num_threads()
        if isinstance(model, keras.distillation.Distiller):
            trained, given = model.student, Weights([], model.teacher.weights)
            plan = compile_model(model.teacher, training=False)
            # Operations keep what they were last given, so each thread has its own.
            self._teachers = [Network(plan, given) for _ in range(num_threads)]
            self._temperature = model.distillation_losses[0].temperature
            self._label_weight = model.student_loss_weight
        self._losses = [find_loss(loss) for loss in _losses(model)]
        self._output_names = list(getattr(trained, "_functional", trained).output_names)
        known = {id(v) for v in trained.trainable_variables}
        self._weights = Weights(trained.trainable_variables, [v for v in trained.weights if id(v) not in known])
        model.optimizer.build(trained.trainable_variables)  # if it was not
        self._optimizer = VectorOptimizer(model.optimizer, self._weights)
        # Each thread has a part of the batch, from the images to the gradient: to share out every layer anew takes as
        # long as to compute some of them.
        plan = compile_model(trained)
        self._networks = [Network(plan, self._weights, leads=rank == 0) for rank in range(num_threads)]
        self._are_logits = [loss.from_logits for loss in self._losses]
        if not self._teachers:  # as Keras does: the loss of a softmax is that of its logits
            (has_softmax, *_) = [network.give_logits() for network in self._networks]
            self._are_logits = [a or b for a, b in zip(self._are_logits, has_softmax)]
        self._generators = [operation.layer.seed_generator for operation in self._networks[0].random_operations]
        self._states = {
            id(generator): np.array(keras.ops.convert_to_numpy(generator.state)) for generator in self._generators
        }
        self._sums: dict[str, float] = {}
        self._num_images = 0

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch and gives the means so far, each under its name."""
        images, labels = (part if isinstance(part, tuple) else (part,) for part in (x, y))
        count = len(labels[0])
        draws = self._draw(count)
        parts = share_out(count, len(self._networks))
        team = Team(len(parts))

        def train(rank: int) -> dict[str, float]:
            network, part = self._networks[rank], parts[rank]
            network.join(team if team.size > 1 else None, rank)
            for operation, drawn in zip(network.random_operations, draws, strict=True):
                operation.draws = drawn[part]
            return self._gradients(rank, [x[part] for x in images], [y[part] for y in labels], count)

        sums = in_team(team, train)
        used = [network.gradient for network in self._networks[: team.size]]
        self._optimizer.step(sum(used[1:], used[0]))
        self._num_images += count
        for measures in sums:
            for name, value in measures.items():
                self._sums[name] = self._sums.get(name, 0.0) + value
        return {name: total / self._num_images for name, total in self._sums.items()}

    def value_of(self, variable: keras.Variable) -> np.ndarray:
        """What a variable of the model would be now."""
        return self._weights.array(variable)

    def __enter__(self) -> "Epoch":
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
        for generator in self._generators:
            generator.state.assign(self._states[id(generator)])

    def _draw(self, count: int) -> list[np.ndarray]:
        """Random numbers in [0, 1) for each operation that needs some, (count, ...) float32."""
        draws = []
        for operation, generator in zip(self._networks[0].random_operations, self._generators, strict=True):
            state = self._states[id(generator)]
            draws.append(np.random.default_rng(state.tolist()).random((count, *operation.random), np.float32))
            state[1] += 1
        return draws

    def _gradients(self, rank: int, images, labels, count: int) -> dict[str, float]:
        """Leaves the gradient of some of a batch's `count` images in a network; gives their sums of the metrics."""
        network = self._networks[rank]
        network.clear()
        outputs = network.forward(images, training=True)
        sums, gradients = {"loss": 0.0}, []
        parts = zip(self._output_names, outputs, labels, self._losses, self._are_logits, strict=True)
        for name, logits, truth, cross_entropy, are_logits in parts:
            loss, gradient, right = cross_entropy(logits, truth, are_logits)
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

"""An epoch of training steps on arrays. It replaces `lwcnn.training.steps.KerasEpoch`."""

import keras
import numpy as np

from lwcnn.engine.keras_internals import Unsupported, slot_index, title
from lwcnn.engine.losses import Means, Objective
from lwcnn.engine.network import Network, Plan, Weights, check_environment
from lwcnn.engine.optimizers import VectorOptimizer, check_optimizer
from lwcnn.engine.threads import OneBlasThread, ThreadGroup, run_in_group, share_out
from lwcnn.models.graph import flat_layers
from lwcnn.system import environment


def unsupported(model: keras.Model) -> str | None:
    """Returns why the engine cannot train a compiled model, in one line; None if it can."""
    try:
        check(model)
    except Unsupported as reason:
        return str(reason)
    return None


def check(model: keras.Model) -> None:
    """Raises `Unsupported` if the engine cannot train a compiled model."""
    check_environment()
    plan, objective = Plan(model), Objective(model)
    on_tensorflow = keras.backend.backend() == "tensorflow"  # elsewhere, Keras computes a loss from what it is given
    for loss, is_softmax in zip(objective.losses, plan.are_softmax()):
        if not loss.from_logits and not (is_softmax and on_tensorflow):
            raise Unsupported(
                f"{title(model)} has a loss of probabilities: use logits and a loss with from_logits=True"
            )
        if loss.from_logits and is_softmax and not on_tensorflow:
            raise Unsupported(f"{model.name} ends in a softmax, but its loss expects logits")
    if any(len(output.shape) != 2 for output in model.outputs):
        raise Unsupported(f"{model.name} has outputs whose shape is not (n, classes)")
    if model.losses or any(getattr(layer, "activity_regularizer", None) for layer in flat_layers(model)):
        raise Unsupported(f"{model.name} has regularizers")
    for method in ("train_step", "test_step", "compute_loss", "compute_metrics"):
        if getattr(type(model), method) is not getattr(keras.Model, method):
            raise Unsupported(f"{type(model).__name__} overrides {method}")
    of_layers = {id(variable) for layer in flat_layers(model) for variable in layer.trainable_variables}
    for variable in model.trainable_variables:
        if id(variable) not in of_layers:
            raise Unsupported(f"{variable.path} is trainable, but its layer is not")
        if variable.constraint:
            raise Unsupported(f"{variable.path} has a constraint")
        if model.optimizer.built and slot_index(model.optimizer, variable) is None:
            raise Unsupported(f"the optimizer {model.optimizer.name} was built without {variable.path}")
    check_optimizer(model.optimizer)


class Epoch:
    """Training steps of one epoch on a model for which `unsupported` returns None; each updates a `MovingAverage`.

    Use it in a `with` statement: weights and optimizer state are read from the model at the start and written back at
    the end, unless an exception ends the block. Losses, gradients and updates equal Keras's within rounding. Dropout
    and stochastic depth draw other masks than Keras from the same seed, with the same probabilities.
    """

    def __init__(self, model: keras.Model, average=None):
        environment.keep_freed_memory()
        self._blas = OneBlasThread()
        self._average, self._objective, self._means = average, Objective(model), Means()
        self._weights = Weights(model.trainable_variables, model.non_trainable_weights)
        model.optimizer.build(model.trainable_variables)  # has no effect if it is built
        self._optimizer = VectorOptimizer(model.optimizer, self._weights)
        # Each thread computes a part of the batch, from the images to the gradient: splitting every layer separately
        # would take as long as computing some of them.
        plan = Plan(model)
        # Like Keras, compute the loss of a softmax from its logits.
        self._networks = [Network(plan, self._weights, logits=True) for _ in range(environment.num_threads())]
        self._generators = [operation.layer.seed_generator for operation in self._networks[0].random_operations]
        self._states = {
            id(generator): np.array(keras.ops.convert_to_numpy(generator.state)) for generator in self._generators
        }

    def step(self, x, y) -> dict[str, float]:
        """Trains on a batch; returns the epoch's means so far by name."""
        images, labels = (part if isinstance(part, tuple) else (part,) for part in (x, y))
        with np.errstate(over="ignore", invalid="ignore"):
            sums, gradient = self.gradient(images, labels)
            self._optimizer.step(gradient)
        if self._average:
            self._average.update(self._weights.array)
        return self._means.add(sums, len(labels[0]))

    def gradient(self, images: tuple, labels: tuple) -> tuple[list[dict[str, float]], np.ndarray]:
        """Returns sums of loss and metrics, one per part of the batch, and the gradient over all weights, (p,)."""
        count = len(labels[0])
        draws = self._draw(count)
        parts = share_out(count, len(self._networks))
        group = ThreadGroup(len(parts))

        def train(rank: int) -> dict[str, float]:
            network, part = self._networks[rank], parts[rank]
            network.join(group, rank)
            network.gradient[:] = 0
            for operation, drawn in zip(network.random_operations, draws, strict=True):
                operation.draws = drawn[part]
            with np.errstate(over="ignore", invalid="ignore"):  # a loss that is not finite ends training anyway
                outputs = network.forward([x[part] for x in images], training=True)
                sums, gradients = self._objective(outputs, [y[part] for y in labels])
                network.backward([gradient / np.float32(count) for gradient in gradients])
            return sums

        sums = run_in_group(group, train)  # of loss and metrics
        used = [network.gradient for network in self._networks[: group.size]]
        return sums, sum(used[1:], used[0])

    def __enter__(self) -> "Epoch":
        self._blas.__enter__()
        return self

    def __exit__(self, kind, *_) -> None:
        self._blas.__exit__()
        if kind:
            self._optimizer.discard_steps()
            return
        self._weights.write_back()
        self._optimizer.write_back()
        for generator in self._generators:
            generator.state.assign(self._states[id(generator)])

    def _draw(self, count: int) -> list[np.ndarray]:
        """Returns random numbers in [0, 1), (count, ...) float32, for each random operation."""
        draws = []
        for operation, generator in zip(self._networks[0].random_operations, self._generators, strict=True):
            state = self._states[id(generator)]
            draws.append(np.random.default_rng(state.tolist()).random((count, *(operation.random or ())), np.float32))
            state[1] += 1
        return draws

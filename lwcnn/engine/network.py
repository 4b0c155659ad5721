"""A compiled model: its matches as operations on arrays, forward and backward."""

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import keras
import numpy as np

from lwcnn.engine.keras_internals import Unsupported, read_graph
from lwcnn.engine.match import match_layers
from lwcnn.engine.operations.activations import LINEAR, SOFTMAX, find_function
from lwcnn.engine.operations.base import Operation
from lwcnn.engine.threads import OneBlasThread, ThreadGroup, run_in_group, share_out
from lwcnn.system import environment
from lwcnn.system.errors import wrong


class Weights:
    """A model's weights as arrays; the trainable ones, in the optimizer's order, are views of `vector`, (p,)."""

    def __init__(self, trainable: list[keras.Variable], others: list[keras.Variable]):
        self.trainable, self.others = list(trainable), list(others)
        self._ends = np.cumsum([int(np.prod(v.shape)) for v in self.trainable])[:-1]
        self.vector = self.gather(self.trainable)
        self._arrays = {id(v): part for v, part in zip(self.trainable, self.parts(self.vector))}
        for variable in self.others:
            self._arrays[id(variable)] = np.array(keras.ops.convert_to_numpy(variable), np.float32)

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """Splits a vector like `vector` into one array per trainable variable, in its shape."""
        return [part.reshape(v.shape) for v, part in zip(self.trainable, np.split(vector, self._ends))]

    def gather(self, variables) -> np.ndarray:
        """Returns variables, or arrays, with the shapes of the trainable ones as one vector."""
        parts = [np.ravel(keras.ops.convert_to_numpy(v)) for v in variables]
        return np.concatenate([*parts, np.empty(0)], dtype=np.float32)

    def array(self, variable: keras.Variable) -> np.ndarray:
        return self._arrays[id(variable)]

    def write_back(self) -> None:
        for variable in self.trainable + self.others:
            variable.assign(self._arrays[id(variable)])


def has_shape(batch: np.ndarray, shape: tuple[int | None, ...]) -> bool:
    """Returns whether each entry of a batch has a shape, in which None is any size."""
    sizes = batch.shape[1:]
    return len(sizes) == len(shape) and all(wanted in (None, size) for wanted, size in zip(shape, sizes))


def check_environment() -> None:
    """Raises `Unsupported` unless the backend computes on a single CPU."""
    if environment.accelerator() is not None or environment.num_replicas() > 1:
        raise Unsupported("the backend computes on an accelerator or on several devices")


class Plan:
    """The graph of a model with its current trainable variables, and the matches that compute it, in order.

    `training` says whether gradients are needed.
    """

    def __init__(self, model: keras.Model, training: bool = True):
        self.graph = read_graph(model, training)
        self.matches = match_layers(self.graph)

    def are_softmax(self) -> list[bool]:
        """Returns for each output whether it is a softmax that nothing in the model reads."""
        makers = {call.output: call.layer for call in self.graph.calls if not self.graph.readers(call.output)}
        return [find_function(makers.get(number)) is SOFTMAX for number in self.graph.outputs]


class Step(NamedTuple):
    """An operation with the numbers of the values that it reads and of the one that it computes."""

    operation: Operation
    inputs: tuple[int, ...]
    output: int


class Network:
    """The operations of a plan, with arrays for its weights.

    `gradient` is the sum of the gradients of the trainable weights, a vector like `weights.vector`. With `logits`, an
    output that ends in a softmax is replaced by its logits.
    """

    def __init__(self, plan: Plan, weights: Weights, logits: bool = False):
        self._graph = plan.graph
        self.gradient = np.zeros_like(weights.vector)
        views = {id(v): part for v, part in zip(weights.trainable, weights.parts(self.gradient))}
        softmax = [number for number, known in zip(plan.graph.outputs, plan.are_softmax()) if known and logits]
        self._steps = []
        for match in plan.matches:
            operation = match.build(lambda v: (weights.array(v), views.get(id(v))))
            self._steps.append(Step(operation, match.calls[0].inputs, match.calls[-1].output))
            if self._steps[-1].output in softmax:
                operation.function = LINEAR
        self.random_operations = [step.operation for step in self._steps if step.operation.random is not None]

    def join(self, group: ThreadGroup, rank: int) -> None:
        """Makes the network compute a part of the batch, as thread `rank` of a group with networks of equal weights."""
        for step in self._steps:
            step.operation.all_reduce, step.operation.is_leader = partial(group.sum, rank), rank == 0

    def forward(self, images: list[np.ndarray], training: bool) -> list[np.ndarray]:
        for x, shape in zip(images, self._graph.input_shapes, strict=True):
            if not has_shape(x, shape):  # the kernels check no bounds
                raise wrong(f"Give images of the model's input shape, {shape}", x.shape[1:])
        values = {n: np.ascontiguousarray(x, np.float32) for n, x in zip(self._graph.inputs, images, strict=True)}
        for step in self._steps:
            inputs = (values[number] for number in step.inputs)
            values[step.output] = step.operation.forward(*inputs, training=training)
        return [values[number] for number in self._graph.outputs]

    def backward(self, gradients: list[np.ndarray]) -> None:
        """Adds the gradients of the weights, given those of the outputs of the last `forward`."""
        by_value: dict[int, np.ndarray] = {}
        for number, own in zip(self._graph.outputs, gradients, strict=True):  # a value can be several outputs
            by_value[number] = by_value[number] + own if number in by_value else own
        for operation, inputs, output in reversed(self._steps):
            if output not in by_value or output not in self._graph.with_gradient:
                continue
            wanted = (number in self._graph.with_gradient for number in inputs)
            found = operation.backward(by_value.pop(output), *wanted)
            for number, grad in zip(inputs, found if isinstance(found, list) else [found], strict=True):
                if grad is not None:
                    by_value[number] = by_value[number] + grad if number in by_value else grad


class Predictor:
    """Runs a model in inference mode with its current weights; raises `Unsupported` if the engine cannot run it."""

    def __init__(self, model: keras.Model, logits: bool = False):
        check_environment()
        plan, weights = Plan(model, training=False), Weights([], model.weights)
        self._networks = [Network(plan, weights, logits) for _ in range(environment.num_threads())]

    def __call__(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Returns an array for each output of the model, from an array for each input."""
        parts = share_out(len(inputs[0]), len(self._networks))

        def predict(rank: int) -> list[np.ndarray]:
            with np.errstate(over="ignore", invalid="ignore"):  # the caller checks whether outputs are finite
                return self._networks[rank].forward([x[parts[rank]] for x in inputs], training=False)

        with OneBlasThread():
            outputs = run_in_group(ThreadGroup(len(parts)), predict)
        return [np.concatenate(arrays) for arrays in zip(*outputs, strict=True)]

"""A compiled model: its matches as operations on arrays, forward and backward."""

from dataclasses import dataclass

import keras
import numpy as np

from lwcnn.engine.errors import Unsupported
from lwcnn.engine.keras_internals import Graph, read_graph
from lwcnn.engine.match import Match, match_layers
from lwcnn.engine.operations.activations import ends_in_softmax
from lwcnn.engine.operations.base import Operation
from lwcnn.engine.threads import ThreadGroup
from lwcnn.system import environment


class Weights:
    """A model's weights as arrays. The trainable ones, in the optimizer's order, are views of one vector.

    Attributes:
        vector: Trainable weights, (p,) float32.
    """

    def __init__(self, trainable: list[keras.Variable], others: list[keras.Variable]):
        self.trainable, self._others = list(trainable), list(others)
        self._ends = np.cumsum([int(np.prod(v.shape)) for v in self.trainable])[:-1]
        self.vector = self.gather(self.trainable)
        self._arrays = {id(v): part for v, part in zip(self.trainable, self.parts(self.vector))}
        for variable in self._others:
            self._arrays[id(variable)] = np.array(keras.ops.convert_to_numpy(variable), np.float32)

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """Splits a vector like `vector` into one array per trainable variable, in its shape."""
        return [part.reshape(v.shape) for v, part in zip(self.trainable, np.split(vector, self._ends))]

    def gather(self, variables) -> np.ndarray:
        """Returns variables, or arrays, with the shapes of the trainable ones as one vector."""
        parts = [np.ravel(keras.ops.convert_to_numpy(v)) for v in variables]
        return np.concatenate([*parts, np.empty(0)], dtype=np.float32)

    def array(self, variable: keras.Variable) -> np.ndarray:
        """Returns the array of a variable."""
        return self._arrays[id(variable)]

    def write_back(self) -> None:
        """Assigns the arrays to the variables."""
        for variable in self.trainable + self._others:
            variable.assign(self._arrays[id(variable)])


def check_environment() -> None:
    """Raises `Unsupported` unless the backend computes on a single CPU."""
    if environment.accelerator() is not None or environment.num_replicas() > 1:
        raise Unsupported("the backend computes on an accelerator or on several devices")


@dataclass(frozen=True)
class Plan:
    """A model's graph and the matches that compute it, in order."""

    graph: Graph
    matches: list[Match]

    def are_softmax(self) -> list[bool]:
        """Returns for each output whether it is a softmax that `Network.give_logits` can remove."""
        makers = {call.output: call.layer for call in self.graph.calls if not self.graph.readers(call.output)}
        return [ends_in_softmax(makers.get(number)) for number in self.graph.outputs]


def compile_model(model: keras.Model, training: bool = True) -> Plan:
    """Returns the plan of a model with its current trainable variables; `training` means with gradients.

    Raises:
        Unsupported: The engine does not know the kind of model, a layer or a setting; the message names it.
    """
    graph = read_graph(model, training)
    return Plan(graph, match_layers(graph))


@dataclass
class Step:
    operation: Operation
    inputs: tuple[int, ...]
    output: int


class Network:
    """The operations of a plan, with arrays for its weights.

    Args:
        plan: Plan of the model.
        weights: Weights of the model.
        is_leader: Whether this network, of several with the same weights, updates the moving statistics.

    Attributes:
        gradient: Sum of the gradients by the trainable weights, a vector like `weights.vector`.
        steps: Operations in order, with the numbers of the values that they read and return.
        random_operations: Operations that need random numbers in training.
    """

    def __init__(self, plan: Plan, weights: Weights, is_leader: bool = True):
        self._graph = plan.graph
        self._group: ThreadGroup | None = None
        self._rank = self._turn = 0
        self.gradient = np.zeros_like(weights.vector)
        views = {id(v): part for v, part in zip(weights.trainable, weights.parts(self.gradient))}
        self.steps = []
        for match in plan.matches:
            operation = match.operation(lambda v: (weights.array(v), views.get(id(v))))
            operation.all_reduce, operation.is_leader = self._all_reduce, is_leader
            self.steps.append(Step(operation, match.calls[0].inputs, match.calls[-1].output))
        self.random_operations = [step.operation for step in self.steps if step.operation.random is not None]

    def give_logits(self) -> None:
        """Removes the softmax at the end of each output."""
        for step in self.steps:
            if step.output in self._graph.outputs and not self._graph.readers(step.output):
                step.operation.give_logits()

    def join(self, group: ThreadGroup | None, rank: int = 0) -> None:
        """Makes the network compute a part of each batch, as thread `rank` of a group; None means the whole batch."""
        self._group, self._rank, self._turn = group, rank, 0

    def _all_reduce(self, *values):
        if self._group is None:
            return values
        self._turn += 1
        return self._group.sum(self._rank, self._turn - 1, values)

    def forward(self, images: list[np.ndarray], training: bool) -> list[np.ndarray]:
        """Returns the model's outputs for a batch of its inputs."""
        values = dict(zip(self._graph.inputs, images, strict=True))
        for step in self.steps:
            inputs = [values[number] for number in step.inputs]
            if not step.operation.takes_bytes:
                inputs = [x.astype(np.float32, copy=False) for x in inputs]
            values[step.output] = step.operation.forward(inputs, training)
        return [values[number] for number in self._graph.outputs]

    def backward(self, gradients: list[np.ndarray]) -> None:
        """Adds the gradients by the weights, given those by the outputs of the last `forward`."""
        by_value = dict(zip(self._graph.outputs, gradients, strict=True))
        for step in reversed(self.steps):
            if step.output not in by_value or step.output not in self._graph.with_gradient:
                continue
            wanted = [number in self._graph.with_gradient for number in step.inputs]
            for number, grad in zip(step.inputs, step.operation.backward(by_value.pop(step.output), wanted)):
                if grad is not None:
                    by_value[number] = by_value[number] + grad if number in by_value else grad

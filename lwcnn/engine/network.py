"""A compiled model: its matches as operations on arrays, forward and backward."""

from dataclasses import dataclass

import keras
import numpy as np

from lwcnn.engine.errors import Unsupported
from lwcnn.engine.keras_internals import Graph, read_graph
from lwcnn.engine.match import Match, match_layers
from lwcnn.engine.operations.base import Operation
from lwcnn.engine.threads import ThreadGroup
from lwcnn.system import environment


class Weights:
    """A model's weights as arrays: the trainable ones in one vector, so that an optimizer takes them all at once.

    Args:
        trainable: Variables that train, in the optimizer's order.
        others: Variables that do not.

    Attributes:
        trainable: Variables that train.
        vector: Trainable weights, (p,) float32; the arrays of the variables are views of it.
    """

    def __init__(self, trainable: list[keras.Variable], others: list[keras.Variable]):
        self.trainable, self._others = list(trainable), list(others)
        self._ends = np.cumsum([int(np.prod(v.shape)) for v in self.trainable])[:-1]
        self.vector = self.gather(self.trainable)
        self._arrays = {id(v): part for v, part in zip(self.trainable, self.parts(self.vector))}
        for variable in self._others:
            self._arrays[id(variable)] = np.array(keras.ops.convert_to_numpy(variable), np.float32)

    def parts(self, vector: np.ndarray) -> list[np.ndarray]:
        """The part of a vector like `vector` that belongs to each trainable variable, in its shape."""
        return [part.reshape(v.shape) for v, part in zip(self.trainable, np.split(vector, self._ends))]

    def gather(self, variables) -> np.ndarray:
        """A vector of variables, or arrays, of the shapes of the trainable ones."""
        parts = [np.ravel(keras.ops.convert_to_numpy(v)) for v in variables]
        return np.concatenate([*parts, np.empty(0)], dtype=np.float32)

    def array(self, variable: keras.Variable) -> np.ndarray:
        """The array that stands for a variable."""
        return self._arrays[id(variable)]

    def write_back(self) -> None:
        """Sets the variables to their arrays."""
        for variable in self.trainable + self._others:
            variable.assign(self._arrays[id(variable)])


def check_environment() -> None:
    """Checks that the backend computes on a single CPU.

    Raises:
        Unsupported: It does not.
    """
    if environment.accelerator() is not None or environment.num_replicas() > 1:
        raise Unsupported("the backend computes on an accelerator or on several devices")


@dataclass(frozen=True)
class Plan:
    """How a model is computed.

    Attributes:
        graph: The model's calls.
        matches: The operations that compute them, in order.
    """

    graph: Graph
    matches: list[Match]


def compile_model(model: keras.Model, training: bool = True) -> Plan:
    """The plan of a functional or Sequential model of layers that the engine knows.

    Args:
        model: Any model of plain Keras layers; what trains is what is trainable now.
        training: Whether there will be gradients.

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
        plan: Of the model.
        weights: The model's.
        is_leader: Whether, of several networks with the same weights, this one keeps the moving moments.

    Attributes:
        gradient: Sum of the gradients by the trainable weights since `clear`, a vector as `weights.vector`.
        steps: The operations in order, with the numbers of the values that they read and give.
        random_operations: Those that need random numbers in training.
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

    def give_logits(self) -> list[bool]:
        """Leaves out the softmax that an output ends in, from now on; returns for each output whether there was one."""
        last = {step.output: step.operation for step in self.steps if not self._graph.readers(step.output)}
        return [number in last and last[number].give_logits() for number in self._graph.outputs]

    def join(self, group: ThreadGroup | None, rank: int = 0) -> None:
        """Computes a part of each batch from now on, as thread `rank` of a group; None means the whole."""
        self._group, self._rank, self._turn = group, rank, 0

    def _all_reduce(self, *values):
        if self._group is None:
            return values
        self._turn += 1
        return self._group.sum(self._rank, self._turn - 1, values)

    def forward(self, images: list[np.ndarray], training: bool) -> list[np.ndarray]:
        """The model's outputs for a batch of its inputs."""
        values = dict(zip(self._graph.inputs, images, strict=True))
        for step in self.steps:
            inputs = [values[number] for number in step.inputs]
            if not step.operation.takes_bytes:
                inputs = [x.astype(np.float32, copy=False) for x in inputs]
            values[step.output] = step.operation.forward(inputs, training)
        return [values[number] for number in self._graph.outputs]

    def clear(self) -> None:
        """Sets the gradient to zero."""
        self.gradient[:] = 0

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

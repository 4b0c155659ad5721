"""A Keras model as operations on arrays."""

from dataclasses import dataclass

import keras
import numpy as np

from lwcnn.engine.layers import operation_class
from lwcnn.engine.operations.base import Operation
from lwcnn.engine.operations.depthwise_block import DepthwiseBlock
from lwcnn.engine.operations.merging import Average
from lwcnn.engine.operations.normalization import BatchNorm
from lwcnn.engine.threads import Team
from lwcnn.models.graph import layers_with_inputs


class Weights:
    """A model's weights as arrays: the trainable ones in one vector, so that an optimiser takes them all at once.

    Args:
        trainable: the variables that train, in the optimiser's order.
        others: those that do not.

    Attributes:
        trainable: as given.
        vector: the trainable weights, (p,) float32; the arrays of the variables are views of it.
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

    def give_back(self) -> None:
        """Sets the variables to what their arrays have become."""
        for variable in self.trainable + self._others:
            variable.assign(self._arrays[id(variable)])


@dataclass
class _Node:
    name: str
    operation: Operation
    inputs: list[str]
    trains: bool  # whether anything up to here has a gradient to take


class Network:
    """The operations of a functional model, in order.

    Args:
        model: one that `is_supported`.
        weights: of the model.
        training: whether there will be gradients.
        leads: whether, of several networks with the same weights, this one keeps the moving moments.

    Attributes:
        gradient: the sum of the gradients by the trainable weights since `clear`, a vector as `weights.vector`.
    """

    def __init__(self, model: keras.Model, weights: Weights, training: bool = True, leads: bool = True):
        self._team: Team | None = None
        self._rank = self._turn = 0
        self.gradient = np.zeros_like(weights.vector)
        views = {id(v): part for v, part in zip(weights.trainable, weights.parts(self.gradient))} if training else {}
        self._input_names = [tensor._keras_history.operation.name for tensor in model.inputs]
        self._output_names = [tensor._keras_history.operation.name for tensor in model.outputs]
        self._nodes: list[_Node] = []
        trains: dict[str, bool] = dict.fromkeys(self._input_names, False)
        for layer, calls in layers_with_inputs(model):
            if layer.name in trains:
                continue
            if isinstance(layer, keras.Model):
                operation = _Inner(layer, weights)
            else:
                operation = operation_class(layer)(layer, lambda v: (weights.array(v), views.get(id(v))))
            operation.exchange, operation.leads = self._exchange, leads
            own = any(id(v) in views for v in layer.trainable_weights)
            trains[layer.name] = own or any(trains[name] for name in calls[0])
            self._nodes.append(_Node(layer.name, operation, calls[0], trains[layer.name]))
        self._trains = trains

    def random_operations(self) -> dict[str, Operation]:
        """The operations that need random numbers, by the layer's name."""
        return {node.name: node.operation for node in self._nodes if node.operation.random is not None}

    def join(self, team: Team | None, rank: int = 0) -> None:
        """Takes part of a batch from now on, `rank` of a team; None: the whole."""
        self._team, self._rank, self._turn = team, rank, 0

    def _exchange(self, *values):
        if self._team is None:
            return values
        self._turn += 1
        return self._team.sum(self._rank, self._turn - 1, values)

    def forward(self, images: list[np.ndarray], training: bool) -> list[np.ndarray]:
        """The outputs, one for each of the model's, for as many inputs as the model has."""
        values = dict(zip(self._input_names, images, strict=True))
        for node in self._nodes:
            values[node.name] = node.operation.forward([values[name] for name in node.inputs], training)
        return [values[name] for name in self._output_names]

    def clear(self) -> None:
        """Sets the gradient to nought."""
        self.gradient[:] = 0

    def backward(self, gradients: list[np.ndarray]) -> None:
        """Adds what `gradients`, by the outputs of the last `forward`, mean for the weights."""
        by_output = dict(zip(self._output_names, gradients, strict=True))
        for node in reversed(self._nodes):
            if node.name not in by_output or not node.trains:
                continue
            wanted = [self._trains[name] for name in node.inputs]
            for name, grad in zip(node.inputs, node.operation.backward(by_output.pop(node.name), wanted)):
                if grad is not None:
                    by_output[name] = by_output[name] + grad if name in by_output else grad


class _Inner(Operation):
    """A model within a model, such as a teacher of an ensemble; without gradients."""

    def __init__(self, model: keras.Model, weights: Weights):
        self._network = Network(model, weights, training=False)

    def forward(self, inputs, training):
        return self._network.forward(inputs, training=False)[0]


def is_supported(model: keras.Model, training: bool = True) -> bool:
    """Whether every layer of a model has an operation, and those with moments can train as they are set.

    Args:
        model: any.
        training: whether there will be gradients; models within models and averages have none.
    """
    if not isinstance(model, keras.Model) or isinstance(model, keras.Sequential):
        return False
    try:
        layers = layers_with_inputs(model)
    except Exception:  # noqa: BLE001 - Keras raises many kinds for models that do not tell their configuration
        return False
    for layer, calls in layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        if len(calls) != 1:
            return False
        if isinstance(layer, keras.Model):
            if training or not is_supported(layer, training=False):
                return False
            continue
        found = operation_class(layer)
        if found is None or (training and found is Average):
            return False
        if training and found in (BatchNorm, DepthwiseBlock) and not all(v.trainable for v in _learned(layer)):
            return False
    return True


def _learned(layer: keras.Layer) -> list[keras.Variable]:
    """The weights of a layer that gradients change, whether or not it is set to train."""
    norms = [part for part in layer._flatten_layers() if isinstance(part, keras.layers.BatchNormalization)]
    moments = {id(v) for norm in norms for v in (norm.moving_mean, norm.moving_variance)}
    return [v for v in layer.weights if id(v) not in moments]

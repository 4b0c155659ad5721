"""Gathers the engine's uses of Keras's private attributes; its test names the versions for which they hold.

Three other modules use some: `training.keras_optimizers` overrides private methods of Keras's Muon and reads
optimizers' variables, `training.jax_epoch` calls `_symbolic_build`, and `models.graph` reads `_nodes_by_depth` and
`_keras_history`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

import keras
from keras.src.models.functional import Functional


class Unsupported(Exception):
    """The engine cannot compile a model; the message is one line that names the layer or setting."""


def title(of) -> str:
    """Returns name and class of a layer, model, loss or optimizer, such as "conv1 (Conv2D)", for messages."""
    return f"{of.name} ({type(of).__name__})"


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer, or of a Keras operation such as that of `x + y`, with the numbers of its values."""

    layer: keras.Layer
    inputs: tuple[int, ...]
    output: int


@dataclass
class Graph:
    """Calls of a model, and of the models nested in it, in order of computation, by the numbers of their values.

    `with_gradient` has the numbers of the values that depend on trainable weights.
    """

    inputs: list[int] = field(default_factory=list)
    input_shapes: list[tuple[int | None, ...]] = field(default_factory=list)  # without the batch's axis
    outputs: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    with_gradient: set[int] = field(default_factory=set)
    new_values: Iterator[int] = field(default_factory=count)

    def readers(self, value: int) -> list[Call]:
        return [call for call in self.calls if value in call.inputs]

    def only_reader(self, value: int) -> Call | None:
        """Returns the only call that reads a value; None if there are several or the model outputs it."""
        readers = self.readers(value)
        return readers[0] if len(readers) == 1 and value not in self.outputs else None


def read_graph(model: keras.Model, training: bool) -> Graph:
    """Reads the graph of a functional or Sequential model; `training` says whether gradients are needed."""
    graph = Graph()
    graph.input_shapes = [tuple(tensor.shape[1:]) for tensor in _functional(model).inputs]
    graph.inputs = [next(graph.new_values) for _ in graph.input_shapes]
    graph.outputs = _add_calls(graph, model, graph.inputs)
    for call in graph.calls if training else ():
        own = getattr(call.layer, "trainable_variables", ())
        if own or not graph.with_gradient.isdisjoint(call.inputs):
            graph.with_gradient.add(call.output)
    return graph


def _functional(model: keras.Model):
    functional = getattr(model, "_functional", None) if isinstance(model, keras.Sequential) else model
    if not hasattr(functional, "_nodes_by_depth"):
        raise Unsupported(f"{title(model)} is neither a functional nor a built Sequential model")
    if type(model).call not in (Functional.call, keras.Sequential.call):
        raise Unsupported(f"{type(model).__name__} overrides call")
    return functional


def _add_calls(graph: Graph, model: keras.Model, inputs: list[int]) -> list[int]:
    """Adds the calls of a model that reads the values `inputs`; returns the numbers of its outputs."""
    functional = _functional(model)
    numbers = {id(tensor): number for tensor, number in zip(functional.inputs, inputs, strict=True)}
    for depth in sorted(functional._nodes_by_depth, reverse=True):
        for node in functional._nodes_by_depth[depth]:
            if node.is_input:
                continue
            layer, read = node.operation, [numbers[id(tensor)] for tensor in node.arguments.keras_tensors]
            _check_arguments(node)
            if isinstance(layer, keras.Model):
                is_dict = any(isinstance(part, dict) for part in node.arguments.args[:1])
                if is_dict and not isinstance(layer.input, dict):
                    raise Unsupported(f"{title(layer)} has a list of inputs, but is called with a dict")
                given = _add_calls(graph, layer, read)
            else:
                given = [next(graph.new_values) for _ in node.outputs]
                if len(given) != 1:
                    raise Unsupported(f"{title(layer)} has {len(given)} outputs")
                graph.calls.append(Call(layer, tuple(read), given[0]))
                if tuple(node.outputs[0].shape) != tuple(layer.output.shape):
                    raise Unsupported(f"{title(layer)} is called on inputs of several shapes")
            numbers |= {id(tensor): number for tensor, number in zip(node.outputs, given, strict=True)}
    return [numbers[id(tensor)] for tensor in functional.outputs]


def _check_arguments(node) -> None:
    """Checks that all arguments of a call are tensors of the model, except `training`, which the engine sets itself."""
    named = {name: value for name, value in node.arguments.kwargs.items() if name != "training"}
    arguments = [value for value in keras.tree.flatten((node.arguments.args, named)) if value is not None]
    if len(arguments) != len(node.arguments.keras_tensors):
        raise Unsupported(f"{title(node.operation)} is called with arguments that are not tensors")


SLOTS: dict[type[keras.optimizers.Optimizer], tuple[str, ...]] = {
    keras.optimizers.SGD: ("momentums",),
    keras.optimizers.Adam: ("_momentums", "_velocities"),
    keras.optimizers.AdamW: ("_momentums", "_velocities"),
    keras.optimizers.Nadam: ("_momentums", "_velocities"),
    keras.optimizers.RMSprop: ("_velocities",),
    keras.optimizers.Lion: ("_momentums",),
    keras.optimizers.Muon: ("momentums", "adam_velocities"),
}
"""Attributes in which each known optimizer keeps its state: lists with one variable per trained variable."""


def learning_rate(optimizer: keras.optimizers.Optimizer):
    return optimizer._learning_rate


def is_decayed(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> bool:
    return optimizer._use_weight_decay(variable)


def is_orthogonalized(optimizer: keras.optimizers.Muon, variable: keras.Variable) -> bool:
    """Returns whether a variable is trained by Muon itself rather than its AdamW."""
    return not optimizer._should_use_adamw(variable)


def slot_index(optimizer: keras.optimizers.Optimizer, variable: keras.Variable) -> int | None:
    """Returns the place of a variable in the lists of `SLOTS`; None if the optimizer was not built for it."""
    return optimizer._trainable_variables_indices.get(optimizer._var_key(variable))


def first_epoch(model: keras.Model, initial_epoch: int) -> int:
    """Returns the epoch at which to begin: the one that `BackupAndRestore` found, or the given one."""
    return model._initial_epoch or initial_epoch


def momentum_product(optimizer: keras.optimizers.Nadam) -> keras.Variable:
    return optimizer._u_product


def compiled_losses(model: keras.Model) -> list:
    """Returns the compiled loss of each output."""
    loss = model.loss
    if isinstance(loss, (dict, tuple)):
        raise Unsupported(f"{model.name} has its losses in a {type(loss).__name__}")
    return loss if isinstance(loss, list) else [loss]


def output_names(model: keras.Model) -> list[str]:
    return list(_functional(model).output_names)


def compiled_metrics(model: keras.Model) -> list:
    """Returns the compiled metrics; raises `Unsupported` if there are weighted ones."""
    found = model._compile_metrics
    if found is None:
        return []
    if any(metric is not None for metric in keras.tree.flatten(found._user_weighted_metrics)):
        raise Unsupported(f"{model.name} has weighted metrics")
    return [metric for metric in keras.tree.flatten(found._user_metrics) if metric is not None]


def loss_weights(model: keras.Model):
    return model._compile_loss._user_loss_weights

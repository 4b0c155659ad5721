"""Estimates the memory that the activations of a LiteRT model need on a microcontroller.

TensorFlow Lite Micro allocates all activations in one block of memory, the arena, before the first run. Activations
whose lifetimes overlap get separate memory; others share it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.export.extras import require
from lwcnn.system.errors import LwcnnError

ALIGNMENT = 16  # bytes, as in TensorFlow Lite Micro


@dataclass(frozen=True)
class Activation:
    """A tensor that exists only while the model runs, for one image, from operation `first` to operation `last`.

    The model's input is needed from the first operation on, its output until the last one.
    """

    name: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Graph:
    """Activations and operations ("CONV_2D" and so on, in execution order) of a LiteRT model."""

    activations: tuple[Activation, ...]
    operations: tuple[str, ...]


def read_graph(content: bytes) -> Graph:
    """Reads the activations and operations of a LiteRT file for one image."""
    schema = require("ai_edge_litert.schema_py_generated")
    if content[4:8] != b"TFL3":
        raise LwcnnError(f"Give the content of a LiteRT file. Received: {content[:8]!r}...")
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise LwcnnError(f"Give a LiteRT file with one subgraph. Received: {model.SubgraphsLength()}")
    graph = model.Subgraphs(0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    operators = [graph.Operators(i) for i in range(graph.OperatorsLength())]
    uses: dict[int, list[int]] = {int(i): [0] for i in graph.InputsAsNumpy()}
    for number, operator in enumerate(operators):
        for i in [*_indices(operator.InputsAsNumpy()), *_indices(operator.OutputsAsNumpy())]:
            uses.setdefault(i, []).append(number)
    for i in _indices(graph.OutputsAsNumpy()):
        uses[i].append(len(operators) - 1)
    widths = _bytes_by_type(schema)
    activations = []
    for i, numbers in sorted(uses.items()):
        tensor = graph.Tensors(i)
        if model.Buffers(tensor.Buffer()).DataLength() > 0:  # a constant, stored in the file
            continue
        shape = [int(side) for side in np.atleast_1d(tensor.ShapeAsNumpy())] if tensor.ShapeLength() else []
        size = int(np.prod(shape, dtype=np.int64)) * widths[tensor.Type()]
        activations.append(Activation(tensor.Name().decode(), size, min(numbers), max(numbers)))
    operations = tuple(names[_code(model.OperatorCodes(operator.OpcodeIndex()))] for operator in operators)
    return Graph(tuple(activations), operations)


def plan_arena(activations: Sequence[Activation]) -> int:
    """Returns the arena size in bytes according to TensorFlow Lite Micro's memory planner.

    Activations are placed in order of decreasing size, each at the lowest offset that does not overlap an activation
    with an overlapping lifetime. Sizes are rounded up to `ALIGNMENT`. The interpreter's structures and the operations'
    scratch memory are not included: they depend on the build.

    Source: the greedy planner of TensorFlow Lite Micro; Pisarchyk and Lee, "Efficient Memory Management for Deep
    Neural Net Inference", arXiv 2001.03288, "greedy by size".
    """
    placed: list[tuple[int, int, Activation]] = []  # begin, end
    for activation in sorted(activations, key=lambda a: (-a.size_bytes, a.first)):
        size = -(-activation.size_bytes // ALIGNMENT) * ALIGNMENT
        begin = 0
        for other_begin, other_end, other in sorted(placed, key=lambda entry: entry[0]):
            apart_in_time = other.last < activation.first or activation.last < other.first
            if not apart_in_time and begin + size > other_begin:
                begin = max(begin, other_end)
        placed.append((begin, begin + size, activation))
    return max((end for _, end, _ in placed), default=0)


def _indices(numbers: np.ndarray | int) -> Iterable[int]:
    """Returns the tensor indices in a flatbuffer vector without omitted ones (-1); a missing vector is read as 0."""
    return [int(i) for i in np.atleast_1d(numbers) if i >= 0] if isinstance(numbers, np.ndarray) else []


def _code(operator_code) -> int:
    # Codes up to 127 may be stored only in the older field.
    return max(operator_code.BuiltinCode(), operator_code.DeprecatedBuiltinCode())


def _bytes_by_type(schema) -> dict[int, int]:
    names = {"FLOAT32": 4, "INT32": 4, "UINT32": 4, "INT64": 8, "INT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1}
    return {getattr(schema.TensorType, name): width for name, width in names.items()}

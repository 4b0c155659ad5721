"""The memory that a LiteRT file's activations need on a microcontroller, estimated from the file.

TensorFlow Lite Micro computes in one block of memory, the arena. It places every activation in it before the
first run: two that are needed at the same time apart, others over one another.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.export.extras import require
from lwcnn.system.errors import LwcnnError

ALIGNMENT = 16  # bytes, TensorFlow Lite Micro's


@dataclass(frozen=True)
class Activation:
    """A tensor that exists only while the model runs.

    Args:
        name: its name in the file.
        size_bytes: its size for one image.
        first, last: numbers of the first and the last operation during which it must be kept; the model's input
            is there from operation 0 on, its output until the last.
    """

    name: str
    size_bytes: int
    first: int
    last: int


@dataclass(frozen=True)
class Graph:
    """What a microcontroller's program must know of a LiteRT file.

    Args:
        activations: its activations.
        operations: the names of its operations in the order they run, as "CONV_2D".
    """

    activations: tuple[Activation, ...]
    operations: tuple[str, ...]


def read_graph(content: bytes) -> Graph:
    """The activations and operations of a LiteRT file, for one image.

    Args:
        content: the file's bytes, of one subgraph.

    Raises:
        LwcnnError: a file that is no such one, or a missing package.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    if content[4:8] != b"TFL3":
        raise LwcnnError(f"Give the bytes of a LiteRT file. Received: {content[:8]!r}...")
    model = schema.Model.GetRootAs(content, 0)
    if model.SubgraphsLength() != 1:
        raise LwcnnError(f"Give a LiteRT file of one subgraph. Received: {model.SubgraphsLength()}")
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
        if model.Buffers(tensor.Buffer()).DataLength() > 0:  # a constant: it stays in the file
            continue
        shape = [int(side) for side in np.atleast_1d(tensor.ShapeAsNumpy())] if tensor.ShapeLength() else []
        size = int(np.prod(shape, dtype=np.int64)) * widths[tensor.Type()]
        activations.append(Activation(tensor.Name().decode(), size, min(numbers), max(numbers)))
    operations = tuple(names[_code(model.OperatorCodes(operator.OpcodeIndex()))] for operator in operators)
    return Graph(tuple(activations), operations)


def plan_arena(activations: Sequence[Activation]) -> int:
    """The bytes of an arena for these activations, placed as TensorFlow Lite Micro's planner places them.

    The largest is placed first, each at the lowest place where it meets none whose time overlaps with its own;
    sizes are rounded up to `ALIGNMENT`. The interpreter's own structures and the operations' scratch memory
    come on top: they depend on the build.

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
    """Tensor numbers of a flatbuffer's vector, without those left out (-1); it gives 0 for a vector not there."""
    return [int(i) for i in np.atleast_1d(numbers) if i >= 0] if isinstance(numbers, np.ndarray) else []


def _code(operator_code) -> int:
    # Numbers up to 127 may stand in the older field alone.
    return max(operator_code.BuiltinCode(), operator_code.DeprecatedBuiltinCode())


def _bytes_by_type(schema) -> dict[int, int]:
    names = {"FLOAT32": 4, "INT32": 4, "UINT32": 4, "INT64": 8, "INT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1}
    return {getattr(schema.TensorType, name): width for name, width in names.items()}

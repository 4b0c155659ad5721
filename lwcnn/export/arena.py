"""Writes int8 LiteRT models as C++ source, and estimates the arena: the memory of their activations."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lwcnn.system.environment import require
from lwcnn.system.safe_text import one_line

_BYTES_PER_LINE = 12  # of the source
ALIGNMENT = 16  # bytes, of the weights in a file and of TensorFlow Lite Micro's activations
_WIDTHS = {"FLOAT32": 4, "INT32": 4, "UINT32": 4, "INT64": 8, "INT16": 2, "INT8": 1, "UINT8": 1, "BOOL": 1}


@dataclass(frozen=True)
class Activation:
    """A tensor that exists only while the model runs, for one image, from operation `first` to operation `last`."""

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
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    (graph,) = model.subgraphs
    uses: dict[int, list[int]] = {i: [0] for i in graph.inputs}
    for number, operator in enumerate(graph.operators):
        for i in (*operator.inputs, *operator.outputs):
            uses.setdefault(i, []).append(number)
    for i in graph.outputs:
        uses[i].append(len(graph.operators) - 1)
    widths = {getattr(schema.TensorType, name): width for name, width in _WIDTHS.items()}
    activations = []
    for i, numbers in sorted(uses.items()):
        tensor = None if i < 0 else graph.tensors[i]  # -1 stands for an omitted input
        if tensor is not None and model.buffers[tensor.buffer].data is None:  # others are constants
            shape = () if tensor.shape is None else tensor.shape
            size = int(np.prod(shape, dtype=np.int64)) * widths[tensor.type]
            activations.append(Activation(size, min(numbers), max(numbers)))
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]  # small ones in either
    operations = tuple(names[codes[operator.opcodeIndex]] for operator in graph.operators)
    return Graph(tuple(activations), operations)


def plan_arena(activations: Sequence[Activation]) -> int:
    """Returns the arena size in bytes according to TensorFlow Lite Micro's greedy planner (arXiv 2001.03288).

    In order of decreasing size, each activation gets the lowest offset at which it overlaps no other activation
    of an overlapping lifetime.
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


def to_c_array(content: bytes, name: str, graph: Graph) -> dict[str, bytes]:
    """Returns the files `model_data.cc` and `.h` with an int8 LiteRT model and the size of its activations."""
    identifier = re.sub(r"\W", "_", name, flags=re.ASCII)
    variable, memory = f"g_{identifier}_model_data", f"g_{identifier}_activation_bytes_estimated"
    guard = f"LWCNN_{identifier.upper()}_MODEL_DATA_H_"
    calls = ", ".join(sorted({f"Add{name.title().replace('_', '')}" for name in graph.operations}))  # "AddConv2D"
    header = f"""\
// {one_line(name)}: an int8 LiteRT model of {len(content):,} bytes, written by `lwcnn export --format c-array`.
//
// Input: int8, the uint8 image minus 128. Output: int8 logits; the largest is the predicted class.
// Operations for a MicroMutableOpResolver: {calls}.
#ifndef {guard}
#define {guard}

extern const unsigned char {variable}[];
extern const unsigned int {variable}_len;

// Estimated, not measured, from the lifetimes of the activations. The arena must also hold the interpreter's structures
// and the operations' scratch memory: 5 to 28 kB more on a PC, for the networks of this package.
constexpr unsigned int {memory} = {plan_arena(graph.activations)};

#endif  // {guard}
"""
    rows = [content[i : i + _BYTES_PER_LINE] for i in range(0, len(content), _BYTES_PER_LINE)]
    body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
    source = f"""\
#include "model_data.h"

// LiteRT reads the model in place, which requires alignment.
alignas({ALIGNMENT}) const unsigned char {variable}[] = {{
{body}
}};
const unsigned int {variable}_len = {len(content)};
"""
    return {"model_data.cc": source.encode(), "model_data.h": header.encode()}

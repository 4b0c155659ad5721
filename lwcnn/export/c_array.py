"""Writes int8 LiteRT models as C++ source for TensorFlow Lite Micro."""

import re

from lwcnn.export.arena import Graph, plan_arena
from lwcnn.system.safe_text import one_line

_BYTES_PER_LINE = 12


def to_c_array(content: bytes, name: str, graph: Graph) -> dict[str, bytes]:
    """Returns the files `model_data.cc` and `model_data.h` with an int8 LiteRT model and its estimated arena size."""
    variable = f"g_{c_name(name)}_model_data"
    arena = f"g_{c_name(name)}_arena_bytes_estimated"
    guard = f"LWCNN_{c_name(name).upper()}_MODEL_DATA_H_"
    calls = ", ".join(sorted({_resolver_call(operation) for operation in graph.operations}))
    header = f"""\
// {one_line(name)}: an int8 LiteRT model of {len(content):,} bytes, written by `lwcnn export --format c-array`.
//
// Input: int8, the uint8 image minus 128. Output: int8 logits; the largest is the predicted class.
// Operations for a MicroMutableOpResolver: {calls}.
#ifndef {guard}
#define {guard}

extern const unsigned char {variable}[];
extern const unsigned int {variable}_len;

// Estimated, not measured, from the lifetimes of the activations. The interpreter's structures and the operations'
// scratch memory need some additional kilobytes, which depend on the build.
constexpr unsigned int {arena} = {plan_arena(graph.activations)};

#endif  // {guard}
"""
    rows = [content[i : i + _BYTES_PER_LINE] for i in range(0, len(content), _BYTES_PER_LINE)]
    body = "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)
    source = f"""\
#include "model_data.h"

// LiteRT reads the model in place, which requires alignment.
alignas(16) const unsigned char {variable}[] = {{
{body}
}};
const unsigned int {variable}_len = {len(content)};
"""
    return {"model_data.cc": source.encode(), "model_data.h": header.encode()}


def c_name(name: str) -> str:
    """Returns a name with characters that are invalid in C++ identifiers replaced by "_"."""
    return re.sub(r"\W", "_", name, flags=re.ASCII)


def _resolver_call(operation: str) -> str:
    """Returns the method that registers an operation: "AddConv2D" for "CONV_2D"."""
    return "Add" + "".join(word.capitalize() if word[0].isalpha() else word for word in operation.split("_"))

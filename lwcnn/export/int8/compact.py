"""Removes redundancy from LiteRT files."""

import numpy as np

from lwcnn.export.extras import require

_ALIGNMENT = 16  # bytes; LiteRT reads weights in place


def share_vectors(content: bytes) -> bytes:
    """Stores equal vectors of a LiteRT file once and replaces the names of internal tensors by numbers.

    The converter stores a zero point of eight bytes for every channel of every kernel and bias: a fifth of a small
    file.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    flatbuffers = require("flatbuffers")

    class Builder(flatbuffers.Builder):  # type: ignore[name-defined]
        def __init__(self, size: int):
            super().__init__(size)
            self._stored: dict[tuple[str, bytes], int] = {}  # offset of the vector by type and bytes

        def CreateNumpyVector(self, values: np.ndarray) -> int:
            if values.dtype == np.uint8:  # weights
                self.Prep(_ALIGNMENT, values.size)
                return super().CreateNumpyVector(values)
            key = (values.dtype.str, values.tobytes())
            if key not in self._stored:
                self._stored[key] = super().CreateNumpyVector(values)
            return self._stored[key]

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    for graph in model.subgraphs:
        for i in set(range(len(graph.tensors))) - {*graph.inputs, *graph.outputs}:
            graph.tensors[i].name = str(i).encode()
    builder = Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())

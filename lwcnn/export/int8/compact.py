"""LiteRT files without repetitions."""

import numpy as np

from lwcnn.export.extras import require

_ALIGNMENT = 16  # bytes, of weights: LiteRT reads them in place


def share_vectors(content: bytes) -> bytes:
    """The same LiteRT file, its equal vectors stored once and its inner tensors named by number.

    The converter stores eight bytes of zero point for every channel of every kernel and bias, all of them zero:
    a fifth of the file of a small model of many channels. Names are of use for what goes in and comes out alone.

    Args:
        content: the file's bytes.

    Raises:
        LwcnnError: a missing package.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    flatbuffers = require("flatbuffers")

    class Builder(flatbuffers.Builder):
        def __init__(self, size: int):
            super().__init__(size)
            self._stored: dict[tuple[str, bytes], int] = {}  # type and bytes to the vector's place

        def CreateNumpyVector(self, values: np.ndarray) -> int:
            if values.dtype == np.uint8:  # data of weights
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

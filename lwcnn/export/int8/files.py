"""Improves int8 LiteRT files: ranges of hard swish, bias correction, and vectors stored once."""

import warnings

import numpy as np

from lwcnn.data.checks import images_at_once
from lwcnn.export.arena import ALIGNMENT, read_graph
from lwcnn.export.formats import LitertModel
from lwcnn.system.environment import require

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def restore_relu6_ranges(content: bytes) -> bytes:
    """Restores the range 0 to 6 of additions with ReLU6 where the converter widened it and only products read them.

    TensorFlow 2.21 gives an operand of an addition or multiplication the scale of the result, if nothing else reads it
    and its range is smaller. In a hard swish, relu6(x + 3) may keep only a tenth of its 256 values.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    changed, operations = bytearray(content), read_graph(content).operations
    graph = schema.Model.GetRootAs(changed, 0).Subgraphs(0)  # a view: writing to it changes `changed`
    readers: dict[int, set[str]] = {}
    for i, name in enumerate(operations):
        for tensor in graph.Operators(i).InputsAsNumpy():
            readers.setdefault(int(tensor), set()).add(name)
    for i, name in enumerate(operations):
        operator, options = graph.Operators(i), schema.AddOptions()
        output = operator.Outputs(0)
        if name != "ADD" or readers.get(output) != {"MUL"}:
            continue
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        quantization = graph.Tensors(output).Quantization()
        is_relu6 = options.FusedActivationFunction() == schema.ActivationFunctionType.RELU6
        if is_relu6 and quantization.Scale(0) > 6 / 255:
            quantization.ScaleAsNumpy()[:], quantization.ZeroPointAsNumpy()[:] = 6 / 255, -128
    return bytes(changed)


def correct_biases(content: bytes, reference: bytes, images: np.ndarray) -> bytes:
    """Corrects an int8 file's biases so that the mean of each convolution's channels matches its float32 reference.

    The shift is measured on uint8 images, for one convolution after another with all previous ones corrected; after a
    ReLU, where the float32 output is positive (arXiv 1906.04721, section 4.2, with measured shifts). All activations
    are kept, so fewer images are used if they are large.
    """
    images = images[: images_at_once(images.shape[1:], len(images))]
    numbers, exact_numbers = _convolutions(content), _convolutions(reference)
    schema = require("ai_edge_litert.schema_py_generated")
    corrected = bytearray(content)
    model = schema.Model.GetRootAs(corrected, 0)  # a view: writing to it changes `corrected`
    graph = model.Subgraphs(0)
    exact_graph = schema.Model.GetRootAs(reference, 0).Subgraphs(0)
    exact = _run(reference, images)
    for number, exact_number in zip(numbers, exact_numbers, strict=True):
        operator = graph.Operators(number)
        output = graph.Tensors(operator.Outputs(0)).Quantization()
        expected = exact.tensor(exact_graph.Operators(exact_number).Outputs(0))
        found = _run(bytes(corrected), images).tensor(operator.Outputs(0)).astype(np.float32)
        shift = (found - output.ZeroPoint(0)) * output.Scale(0) - expected
        counted = expected > 0 if expected.min() == 0 else np.ones_like(expected)
        shift = (shift * counted).sum((0, 1, 2)) / np.maximum(counted.sum((0, 1, 2)), 1)
        bias = graph.Tensors(operator.Inputs(2))
        values = model.Buffers(bias.Buffer()).DataAsNumpy().view(np.int32)
        values -= np.round(shift / bias.Quantization().ScaleAsNumpy()).astype(np.int32)
    return bytes(corrected)


def _convolutions(content: bytes) -> list[int]:
    """Returns the indices of the convolutions among the operations of a file."""
    return [i for i, name in enumerate(read_graph(content).operations) if name in _CONVOLUTIONS]


def _run(content: bytes, images: np.ndarray) -> LitertModel:
    """Runs a file on images and keeps all activations."""
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # about their memory
        opened = LitertModel(content, keep_all=True)
        opened.run(opened.prepare(images))
    return opened


def share_vectors(content: bytes) -> bytes:
    """Stores equal vectors of a LiteRT file once and replaces the names of internal tensors by numbers.

    The converter stores a zero point of eight bytes for every channel: a fifth of a small file.
    """
    schema = require("ai_edge_litert.schema_py_generated")
    flatbuffers = require("flatbuffers")

    class Builder(flatbuffers.Builder):  # type: ignore[name-defined]
        def __init__(self, size: int):
            super().__init__(size)
            self._stored: dict[tuple[str, bytes], int] = {}  # offset of the vector by type and bytes

        def CreateNumpyVector(self, values: np.ndarray) -> int:
            if values.dtype == np.uint8:  # weights, which LiteRT reads in place
                self.Prep(ALIGNMENT, values.size)
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

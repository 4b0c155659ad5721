"""Bias correction: compensates the mean shift that int8 rounding causes."""

import warnings

import numpy as np

from lwcnn.export.arena import read_graph
from lwcnn.export.extras import require
from lwcnn.system.environment import quiet_native_output

_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")


def correct_biases(content: bytes, reference: bytes, images: np.ndarray) -> bytes:
    """Corrects an int8 file's biases so that the mean of each convolution's channels matches its float32 reference.

    Rounding shifts the mean of a channel. The shift is measured on uint8 images, for one convolution after another with
    all previous ones corrected, and subtracted from the bias; after a ReLU, where the float32 output is positive (arXiv
    1906.04721, section 4.2, with measured shifts).
    """
    numbers, exact_numbers = _convolutions(content), _convolutions(reference)
    schema = require("ai_edge_litert.schema_py_generated")
    corrected = bytearray(content)
    model = schema.Model.GetRootAs(corrected, 0)  # a view: writing to it changes `corrected`
    graph = model.Subgraphs(0)
    exact_graph = schema.Model.GetRootAs(reference, 0).Subgraphs(0)
    exact = _run(reference, images.astype(np.float32))
    quantized = (images.astype(np.int16) - 128).astype(np.int8)
    for number, exact_number in zip(numbers, exact_numbers, strict=True):
        operator = graph.Operators(number)
        output = graph.Tensors(operator.Outputs(0)).Quantization()
        expected = exact.get_tensor(exact_graph.Operators(exact_number).Outputs(0))
        found = _run(bytes(corrected), quantized).get_tensor(operator.Outputs(0)).astype(np.float32)
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


def _run(content: bytes, inputs: np.ndarray):
    """Runs a file on inputs; returns the interpreter, which keeps all activations."""
    interpreter = require("ai_edge_litert.interpreter")
    with quiet_native_output(), warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about the memory of kept activations
        found = interpreter.Interpreter(model_content=content, experimental_preserve_all_tensors=True)
        index = found.get_input_details()[0]["index"]
        found.resize_tensor_input(index, inputs.shape)
        found.allocate_tensors()
    found.set_tensor(index, inputs)
    found.invoke()
    return found

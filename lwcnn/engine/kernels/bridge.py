"""Functions of NumPy arrays with gradients of their own, as differentiable operations of each backend.

One of the few places tied to a backend; each function imports its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np


@dataclass(frozen=True)
class Gradient:
    """A function that gives the gradients of some of an operation's inputs.

    Attributes:
        function: (inputs, kept, grad) -> a tuple of arrays, one for each of `inputs`; `kept` is what forward
            gave besides its outputs, `grad` the gradient by the first output.
        inputs: positions of the inputs meant. Gradients that nobody asks for are not computed where the
            backend can tell, so inputs that may not need one should have a function of their own.
    """

    function: Callable
    inputs: tuple[int, ...]


@dataclass(frozen=True)
class Operation:
    """An operation on float32 arrays, channels last, on the CPU.

    Attributes:
        forward: (*inputs) -> a tuple of arrays: the outputs, of which only the first has a gradient, and what
            the gradients need besides.
        num_outputs: how many of them are outputs.
        shapes: input shapes -> (shape, dtype) of each array of forward; a batch size may be None.
        gradients: all inputs in none of them have the gradient nought.
    """

    forward: Callable
    num_outputs: int
    shapes: Callable
    gradients: tuple[Gradient, ...]


def differentiable(operation: Operation) -> Callable:
    """The operation for tensors of the backend in use: (*inputs) -> its outputs, a tuple."""
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()](operation)


def _tensorflow(operation: Operation) -> Callable:
    import tensorflow as tf

    def call(function: Callable, arguments: Sequence, shapes: Sequence) -> list:
        dtypes = [tf.as_dtype(dtype) for _, dtype in shapes]
        # Without state, so that TensorFlow drops the gradients that nobody asks for.
        results = tf.numpy_function(function, arguments, dtypes, stateful=False)
        results = results if isinstance(results, (list, tuple)) else [results]  # eagerly, one comes alone
        for result, (shape, _) in zip(results, shapes, strict=True):
            result.set_shape(shape)
        return list(results)

    @tf.custom_gradient
    def run(*inputs):
        results = call(operation.forward, inputs, operation.shapes([tuple(x.shape) for x in inputs]))
        outputs, kept = results[: operation.num_outputs], results[operation.num_outputs :]

        def backward(grad, *_):
            grads = [None] * len(inputs)
            for gradient in operation.gradients:

                def function(grad, *arrays, gradient=gradient):
                    return gradient.function(arrays[: len(inputs)], arrays[len(inputs) :], grad)

                shapes = [(inputs[i].shape, np.float32) for i in gradient.inputs]
                values = call(function, [grad, *inputs, *kept], shapes)
                for i, value in zip(gradient.inputs, values, strict=True):
                    grads[i] = value
            return grads

        return tuple(outputs), backward

    def with_tensors(*inputs):
        # Outside of a tf.function Keras passes the variables themselves, which custom_gradient refuses.
        return run(*(tf.convert_to_tensor(a) for a in inputs))

    return with_tensors


def _jax(operation: Operation) -> Callable:
    import jax

    def call(function: Callable, shapes: Sequence, *arguments):
        def on_numpy(*arrays):
            return tuple(function(*(np.asarray(a) for a in arrays)))

        return jax.pure_callback(on_numpy, tuple(jax.ShapeDtypeStruct(*s) for s in shapes), *arguments)

    @jax.custom_vjp
    def run(*inputs):
        return forward(*inputs)[0]

    def forward(*inputs):
        results = call(operation.forward, operation.shapes([x.shape for x in inputs]), *inputs)
        return results[: operation.num_outputs], (inputs, results[operation.num_outputs :])

    def backward(saved, grads_of_outputs):
        inputs, kept = saved
        grads = [jax.numpy.zeros_like(x) for x in inputs]
        for gradient in operation.gradients:

            def function(grad, *arrays, gradient=gradient):
                return gradient.function(arrays[: len(inputs)], arrays[len(inputs) :], grad)

            shapes = [(inputs[i].shape, np.float32) for i in gradient.inputs]
            values = call(function, shapes, grads_of_outputs[0], *inputs, *kept)
            for i, value in zip(gradient.inputs, values, strict=True):
                grads[i] = value
        return tuple(grads)

    run.defvjp(forward, backward)
    return run


def _torch(operation: Operation) -> Callable:
    import torch

    class Function(torch.autograd.Function):
        @staticmethod
        def forward(context, *inputs):
            results = operation.forward(*(x.detach().contiguous().numpy() for x in inputs))
            context.save_for_backward(*inputs)
            context.kept = results[operation.num_outputs :]
            outputs = tuple(torch.from_numpy(r) for r in results[: operation.num_outputs])
            context.mark_non_differentiable(*outputs[1:])
            return outputs

        @staticmethod
        def backward(context, grad, *_):
            inputs = tuple(x.detach().contiguous().numpy() for x in context.saved_tensors)
            grads = [None] * len(inputs)
            for gradient in operation.gradients:
                if not any(context.needs_input_grad[i] for i in gradient.inputs):
                    continue
                values = gradient.function(inputs, context.kept, grad.contiguous().numpy())
                for i, value in zip(gradient.inputs, values, strict=True):
                    grads[i] = torch.from_numpy(value)
            return tuple(grads)

    return Function.apply

"""The CPU kernel for conv 3x3 -> ReLU -> max-pool as a differentiable operation of each backend.

One of the few places tied to a backend. Each function imports its own and is made once.
"""

from collections.abc import Callable
from functools import cache

import keras
import numpy as np

from lwcnn.kernels.conv_pool import (
    conv_pool_forward,
    conv_pool_input_gradient,
    conv_pool_kernel_gradients,
)


@cache
def conv_relu_max_pool() -> Callable:
    """The operation (x, kernel, bias) -> pooled for the backend in use: float32, channels last, on the CPU."""
    return {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}[keras.backend.backend()]()


def _pooled_shape(x, kernel) -> tuple:
    return x.shape[0], (x.shape[1] - 2) // 2, (x.shape[2] - 2) // 2, kernel.shape[-1]


def _tensorflow() -> Callable:
    import tensorflow as tf

    def call(function, arguments, dtypes):
        # Without state, so that TensorFlow drops the gradients that nobody asks for.
        return tf.numpy_function(function, arguments, dtypes, stateful=False)

    @tf.custom_gradient
    def operation(x, kernel, bias):
        pooled, winner = call(conv_pool_forward, [x, kernel, bias], [tf.float32, tf.uint8])
        pooled.set_shape(_pooled_shape(x, kernel))

        def gradient(grad_y):
            grad_kernel, grad_bias = call(conv_pool_kernel_gradients, [x, winner, grad_y], [tf.float32, tf.float32])
            grad_x = call(conv_pool_input_gradient, [x, kernel, winner, grad_y], tf.float32)
            for value, like in ((grad_x, x), (grad_kernel, kernel), (grad_bias, bias)):
                value.set_shape(like.shape)
            return grad_x, grad_kernel, grad_bias

        return pooled, gradient

    def with_tensors(x, kernel, bias):
        # Outside of a tf.function Keras passes the variables themselves, which custom_gradient refuses.
        return operation(*(tf.convert_to_tensor(a) for a in (x, kernel, bias)))

    return with_tensors


def _jax() -> Callable:
    import jax

    def call(function, shapes, *arguments):
        def on_numpy(*arrays):
            return function(*(np.asarray(a) for a in arrays))

        return jax.pure_callback(on_numpy, shapes, *arguments)

    def like(array):
        return jax.ShapeDtypeStruct(array.shape, np.float32)

    @jax.custom_vjp
    def operation(x, kernel, bias):
        return forward(x, kernel, bias)[0]

    def forward(x, kernel, bias):
        shape = _pooled_shape(x, kernel)
        shapes = jax.ShapeDtypeStruct(shape, np.float32), jax.ShapeDtypeStruct(shape, np.uint8)
        pooled, winner = call(conv_pool_forward, shapes, x, kernel, bias)
        return pooled, (x, kernel, bias, winner)

    def backward(kept, grad_y):
        x, kernel, bias, winner = kept
        grads = call(conv_pool_kernel_gradients, (like(kernel), like(bias)), x, winner, grad_y)
        return call(conv_pool_input_gradient, like(x), x, kernel, winner, grad_y), *grads

    operation.defvjp(forward, backward)
    return operation


def _torch() -> Callable:
    import torch

    class Operation(torch.autograd.Function):
        @staticmethod
        def forward(context, x, kernel, bias):
            pooled, winner = conv_pool_forward(*(a.detach().numpy() for a in (x, kernel, bias)))
            context.save_for_backward(x, kernel)
            context.winner = winner
            return torch.from_numpy(pooled)

        @staticmethod
        def backward(context, grad_y):
            x, kernel = (a.detach().numpy() for a in context.saved_tensors)
            grad_y = grad_y.contiguous().numpy()
            grad_x = None
            if context.needs_input_grad[0]:
                grad_x = torch.from_numpy(conv_pool_input_gradient(x, kernel, context.winner, grad_y))
            grads = conv_pool_kernel_gradients(x, context.winner, grad_y)
            return grad_x, *(torch.from_numpy(g) for g in grads)

    return Operation.apply

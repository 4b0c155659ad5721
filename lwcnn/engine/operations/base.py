"""The interface of the operations: a layer's forward pass and its gradients, on arrays.

An operation is made from a built Keras layer and `bind`, which maps a variable to the array that holds it and the
array that its gradient is added to (None for a frozen variable). `forward(*inputs, training)` returns the output and
keeps what `backward(grad, *wanted)` needs. `backward` adds the gradients of the weights and returns that of the input,
or a list of those of several inputs, None for each that is not wanted; an operation with one input and no weights runs
only if it is. Arrays are float32, images first.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

Bind = Callable[[keras.Variable], tuple[np.ndarray, np.ndarray | None]]


def no_reduce(*values):
    """Returns the values unchanged: the all-reduce of a single thread."""
    return values


class Operation:
    """Base class of the operations."""

    expected: dict[str, Any] = {}  # settings that a layer must have
    function: Any = None  # the activation at the end, if there is one
    random: tuple[int, ...] | None = None  # shape of the random numbers that each image needs in training
    draws: np.ndarray | None = None  # these numbers, from the network
    all_reduce: Callable = staticmethod(no_reduce)  # sums arrays over the threads, which each have a part of the batch
    is_leader: bool = True  # whether this thread updates the moving statistics
    forward: Callable[..., np.ndarray]
    backward: Callable[..., np.ndarray | list[np.ndarray | None] | None]

    def __init__(self, layer: keras.Layer, bind: Bind):
        self.layer = layer

    @classmethod
    def unsupported_setting(cls, layer: keras.Layer) -> str | None:
        """Returns the first setting of a layer that the operation does not support, such as "groups=2", or None."""
        return first_difference(layer, **cls.expected)


def kernel_and_bias(layer: keras.Layer, bind: Bind) -> list:
    """Returns kernel and bias with the arrays of their gradients; a missing bias is zero."""
    kernel = bind(layer.kernel)
    return [kernel, bind(layer.bias) if layer.use_bias else (np.zeros(kernel[0].shape[-1], np.float32), None)]


def first_difference(layer: keras.Layer, **expected) -> str | None:
    """Returns the first attribute of a layer that differs from its expected value, as "name=value", or None."""
    for name, value in expected.items():
        if getattr(layer, name, value) != value:
            return f"{name}={getattr(layer, name)!r}"
    return None

"""What every operation is: a layer's forward pass and its gradients, on arrays.

An operation is made from a built Keras layer and `bind`, which maps a variable to the array that holds it and the
array that its gradient is added to (None for a frozen variable). `forward(inputs, training)` returns the output and
keeps what `backward(grad, wanted)` needs. `backward` adds the gradients of the weights and returns those of the inputs,
None for each input that is not `wanted`. Arrays are float32, images first.
"""

from collections.abc import Callable

import keras
import numpy as np

from lwcnn.engine.kernels.arrays import no_reduce

Bind = Callable[[keras.Variable], tuple[np.ndarray, np.ndarray | None]]


class Operation:
    """What all operations have.

    Attributes:
        random: how many random numbers an image's output needs in training, as a shape; None needs none. The network
            puts them into `draws` before `forward`.
        all_reduce: gives sums over the batch of what several threads give of its parts; with one thread, its own.
        is_leader: whether moving moments are this thread's to keep.
        takes_bytes: whether inputs may be of any type; others get float32.
    """

    random: tuple[int, ...] | None = None
    draws: np.ndarray | None = None
    all_reduce: Callable = staticmethod(no_reduce)
    is_leader: bool = True
    takes_bytes: bool = False

    def __init__(self, layer: keras.Layer, bind: Bind):
        self.layer = layer

    def give_logits(self) -> bool:
        """Leaves out the softmax that the operation ends in, from now on; returns whether there was one."""
        return False

    def forward(self, inputs: list[np.ndarray], training: bool) -> np.ndarray:
        """The output."""
        raise NotImplementedError

    def backward(self, grad: np.ndarray, wanted: list[bool]) -> list[np.ndarray | None]:
        """The gradients by the inputs, given that by the output of the last `forward`."""
        raise NotImplementedError

    @staticmethod
    def unsupported_setting(layer: keras.Layer) -> str | None:
        """The first setting of a layer that the operation does not know, such as "groups=2"; None if it knows all."""
        return None


def first_difference(layer: keras.Layer, **expected) -> str | None:
    """The first attribute of a layer that is there and not as expected, as "name=value"; None if all are."""
    for name, value in expected.items():
        if getattr(layer, name, value) != value:
            return f"{name}={getattr(layer, name)!r}"
    return None


def as_matrix(kernel: np.ndarray) -> np.ndarray:
    """A 1x1 convolution's kernel (1, 1, c, f) as (c, f); others as they are."""
    return kernel.reshape(kernel.shape[2:]) if kernel.ndim == 4 and kernel.shape[:2] == (1, 1) else kernel

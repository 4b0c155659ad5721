"""Convolution 3x3, ReLU and 2x2 max-pooling as one layer that trains several times as fast on a CPU.

With few filters a CPU spends its time on the full-resolution map: writing it, its ReLU, its pooling and their
gradients. Two formulations avoid that map; both have the plain layers' weights and, within float rounding,
their results and gradients. `benchmarks/` has the times.

- "numba", on a CPU with Numba: a kernel of our own (`lwcnn.kernels`) that keeps the four convolution outputs
  of a pooling window in registers, and whose gradients visit only the one of the four that won.
- "ops", anywhere: those four outputs all lie in one 4x4 window of the input. So one 4x4 convolution of stride 2
  with four times the filters (the 3x3 kernel at its four places, zeros elsewhere) gives them at once at pooled
  resolution, and the maximum over the four groups is the pooling.
"""

import importlib.util
import os

import keras
from keras import layers, ops

from lwcnn import backend
from lwcnn.errors import LwcnnError


@keras.saving.register_keras_serializable(package="lwcnn")
class ConvReluMaxPool(layers.Layer):
    """ReLU(convolution 3x3, valid, + bias) pooled by 2x2 maxima, (n, h, w, c) -> (n, (h-2)//2, (w-2)//2, f).

    Its weights are those of `keras.layers.Conv2D(filters, 3)`: kernel (3, 3, c, f) and bias (f,), so they can
    be exchanged with a Conv2D(activation="relu") followed by MaxPooling2D(2), which gives the same output.

    Args:
        filters: number of filters.
        kernel_initializer: initializer of the kernel.

    Raises:
        LwcnnError: at build, if the images are smaller than 4x4.
    """

    def __init__(self, filters: int, kernel_initializer="glorot_uniform", **kwargs):
        super().__init__(**kwargs)
        self.filters = filters
        # XLA in TensorFlow can't call the kernel; JAX can.
        self.supports_jit = formulation() == "ops" or keras.backend.backend() != "tensorflow"
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        if min(input_shape[1:3]) < 4:
            raise LwcnnError(f"{self.name} needs images of at least 4x4. Received: {tuple(input_shape[1:])}")
        self.kernel = self.add_weight(
            shape=(3, 3, input_shape[-1], self.filters), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x):
        if formulation() == "numba":
            from lwcnn.kernels.bridge import conv_relu_max_pool

            return conv_relu_max_pool()(x, ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.bias))
        rows, columns = x.shape[1] // 2 * 2, x.shape[2] // 2 * 2  # the pooling drops an odd rest
        windows = ops.conv(x[:, :rows, :columns], _four_places(self.kernel), strides=2, padding="valid")
        a, b, c, d = ops.split(windows, 4, axis=-1)  # (n, h', w', f) each
        return ops.relu(ops.maximum(ops.maximum(a, b), ops.maximum(c, d)) + self.bias)

    def compute_output_shape(self, input_shape):
        n, h, w, _ = input_shape
        return n, (h - 2) // 2, (w - 2) // 2, self.filters

    def get_config(self):
        initializer = keras.initializers.serialize(self.kernel_initializer)
        return {**super().get_config(), "filters": self.filters, "kernel_initializer": initializer}


def formulation() -> str:
    """The formulation in use: `LWCNN_FUSED` ("numba" or "ops") if set, else "numba" where it can be had.

    Raises:
        LwcnnError: if the variable is something else, or asks for Numba where it is not installed.
    """
    wanted = os.environ.get("LWCNN_FUSED", "")
    installed = importlib.util.find_spec("numba") is not None
    if wanted not in ("", "numba", "ops") or (wanted == "numba" and not installed):
        raise LwcnnError(f"LWCNN_FUSED must be ops, or numba with Numba installed. Received: {wanted!r}")
    return wanted or ("numba" if installed and not _has_accelerator() else "ops")


def _has_accelerator() -> bool:
    return backend.accelerator() is not None


def _four_places(kernel):
    """The 3x3 kernel at the four places of a 4x4 window: (3, 3, c, f) -> (4, 4, c, 4 f)."""
    places = [ops.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
    return ops.concatenate(places, axis=-1)

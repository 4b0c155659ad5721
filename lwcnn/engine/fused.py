"""Layers that train several times as fast on a CPU: convolution with ReLU and pooling, depthwise block, batch norm.

With few filters a CPU spends its time on the full-resolution map: writing it, its ReLU, its pooling and their
gradients. Two formulations of convolution 3x3, ReLU and 2x2 max-pooling avoid that map; both have the plain
layers' weights and, within float rounding, their results and gradients. `benchmarks/` has the times.

- "numba", on a CPU with Numba: a kernel of our own (`lwcnn.engine.kernels`) that keeps the four convolution outputs
  of a pooling window in registers, and whose gradients visit only the one of the four that won.
- "ops", anywhere: those four outputs all lie in one 4x4 window of the input. So one 4x4 convolution of stride 2
  with four times the filters (the 3x3 kernel at its four places, zeros elsewhere) gives them at once at pooled
  resolution, and the maximum over the four groups is the pooling.
"""

import importlib.util
import os
from functools import cache

import keras
from keras import layers, ops

from lwcnn.models.blocks import StochasticDepth, depthwise_block_layers
from lwcnn.models.configs import EPSILON
from lwcnn.system import environment
from lwcnn.system.errors import LwcnnError


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
        self.supports_jit = not _by_kernel(self) or keras.backend.backend() != "tensorflow"
        self.kernel_initializer = keras.initializers.get(kernel_initializer)

    def build(self, input_shape):
        if min(input_shape[1:3]) < 4:
            raise LwcnnError(f"{self.name} needs images of at least 4x4. Received: {tuple(input_shape[1:])}")
        self.kernel = self.add_weight(
            shape=(3, 3, input_shape[-1], self.filters), initializer=self.kernel_initializer, name="kernel"
        )
        self.bias = self.add_weight(shape=(self.filters,), initializer="zeros", name="bias")

    def call(self, x):
        if _by_kernel(self):
            return _conv_relu_max_pool()(x, ops.convert_to_tensor(self.kernel), ops.convert_to_tensor(self.bias))[0]
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


@cache
def _conv_relu_max_pool():
    from lwcnn.engine.kernels.bridge import differentiable
    from lwcnn.engine.kernels.conv_pool import CONV_RELU_MAX_POOL

    return differentiable(CONV_RELU_MAX_POOL)


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


def _by_kernel(layer: layers.Layer) -> bool:
    """Whether a layer computes by a kernel: those know float32 and one device."""
    return formulation() == "numba" and layer.compute_dtype == "float32" and environment.num_replicas() == 1


def _has_accelerator() -> bool:
    return environment.accelerator() is not None


def _four_places(kernel):
    """The 3x3 kernel at the four places of a 4x4 window: (3, 3, c, f) -> (4, 4, c, 4 f)."""
    places = [ops.pad(kernel, ((i, 1 - i), (j, 1 - j), (0, 0), (0, 0))) for i in (0, 1) for j in (0, 1)]
    return ops.concatenate(places, axis=-1)


@keras.saving.register_keras_serializable(package="lwcnn")
class FusedDepthwiseBlock(layers.Layer):
    """`blocks.depthwise_block` as one layer, (n, h, w, c) -> (n, h, w, filters), with the same layers inside.

    "numba" computes it by `lwcnn.engine.kernels.depthwise_block`, which keeps the wide maps in the cache; "ops" calls the layers
    inside. Weights are exchanged with the plain block by `copy_weights`. Arguments as of `depthwise_block`;
    "numba" serves the activations relu and hard_silu and widths that are multiples of 8, "ops" the rest.
    """

    def __init__(
        self,
        filters: int,
        expansion: float = 2,
        kernel_size: int = 5,
        activation: str = "hard_silu",
        se_reduction: int | None = 16,
        drop_rate: float = 0.0,
        residual: bool = True,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.arguments = {
            "filters": filters,
            "expansion": expansion,
            "kernel_size": kernel_size,
            "activation": activation,
            "se_reduction": se_reduction,
            "drop_rate": drop_rate,
            "residual": residual,
        }
        self.drop = StochasticDepth(drop_rate, name=f"{self.name}_drop") if drop_rate else None
        self.seed_generator = self.drop and self.drop.seed_generator

    def build(self, input_shape):
        channels, chosen = input_shape[-1], self.arguments
        self.inner = depthwise_block_layers(
            chosen["filters"], channels, chosen["expansion"], chosen["kernel_size"], chosen["se_reduction"], self.name
        )
        narrow, hidden = tuple(input_shape), self.inner["expand"].filters
        for role, width in (("depthwise", channels), ("norm", channels), ("expand", channels), ("project", hidden)):
            self.inner[role].build((*narrow[:3], width))
        if chosen["se_reduction"]:
            self.inner["squeeze"].build((narrow[0], 1, 1, chosen["filters"]))
            self.inner["excite"].build((narrow[0], 1, 1, self.inner["squeeze"].units))
        self.residual = chosen["residual"] and channels == chosen["filters"]
        fits = channels % 8 == 0 and chosen["filters"] % 8 == 0 and chosen["kernel_size"] in (3, 5, 7)
        self.by_kernel = _by_kernel(self) and fits and chosen["activation"] in ("relu", "hard_silu")
        self.supports_jit = not self.by_kernel or keras.backend.backend() != "tensorflow"

    def call(self, x, training=False):
        if not self.by_kernel:
            return self._plainly(x, training)
        norm, key = self.inner["norm"], (self.arguments["activation"], self.residual, EPSILON)
        weights = self._weights()
        if not training or not norm.trainable:
            moments = (ops.convert_to_tensor(m) for m in (norm.moving_mean, norm.moving_variance))
            return _depthwise_block_inference(*key)(x, *moments, *weights)[0]
        count = ops.shape(x)[0]
        keep = self.drop.factors(count) if self.drop else ops.ones((count,), "float32")
        out, mean, variance = _depthwise_block_training(*key)(x, keep, *weights)
        for moving, new in ((norm.moving_mean, mean), (norm.moving_variance, variance)):
            moving.assign(moving * norm.momentum + ops.stop_gradient(new) * (1 - norm.momentum))
        return out

    def _plainly(self, x, training):
        inner = self.inner
        y = inner["norm"](inner["depthwise"](x), training=training)
        y = inner["project"](keras.activations.get(self.arguments["activation"])(inner["expand"](y)))
        if "squeeze" in inner:
            y = y * inner["excite"](inner["squeeze"](ops.mean(y, axis=(1, 2), keepdims=True)))
        if self.drop:
            y = self.drop(y, training=training)
        return x + y if self.residual else y

    def _weights(self):
        """The weights as the kernel takes them (`block_op.NUM_WEIGHTS`)."""
        inner = self.inner
        hidden, filters = inner["expand"].filters, inner["project"].filters
        norm = inner["norm"]
        weights = [
            inner["depthwise"].kernel,
            norm.gamma,
            norm.beta,
            ops.reshape(inner["expand"].kernel, (-1, hidden)),
            inner["expand"].bias,
            ops.reshape(inner["project"].kernel, (hidden, filters)),
            inner["project"].bias,
        ]
        if "squeeze" in inner:
            weights += [part for role in ("squeeze", "excite") for part in (inner[role].kernel, inner[role].bias)]
        else:
            weights += [ops.zeros(shape) for shape in ((filters, 0), (0,), (0, filters), (filters,))]
        return [ops.convert_to_tensor(weight) for weight in weights]

    def compute_output_shape(self, input_shape):
        return (*input_shape[:3], self.arguments["filters"])

    def get_config(self):
        return {**super().get_config(), **self.arguments}


@cache
def _depthwise_block_training(activation, residual, epsilon):
    from lwcnn.engine.kernels.block_op import training_operation
    from lwcnn.engine.kernels.bridge import differentiable

    return differentiable(training_operation(activation, residual, epsilon))


@cache
def _depthwise_block_inference(activation, residual, epsilon):
    from lwcnn.engine.kernels.block_op import inference_operation
    from lwcnn.engine.kernels.bridge import differentiable

    return differentiable(inference_operation(activation, residual, epsilon))


@keras.saving.register_keras_serializable(package="lwcnn")
class FusedBatchNormalization(layers.BatchNormalization):
    """Keras's layer of that name, whose training on a CPU is a kernel's (`lwcnn.engine.kernels.batch_norm`): a fifth of the time.

    On JAX it is Keras's own, which XLA makes one with its neighbours.
    """

    def build(self, input_shape):
        super().build(input_shape)
        last = self.axis in (-1, len(input_shape) - 1)
        is_plain = last and self.center and self.scale and not self.synchronized
        self.by_kernel = _by_kernel(self) and is_plain and keras.backend.backend() != "jax"
        self.supports_jit = not self.by_kernel

    def call(self, inputs, training=None, mask=None):
        if not (training and self.trainable and self.by_kernel and mask is None):
            return super().call(inputs, training=training, mask=mask)
        weights = (ops.convert_to_tensor(weight) for weight in (self.gamma, self.beta))
        out, mean, variance = _batch_norm(self.epsilon)(inputs, *weights)
        for moving, new in ((self.moving_mean, mean), (self.moving_variance, variance)):
            moving.assign(moving * self.momentum + ops.stop_gradient(new) * (1 - self.momentum))
        return out


@cache
def _batch_norm(epsilon):
    from lwcnn.engine.kernels.batch_norm import batch_norm_operation
    from lwcnn.engine.kernels.bridge import differentiable

    return differentiable(batch_norm_operation(epsilon))


def copy_weights(source: keras.Model, target: keras.Model) -> None:
    """Gives target the weights of source, by the last two parts of their paths: plain and fused models agree there.

    What source has beyond them is left out; the rate of a scheduled dropout stays target's.

    Raises:
        LwcnnError: if source lacks any, or one has another shape.
    """
    given, taken = (
        {"/".join(weight.path.split("/")[-2:]): weight for weight in model.weights if weight.name != "rate"}
        for model in (source, target)
    )
    differing = [k for k, v in taken.items() if k not in given or given[k].shape != v.shape]
    if differing:
        raise LwcnnError(f"{source.name} lacks weights of {target.name}. Received: {', '.join(differing)}")
    for path, weight in taken.items():
        weight.assign(keras.ops.convert_to_numpy(given[path]))

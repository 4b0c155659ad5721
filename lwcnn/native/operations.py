"""Each layer as an operation on arrays, forward and backward.

An operation is made from a built Keras layer and `bind`, which gives for a variable the array that stands for it and
the array that its gradient is added to, None where it does not train. `forward(inputs, training)` gives the output and
keeps what `backward(grad, wanted)` needs; that adds the gradients by the weights, and gives those by the inputs, None
for each input of which `wanted` is not true. Arrays are float32 with the images first.
"""

from collections.abc import Callable

import keras
import numpy as np

from lwcnn.kernels import block_op, conv_pool, norm, pool
from lwcnn.kernels.arrays import alone, in_parts
from lwcnn.models.blocks import EPSILON, ScheduledDropout

Bind = Callable[[keras.Variable], tuple[np.ndarray, np.ndarray | None]]


class Operation:
    """What all operations have.

    Attributes:
        random: how many random numbers an image's output needs in training, as a shape; None needs none. The network
            puts them into `draws` before `forward`.
        exchange: gives sums over the batch of what several threads give of its parts; with one thread, its own.
        leads: whether moving moments are this thread's to keep.
    """

    random: tuple[int, ...] | None = None
    draws: np.ndarray | None = None
    exchange: Callable = staticmethod(alone)
    leads: bool = True

    def __init__(self, layer: keras.Layer, bind: Bind):
        self.layer = layer


class Rescale(Operation):
    """`keras.layers.Rescaling`, of images of any type."""

    def forward(self, inputs, training):
        (x,) = inputs
        scale, offset = np.float32(self.layer.scale), np.float32(self.layer.offset)
        y = np.empty(x.shape, np.float32)

        def part(first, last):
            np.multiply(x[first:last], scale, out=y[first:last])
            if offset:
                y[first:last] += offset

        in_parts(part, len(x))
        return y

    def backward(self, grad, wanted):
        return [grad * np.float32(self.layer.scale) if wanted[0] else None]


class Pad(Operation):
    """`keras.layers.ZeroPadding2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        (top, bottom), (left, right) = self.layer.padding
        n, h, w, c = x.shape
        y = np.zeros((n, h + top + bottom, w + left + right, c), np.float32)
        y[:, top : top + h, left : left + w] = x
        return y

    def backward(self, grad, wanted):
        (top, bottom), (left, right) = self.layer.padding
        h, w = grad.shape[1:3]
        return [np.ascontiguousarray(grad[:, top : h - bottom, left : w - right]) if wanted[0] else None]


class ConvPool(Operation):
    """`lwcnn.fused.ConvReluMaxPool`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        (self.kernel, self.g_kernel), (self.bias, self.g_bias) = bind(layer.kernel), bind(layer.bias)

    def forward(self, inputs, training):
        (self.x,) = inputs
        y, self.winner = conv_pool.conv_pool_forward(self.x, self.kernel, self.bias)
        return y

    def backward(self, grad, wanted):
        if self.g_kernel is not None:
            g_kernel, g_bias = conv_pool.conv_pool_kernel_gradients(self.x, self.winner, grad)
            self.g_kernel += g_kernel
            self.g_bias += g_bias
        return [conv_pool.conv_pool_input_gradient(self.x, self.kernel, self.winner, grad) if wanted[0] else None]


class Norm(Operation):
    """`lwcnn.fused.FusedBatchNormalization`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.operation = norm.batch_norm_operation(layer.epsilon)
        (self.gamma, self.g_gamma), (self.beta, self.g_beta) = bind(layer.gamma), bind(layer.beta)
        (self.mean, _), (self.variance, _) = bind(layer.moving_mean), bind(layer.moving_variance)

    def forward(self, inputs, training):
        (self.x,) = inputs
        if not training:
            factor = self.gamma / np.sqrt(self.variance + np.float32(self.layer.epsilon))
            return self.x * factor + (self.beta - self.mean * factor)
        y, mean, variance, *self.kept = self.operation.forward(self.x, self.gamma, self.beta, exchange=self.exchange)
        if self.leads:
            _follow(self.mean, mean, self.layer.momentum)
            _follow(self.variance, variance, self.layer.momentum)
        return y

    def backward(self, grad, wanted):
        inputs = self.x, self.gamma, self.beta
        dx, g_gamma, g_beta = self.operation.gradients[0].function(inputs, self.kept, grad, exchange=self.exchange)
        self.g_gamma += g_gamma
        self.g_beta += g_beta
        return [dx]


class DepthwiseBlock(Operation):
    """`lwcnn.fused.FusedDepthwiseBlock`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        inner, key = layer.inner, (layer.arguments["activation"], layer.residual, EPSILON)
        self.training, self.inference = block_op.training_operation(*key), block_op.inference_operation(*key)
        self.norm = inner["norm"]
        (self.mean, _), (self.variance, _) = bind(self.norm.moving_mean), bind(self.norm.moving_variance)
        variables = [inner["depthwise"].kernel, self.norm.gamma, self.norm.beta]
        roles = ("expand", "project", "squeeze", "excite")
        variables += [part for role in roles if role in inner for part in (inner[role].kernel, inner[role].bias)]
        bound = [bind(variable) for variable in variables]
        self.weights = [_as_matrix(value) for value, _ in bound]
        self.g_weights = [None if g is None else _as_matrix(g) for _, g in bound]
        filters = self.weights[5].shape[1]
        if "squeeze" not in inner:
            self.weights += [np.zeros(shape, np.float32) for shape in ((filters, 0), (0,), (0, filters), (filters,))]
        self.rate = layer.arguments["drop_rate"]
        self.random = () if self.rate else None

    def forward(self, inputs, training):
        (self.x,) = inputs
        if not training:
            return self.inference.forward(self.x, self.mean, self.variance, *self.weights)[0]
        self.keep = np.ones(len(self.x), np.float32)
        if self.rate:
            self.keep = (self.draws >= self.rate).astype(np.float32) / np.float32(1 - self.rate)
        y, mean, variance, *self.kept = self.training.forward(self.x, self.keep, *self.weights, exchange=self.exchange)
        if self.leads:
            _follow(self.mean, mean, self.norm.momentum)
            _follow(self.variance, variance, self.norm.momentum)
        return y

    def backward(self, grad, wanted):
        inputs = self.x, self.keep, *self.weights
        dx, *grads = self.training.gradients[0].function(inputs, self.kept, grad, exchange=self.exchange)
        for total, g in zip(self.g_weights, grads):  # without squeeze-and-excitation its gradients go nowhere
            total += g
        return [dx]


class MaxPool(Operation):
    """`keras.layers.MaxPooling2D(2)`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.size = x.shape[1:3]
        y, self.winner = pool.max_pool(x)
        return y

    def backward(self, grad, wanted):
        return [pool.max_pool_gradient(grad, self.winner, *self.size) if wanted[0] else None]


class Linear(Operation):
    """`keras.layers.Dense`, and `Conv2D` of 1x1: a matrix product over the last axis, with ReLU or without."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        kernel, g_kernel = bind(layer.kernel)
        self.kernel, self.g_kernel = _as_matrix(kernel), None if g_kernel is None else _as_matrix(g_kernel)
        self.bias, self.g_bias = bind(layer.bias) if layer.use_bias else (None, None)
        self.relu = layer.activation is keras.activations.relu

    def forward(self, inputs, training):
        (x,) = inputs
        self.x = x.reshape(-1, x.shape[-1])
        y = self.x @ self.kernel
        if self.bias is not None:
            y += self.bias
        if self.relu:
            np.maximum(y, np.float32(0), out=y)
        self.y = y
        return y.reshape(*x.shape[:-1], -1)

    def backward(self, grad, wanted):
        shape = grad.shape
        grad = grad.reshape(-1, shape[-1])
        if self.relu:
            grad = grad * (self.y > 0)
        if self.g_kernel is not None:
            self.g_kernel += self.x.T @ grad
            if self.g_bias is not None:
                self.g_bias += grad.sum(axis=0)
        return [(grad @ self.kernel.T).reshape(*shape[:-1], -1) if wanted[0] else None]


class GlobalAverage(Operation):
    """`keras.layers.GlobalAveragePooling2D`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = n, h, w, c = x.shape
        return (x.reshape(n, h * w, c).sum(axis=1) / np.float32(h * w)).reshape(self._pooled_shape())

    def _pooled_shape(self):
        n, _, _, c = self.shape
        return (n, 1, 1, c) if self.layer.keepdims else (n, c)

    def backward(self, grad, wanted):
        n, h, w, c = self.shape
        share = (grad / np.float32(h * w)).reshape(n, 1, 1, c)
        return [np.ascontiguousarray(np.broadcast_to(share, self.shape)) if wanted[0] else None]


class Reshape(Operation):
    """`keras.layers.Flatten` and `Reshape`."""

    def forward(self, inputs, training):
        (x,) = inputs
        self.shape = x.shape
        return x.reshape(len(x), *self.layer.output.shape[1:])

    def backward(self, grad, wanted):
        return [grad.reshape(self.shape) if wanted[0] else None]


class Join(Operation):
    """`keras.layers.Concatenate` over the last axis."""

    def forward(self, inputs, training):
        self.ends = np.cumsum([x.shape[-1] for x in inputs])[:-1]
        return np.concatenate(inputs, axis=-1)

    def backward(self, grad, wanted):
        parts = np.split(grad, self.ends, axis=-1)
        return [np.ascontiguousarray(part) if wants else None for part, wants in zip(parts, wanted)]


class Drop(Operation):
    """`keras.layers.Dropout` and `ScheduledDropout`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.rate = float(bind(layer.rate)[0]) if isinstance(layer, ScheduledDropout) else layer.rate
        self.random = tuple(layer.output.shape[1:]) if self.rate else None

    def forward(self, inputs, training):
        (x,) = inputs
        self.factors = None
        if not training or not self.rate:
            return x
        self.factors = (self.draws >= np.float32(self.rate)).astype(np.float32) / np.float32(1 - self.rate)
        return x * self.factors

    def backward(self, grad, wanted):
        if not wanted[0]:
            return [None]
        return [grad if self.factors is None else grad * self.factors]


class Mean(Operation):
    """`keras.layers.Average`, of teachers; without gradients."""

    def forward(self, inputs, training):
        return sum(inputs[1:], inputs[0]) / np.float32(len(inputs))


class Pass(Operation):
    """`keras.layers.Identity`."""

    def forward(self, inputs, training):
        return inputs[0]

    def backward(self, grad, wanted):
        return [grad]


def _as_matrix(kernel: np.ndarray) -> np.ndarray:
    """A 1x1 convolution's kernel (1, 1, c, f) as (c, f); others as they are."""
    return kernel.reshape(kernel.shape[2:]) if kernel.ndim == 4 and kernel.shape[:2] == (1, 1) else kernel


def _follow(moving: np.ndarray, new: np.ndarray, momentum: float) -> None:
    moving *= np.float32(momentum)
    moving += new * np.float32(1 - momentum)

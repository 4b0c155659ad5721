"""Activation functions and their gradients.

Each function returns its output and the values that its gradient needs. It may overwrite its argument by the output.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np
from keras import activations, layers

from lwcnn.engine.kernels.arrays import jit_fused
from lwcnn.engine.operations.base import Operation


@dataclass(frozen=True)
class Function:
    """An activation function.

    Attributes:
        forward: x -> (y, kept). May overwrite x.
        backward: (gradient by y, kept) -> gradient by x.
    """

    forward: Callable[[np.ndarray], tuple[np.ndarray, Any]]
    backward: Callable[[np.ndarray, Any], np.ndarray]


def find_function(activation) -> Function | None:
    """Returns the function of a Keras activation or activation layer; None if it or a setting is unknown."""
    kind = type(activation)
    if kind is layers.Activation:
        return find_function(activation.activation)
    if kind is layers.ReLU:
        top = np.inf if activation.max_value is None else activation.max_value
        return _rectifier(activation.negative_slope, top, activation.threshold)
    if kind is layers.LeakyReLU:
        return _rectifier(activation.negative_slope)
    if kind is layers.Softmax:
        return SOFTMAX if activation.axis == -1 else None
    return _FUNCTIONS.get(activation)


class Activated(Operation):
    """Base class of the operations that end in an activation function."""

    function: Function

    def give_logits(self):
        if self.function is SOFTMAX:
            self.function = LINEAR


class Activation(Activated):
    """`keras.layers.Activation`, `ReLU`, `LeakyReLU` and `Softmax`."""

    @staticmethod
    def unsupported_setting(layer):
        return unknown_function(layer)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.function = find_function(layer)

    def forward(self, inputs, training):
        y, self.kept = self.function.forward(np.array(inputs[0], np.float32, order="C"))
        return y

    def backward(self, grad, wanted):
        return [self.function.backward(grad, self.kept)]


class PReLU(Operation):
    """`keras.layers.PReLU`."""

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.alpha, self.g_alpha = bind(layer.alpha)

    def forward(self, inputs, training):
        (self.x,) = inputs
        return np.where(self.x > 0, self.x, self.alpha * self.x)

    def backward(self, grad, wanted):
        if self.g_alpha is not None:
            by_alpha = (grad * np.minimum(self.x, np.float32(0))).sum(axis=0)
            shared = tuple(axis for axis, size in enumerate(self.g_alpha.shape) if size == 1)
            self.g_alpha += by_alpha.sum(axis=shared, keepdims=True)
        slope = np.where(self.x > 0, np.float32(1), np.where(self.x < 0, self.alpha, np.float32(0)))
        return [grad * slope if wanted[0] else None]


def ends_in_softmax(layer: keras.Layer) -> bool:
    """Returns whether a layer is, or has as its activation, a softmax over classes."""
    return find_function(layer if isinstance(layer, _LAYERS) else getattr(layer, "activation", None)) is SOFTMAX


def unknown_function(layer: keras.Layer) -> str | None:
    """Returns an unknown activation of a layer as a setting, such as "activation='mish'"; None if it is known."""
    if find_function(layer if isinstance(layer, _LAYERS) else layer.activation):
        return None
    if isinstance(layer, layers.Softmax):
        return f"axis={layer.axis}"
    return f"activation={getattr(layer.activation, '__name__', layer.activation)!r}"


_LAYERS = (layers.ReLU, layers.LeakyReLU, layers.Softmax)


def _in_place(compute) -> Callable:
    """Returns a forward pass that overwrites x and keeps the output."""

    def forward(x):
        compute(x, out=x)
        return x, x

    return forward


@jit_fused
def _rectify(x, slope, top, threshold):
    for i in range(x.size):
        y = x[i] if x[i] > threshold else slope * (x[i] - threshold)
        x[i] = min(y, top)


@jit_fused
def _rectify_gradient(grad, y, slope, top, dx):
    nothing = np.float32(0)
    for i in range(y.size):
        inside = grad[i] if y[i] < top else nothing
        dx[i] = inside if y[i] > 0 else slope * grad[i]


def _rectifier(slope=0.0, top=np.inf, threshold=0.0) -> Function:
    """Returns ReLU or a variant: x from `threshold` to `top`; below, `slope` times the distance from `threshold`."""
    slope, top, threshold = np.float32(slope), np.float32(top), np.float32(threshold)

    def forward(x):
        _rectify(x.reshape(-1), slope, top, threshold)
        return x, x

    return Function(forward, lambda grad, y: _by_value(_rectify_gradient, grad, y, slope, top))


def _by_value(kernel, grad, kept, *arguments):
    """Returns an array like grad, filled by a kernel (grad, kept, *arguments, out) of flat arrays."""
    dx = np.empty(grad.shape, np.float32)
    kernel(np.ascontiguousarray(grad).reshape(-1), kept.reshape(-1), *arguments, dx.reshape(-1))
    return dx


def _hard_sigmoid(x, out):
    np.clip(np.add(x, np.float32(3), out=out), np.float32(0), np.float32(6), out=out)
    np.divide(out, np.float32(6), out=out)


def _hard_sigmoid_gradient(grad, y):
    return np.where((y > 0) & (y < 1), grad / np.float32(6), np.float32(0))


@jit_fused
def _hard_silu_loop(x, y):
    for i in range(x.size):
        y[i] = x[i] * min(max(x[i] + np.float32(3), np.float32(0)), np.float32(6)) / np.float32(6)


@jit_fused
def _hard_silu_gradient_loop(grad, x, dx):
    nothing, one = np.float32(0), np.float32(1)
    for i in range(x.size):
        slope = x[i] / np.float32(3) + np.float32(0.5)
        slope = slope if x[i] > np.float32(-3) else nothing
        dx[i] = grad[i] * (slope if x[i] < np.float32(3) else one)


def _hard_silu(x):
    y = np.empty_like(x)
    _hard_silu_loop(x.reshape(-1), y.reshape(-1))
    return y, x


def _sigmoid(x, out):
    with np.errstate(over="ignore"):  # exp(-x) is infinite for a large negative x, and the result 0
        np.exp(np.negative(x, out=out), out=out)
    np.reciprocal(np.add(out, np.float32(1), out=out), out=out)


def _silu(x):
    share = np.empty_like(x)
    _sigmoid(x, share)
    y = x * share
    return y, (share, y)


def _silu_gradient(grad, kept):
    share, y = kept
    return grad * (share + y * (1 - share))


def _gelu(x):
    y, slope = np.empty_like(x), np.exp(x * x * np.float32(-0.5))  # overwritten by the slope
    _gelu_loop(x.reshape(-1), slope.reshape(-1), y.reshape(-1))
    return y, slope


@jit_fused
def _gelu_loop(x, bell, y):
    """Computes y = x Phi(x); bell = exp(-x^2 / 2) becomes the slope of y. Phi is the normal distribution function.

    Source: Abramowitz and Stegun, formula 7.1.26, whose error is below 1.5e-7.
    """
    half, one, root = np.float32(0.5), np.float32(1), np.float32(0.3275911 / 2**0.5)
    a, b, c, d, e = (
        np.float32(0.254829592), np.float32(-0.284496736), np.float32(1.421413741), np.float32(-1.453152027),
        np.float32(1.061405429),
    )  # fmt: skip
    for i in range(x.size):
        t = one / (one + root * abs(x[i]))
        tail = half * t * (a + t * (b + t * (c + t * (d + t * e)))) * bell[i]
        integral = one - tail if x[i] > 0 else tail
        y[i] = x[i] * integral
        bell[i] = integral + x[i] * bell[i] * np.float32(0.3989422804)


def _softmax(x, out):
    np.exp(np.subtract(x, x.max(axis=-1, keepdims=True), out=out), out=out)
    np.divide(out, out.sum(axis=-1, keepdims=True), out=out)


LINEAR = Function(lambda x: (x, None), lambda grad, _: grad)
SOFTMAX = Function(_in_place(_softmax), lambda grad, y: y * (grad - (grad * y).sum(axis=-1, keepdims=True)))
_FUNCTIONS = {
    activations.linear: LINEAR,
    activations.relu: _rectifier(),
    activations.relu6: _rectifier(top=6.0),
    activations.leaky_relu: _rectifier(slope=0.2),
    activations.hard_sigmoid: Function(_in_place(_hard_sigmoid), _hard_sigmoid_gradient),
    activations.hard_silu: Function(_hard_silu, partial(_by_value, _hard_silu_gradient_loop)),
    activations.sigmoid: Function(_in_place(_sigmoid), lambda grad, y: grad * (y * (1 - y))),
    activations.tanh: Function(_in_place(np.tanh), lambda grad, y: grad * (1 - y * y)),
    activations.silu: Function(_silu, _silu_gradient),
    activations.gelu: Function(_gelu, np.multiply),
    activations.softmax: SOFTMAX,
}

"""Activation functions and their gradients."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import keras
import numpy as np
from keras import activations, layers

from lwcnn.engine.kernels.arrays import jit_fused
from lwcnn.engine.operations.base import Operation, first_difference

ACTIVATIONS = (layers.Activation, layers.Identity, layers.LeakyReLU, layers.ReLU, layers.Softmax)


class Function(NamedTuple):
    """forward(x) -> (y, kept), which may overwrite x; backward(gradient of y, kept) -> gradient of x.

    `backward` may overwrite y and what was kept: by then, every operation that read y has computed its gradient.
    """

    forward: Callable
    backward: Callable


def find_function(of) -> Function | None:
    """Returns the function of a Keras activation, or of a layer that ends in one; None if it is unknown."""
    if type(of) is layers.ReLU:
        top = np.inf if of.max_value is None else of.max_value
        return None if of.threshold else _rectifier(of.negative_slope, top)
    if type(of) is layers.LeakyReLU:
        return _rectifier(of.negative_slope)
    if type(of) is layers.Softmax:
        return SOFTMAX if of.axis == -1 else None
    if type(of) is layers.Identity:
        return LINEAR
    if isinstance(of, keras.Layer):
        inner = getattr(of, "activation", None)
        is_function = not isinstance(inner, keras.Layer) or isinstance(inner, ACTIVATIONS)  # else with weights, perhaps
        return find_function(inner) if is_function else None
    return _FUNCTIONS.get(of)


def unknown_function(layer: keras.Layer) -> str | None:
    """Returns an unknown activation of a layer as a setting, such as "activation='mish'"; None if it is known."""
    if find_function(layer):
        return None
    activation = getattr(layer, "activation", None)
    setting = first_difference(layer, axis=-1, threshold=0)
    return setting or f"activation={getattr(activation, '__name__', activation)!r}"


class Activation(Operation):
    """`keras.layers.Activation`, `Identity`, `ReLU`, `LeakyReLU` and `Softmax`."""

    unsupported_setting = staticmethod(unknown_function)

    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.function = find_function(layer)

    def forward(self, x, training):
        y, self.kept = self.function.forward(np.array(x, order="C"))
        return y

    def backward(self, grad, wanted):
        return self.function.backward(grad, self.kept)


class PReLU(Operation):
    def __init__(self, layer, bind):
        super().__init__(layer, bind)
        self.alpha, self.g_alpha = bind(layer.alpha)

    def forward(self, x, training):
        self.x = x
        return np.where(x > 0, x, self.alpha * x)

    def backward(self, grad, wanted):
        if self.g_alpha is not None:
            by_alpha = (grad * np.minimum(self.x, np.float32(0))).sum(axis=0)
            shared = tuple(axis for axis, size in enumerate(self.g_alpha.shape) if size == 1)
            self.g_alpha += by_alpha.sum(axis=shared, keepdims=True)
        slope = np.where(self.x > 0, np.float32(1), np.where(self.x < 0, self.alpha, np.float32(0)))
        return grad * slope if wanted else None


def _loop(kernel, first, second):
    """Returns an array like the first, filled by a kernel (first, second, out) of flat arrays."""
    out = np.empty(first.shape, np.float32)
    kernel(np.ascontiguousarray(first).reshape(-1), second.reshape(-1), out.reshape(-1))
    return out


@jit_fused
def _rectify(x, slope, top):
    for i in range(x.size):
        y = x[i] if x[i] > 0 else slope * x[i]
        x[i] = min(y, top)


@jit_fused
def _rectify_gradient(grad, y, slope, top):
    nothing = np.float32(0)
    for i in range(y.size):
        inside = grad[i] if y[i] < top else nothing
        y[i] = inside if y[i] > 0 else slope * grad[i]


def _rectifier(slope=0.0, top=np.inf) -> Function:
    """Returns ReLU, or a variant that is linear below 0 or limited above."""
    slope, top = np.float32(slope), np.float32(top)

    def forward(x):
        _rectify(x.reshape(-1), slope, top)
        return x, x

    def backward(grad, y):
        _rectify_gradient(np.ascontiguousarray(grad).reshape(-1), y.reshape(-1), slope, top)
        return y

    return Function(forward, backward)


@jit_fused
def _hard_silu_loop(x, _, y):
    for i in range(x.size):
        y[i] = x[i] * min(max(x[i] + np.float32(3), np.float32(0)), np.float32(6)) / np.float32(6)


@jit_fused
def _hard_silu_gradient(grad, x, dx):
    nothing, one = np.float32(0), np.float32(1)
    for i in range(x.size):
        slope = x[i] / np.float32(3) + np.float32(0.5)
        slope = slope if x[i] > np.float32(-3) else nothing
        dx[i] = grad[i] * (slope if x[i] < np.float32(3) else one)


@jit_fused
def _gelu_loop(x, bell, y):
    """Computes y = x Phi(x); bell = exp(-x^2 / 2) becomes the slope of y. Phi is the normal distribution function.

    Phi is within 1e-7 (Abramowitz and Stegun 1964, formula 7.1.26), and a loop without calls uses vector instructions.
    """
    for i in range(x.size):
        t = np.float32(1) / (np.float32(1) + np.float32(0.3275911 * 0.5**0.5) * abs(x[i]))
        series = np.float32(-1.453152027) + t * np.float32(1.061405429)
        series = np.float32(-0.284496736) + t * (np.float32(1.421413741) + t * series)
        tail = np.float32(0.5) * bell[i] * t * (np.float32(0.254829592) + t * series)
        integral = tail if x[i] < 0 else np.float32(1) - tail
        y[i] = x[i] * integral
        bell[i] = integral + x[i] * bell[i] * np.float32(0.3989422804)


def _gelu(x):
    slope = np.exp(x * x * np.float32(-0.5))  # overwritten by the slope
    return _loop(_gelu_loop, x, slope), slope


def _sigmoid(x):
    np.exp(np.negative(x, out=x), out=x)  # infinite for a large negative x, and the result 0
    np.reciprocal(np.add(x, np.float32(1), out=x), out=x)
    return x, x


def _silu(x):
    share, _ = _sigmoid(x.copy())
    y = x * share
    return y, (share, y)


def _silu_gradient(grad, kept):
    share, y = kept
    return grad * (share + y * (1 - share))


def _softmax(x):
    np.exp(np.subtract(x, x.max(axis=-1, keepdims=True), out=x), out=x)
    np.divide(x, x.sum(axis=-1, keepdims=True), out=x)
    return x, x


LINEAR = Function(lambda x: (x, None), lambda grad, _: grad)
SOFTMAX = Function(_softmax, lambda grad, y: y * (grad - (grad * y).sum(axis=-1, keepdims=True)))
_FUNCTIONS = {
    activations.linear: LINEAR,
    activations.relu: _rectifier(),
    activations.relu6: _rectifier(top=6.0),
    activations.leaky_relu: _rectifier(slope=0.2),
    activations.hard_silu: Function(lambda x: (_loop(_hard_silu_loop, x, x), x), partial(_loop, _hard_silu_gradient)),
    activations.sigmoid: Function(_sigmoid, lambda grad, y: grad * (y * (1 - y))),
    activations.tanh: Function(lambda x: (np.tanh(x, out=x), x), lambda grad, y: grad * (1 - y * y)),
    activations.silu: Function(_silu, _silu_gradient),
    activations.gelu: Function(_gelu, np.multiply),
    activations.softmax: SOFTMAX,
}

"""A depthwise residual block with squeeze-and-excitation, forward and backward, on the CPU with Numba.

out = x + keep * se(mlp(batch_norm(depthwise(x)))),    mlp(v) = activation(v W1 + b1) W2 + b2
se(y) = y * sigmoid(max(mean(y) W3 + b3, floor) W4 + b4),    floor = 0 or, for efficient channel attention, -inf

The expanded activations, the widest maps of the block, never leave the cache: forward and backward process an image in
tiles of positions, and the backward pass recomputes them. Batch normalization is an affine map of each channel, so it
is folded into W1 and b1 and needs no pass of its own; the sums for its gradient follow from the gradients of W1 and b1.

N images of H x W positions, C channels in, E hidden, F out, S in the squeeze; C, E and F are multiples of 8.
"""

import numpy as np

from lwcnn.engine.kernels.arrays import aligned_zeros, jit
from lwcnn.engine.kernels.depthwise import add_kernel_gradient, convolve, copy_into_margin
from lwcnn.engine.kernels.products import START_ROW, START_SUM, START_ZERO, multiply
from lwcnn.engine.kernels.tiles import WIDTH, add_product, store_tile, zeros_tile

TILE = 64  # positions whose hidden activations are in the cache at once
RELU, HARD_SILU = 0, 1
_ONE = (0,)


@jit
def _activate(z, h, count, activation):
    if activation == RELU:
        for i in range(count):
            h[i] = max(z[i], np.float32(0))
    else:
        for i in range(count):
            gate = min(max(z[i] + np.float32(3), np.float32(0)), np.float32(6)) * np.float32(1 / 6)
            h[i] = z[i] * gate


@jit
def _activate_and_chain(z, g, count, activation):
    """Replaces z with activation(z), and g, the gradient of activation(z), with the gradient of z."""
    if activation == RELU:
        for i in range(count):
            g[i] = g[i] if z[i] > 0 else np.float32(0)
            z[i] = max(z[i], np.float32(0))
    else:
        for i in range(count):
            v = z[i]
            gate = min(max(v + np.float32(3), np.float32(0)), np.float32(6)) * np.float32(1 / 6)
            slope = np.float32(1 / 6) if (v > np.float32(-3)) & (v < np.float32(3)) else np.float32(0)
            g[i] = g[i] * (gate + v * slope)
            z[i] = v * gate


@jit
def _mlp(u, w1, b1, w2, b2, y, P, C, E, F, activation, z, h):
    """Computes the two pointwise convolutions of u (P*C) into y (P*F)."""
    p = 0
    while p < P:
        size = min(TILE, P - p)
        multiply(u, p * C, C, 1, w1, E, z, 0, E, size, C, E, START_ROW, b1)
        _activate(z, h, size * E, activation)
        multiply(h, 0, E, 1, w2, F, y, p * F, F, size, E, F, START_ROW, b2)
        p += size


@jit
def _sums(a, b, P, F, out):
    """Computes out (F) = sum over positions of a * b, both (P*F)."""
    f = 0
    while f < F:
        total, other = zeros_tile(_ONE, _ONE), zeros_tile(_ONE, _ONE)
        at = f
        for _ in range(P // 2):  # two sums at once, so that neither waits for the other
            total = add_product(total, a, at, 0, b, at)
            other = add_product(other, a, at + F, 0, b, at + F)
            at += 2 * F
        if P % 2:
            total = add_product(total, a, at, 0, b, at)
        store_tile(total, out, f, 0)
        store_tile(other, out, F, 0)
        for i in range(WIDTH):
            out[f + i] += out[F + i]
        f += WIDTH


@jit
def _excite(mean, w3, b3, w4, b4, F, S, floor, squeezed, scale):
    """Computes squeezed (S) = max(mean w3 + b3, floor) and scale (F) = sigmoid(squeezed w4 + b4)."""
    for j in range(S):
        squeezed[j] = b3[j]
    for f in range(F):
        for j in range(S):
            squeezed[j] += mean[f] * w3[f * S + j]
    for f in range(F):
        scale[f] = b4[f]
    for j in range(S):
        squeezed[j] = max(squeezed[j], floor)
        for f in range(F):
            scale[f] += squeezed[j] * w4[j * F + f]
    for f in range(F):
        scale[f] = np.float32(1) / (np.float32(1) + np.exp(-scale[f]))


@jit
def mlp_forward(x, u, keep, weights, out, y, means, scales, sizes, floor, residual, activation):
    """Computes out (N, P*F) from u (N, P*C) and, if `residual`, x; stores y (N, P*F), means and scales (N, F).

    weights = (w1, b1, w2, b2, w3, b3, w4, b4), flat; sizes = (P, C, E, F, S). S = 0 omits squeeze-and-excitation; y,
    means and scales, which the gradient needs, are then unchanged.
    """
    P, C, E, F, S = sizes
    w1, b1, w2, b2, w3, b3, w4, b4 = weights
    z, h = aligned_zeros(TILE * E), aligned_zeros(TILE * E)
    ones, sums = aligned_zeros(P * F) + np.float32(1), aligned_zeros(F + WIDTH)
    squeezed = aligned_zeros(max(S, 1))
    factor = aligned_zeros(F)
    for n in range(len(u)):
        target = y[n] if S else out[n]
        _mlp(u[n], w1, b1, w2, b2, target, P, C, E, F, activation, z, h)
        for f in range(F):
            factor[f] = keep[n]
        if S:
            _sums(target, ones, P, F, sums)
            mean, scale = means[n], scales[n]
            for f in range(F):
                mean[f] = sums[f] / np.float32(P)
            _excite(mean, w3, b3, w4, b4, F, S, floor, squeezed, scale)
            for f in range(F):
                factor[f] *= scale[f]
        result, shortcut = out[n], x[n]
        at = 0
        if residual:
            for _ in range(P):
                for f in range(F):
                    result[at + f] = shortcut[at + f] + factor[f] * target[at + f]
                at += F
        else:
            for _ in range(P):
                for f in range(F):
                    result[at + f] = factor[f] * target[at + f]
                at += F


@jit
def _excite_gradient(mean, scale, g_scale, weights, totals, F, S, floor, g_mean):
    """Computes g_mean (F), the gradient of mean, given that of scale; adds the gradients of w3 ... b4 to totals."""
    w3, b3, w4, b4 = weights[4:]
    g_w3, g_b3, g_w4, g_b4 = totals[4:]
    squeezed, g_squeezed, scale_again = aligned_zeros(S), aligned_zeros(S), aligned_zeros(F)
    _excite(mean, w3, b3, w4, b4, F, S, floor, squeezed, scale_again)  # only for squeezed
    for f in range(F):
        g = g_scale[f] * scale[f] * (np.float32(1) - scale[f])
        g_b4[f] += g
        for j in range(S):
            g_w4[j * F + f] += squeezed[j] * g
            g_squeezed[j] += w4[j * F + f] * g
    for j in range(S):
        if squeezed[j] <= floor:
            g_squeezed[j] = 0
        g_b3[j] += g_squeezed[j]
    for f in range(F):
        total = np.float32(0)
        for j in range(S):
            g_w3[f * S + j] += mean[f] * g_squeezed[j]
            total += w3[f * S + j] * g_squeezed[j]
        g_mean[f] = total


@jit
def mlp_backward(u, keep, grad, y, means, scales, weights, w1_t, w2_t, q, totals, sizes, floor, activation):
    """Computes q (N, P*C), the gradient of u with constant normalization; adds the weights' gradients to totals.

    w1, b1 and their gradients have the normalization folded in; w1_t (E, C) and w2_t (F, E) are transposes.
    """
    P, C, E, F, S = sizes
    w1, b1 = weights[:2]
    g_w1, g_b1, g_w2, g_b2 = totals[:4]
    z, g_z, g_y = aligned_zeros(TILE * E), aligned_zeros(TILE * E), aligned_zeros(P * F)
    factor, offset, g_scale = aligned_zeros(F), aligned_zeros(F), aligned_zeros(F + WIDTH)
    ones = np.ones(TILE, np.float32)
    for n in range(len(u)):
        grad_n, u_n, q_n = grad[n], u[n], q[n]
        for f in range(F):
            factor[f] = keep[n]
        if S:
            scale = scales[n]
            _sums(grad_n, y[n], P, F, g_scale)
            for f in range(F):
                g_scale[f] *= keep[n]
            _excite_gradient(means[n], scale, g_scale, weights, totals, F, S, floor, offset)
            for f in range(F):
                offset[f] /= np.float32(P)
                factor[f] *= scale[f]
        at = 0
        for _ in range(P):
            for f in range(F):
                g_y[at + f] = factor[f] * grad_n[at + f] + offset[f]
            at += F
        p = 0
        while p < P:
            size = min(TILE, P - p)
            multiply(u_n, p * C, C, 1, w1, E, z, 0, E, size, C, E, START_ROW, b1)
            multiply(g_y, p * F, F, 1, w2_t, E, g_z, 0, E, size, F, E, START_ZERO, b1)
            _activate_and_chain(z, g_z, size * E, activation)
            tile_g_y = g_y[p * F :]
            multiply(z, 0, 1, E, tile_g_y, F, g_w2, 0, F, E, size, F, START_SUM, b1)
            multiply(ones, 0, 0, 1, tile_g_y, F, g_b2, 0, F, 1, size, F, START_SUM, b1)
            multiply(u_n, p * C, 1, C, g_z, E, g_w1, 0, E, C, size, E, START_SUM, b1)
            multiply(ones, 0, 0, 1, g_z, E, g_b1, 0, E, 1, size, E, START_SUM, b1)
            multiply(g_z, 0, E, 1, w1_t, C, q_n, p * C, C, size, E, C, START_ZERO, b1)
            p += size


@jit
def depthwise_backward(x, u, q, grad, flipped, shift, slope, dx, g_weights, H, W, C, taps, residual):
    """Computes dx (N, H*W*C) and adds to g_weights (k*k*C), given the gradient of u, which replaces q.

    The gradient of u is q - shift - slope * u.
    """
    k = len(taps)
    size = (H + k - 1) * (W + k - 1) * C
    padded_x, padded_q = aligned_zeros(size), aligned_zeros(size)
    no_sums = np.zeros(0, np.float32)
    for n in range(len(u)):
        q_n, u_n, dx_n, grad_n = q[n], u[n], dx[n], grad[n]
        at = 0
        for _ in range(H * W):
            for c in range(C):
                q_n[at + c] -= shift[c] + slope[c] * u_n[at + c]
            at += C
        copy_into_margin(q_n, H, W, C, k, padded_q)
        convolve(padded_q, flipped, dx_n, H, W, C, taps, no_sums)
        if residual:
            for i in range(H * W * C):
                dx_n[i] += grad_n[i]
        copy_into_margin(x[n], H, W, C, k, padded_x)
        add_kernel_gradient(padded_x, q_n, H, W, C, taps, g_weights)

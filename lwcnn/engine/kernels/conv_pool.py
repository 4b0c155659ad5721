"""Conv 3x3 (valid) + bias + ReLU + max-pool 2x2 in one pass, forward and backward, on the CPU with Numba.

Forward: the four convolution outputs of a pooled position, for up to 24 filters, stay in registers (lanes are filters),
so the convolution map is never written. Backward: a pooled value has a gradient at only one of its four positions, so
both gradients cost a quarter of a dense convolution's multiply-adds.

N images of H x W x C, F filters, P x Q pooled positions. The first of equal values wins, as in TensorFlow. Results are
bit-identical for the same arguments, kind of processor and number of threads.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lwcnn.engine.kernels.arrays import jit, rows
from lwcnn.engine.kernels.tiles import WIDTH, add_outer, add_scaled, add_to, load_tile, pointer_to, zeros_tile

FILTER_BLOCK = 24  # filters in one pass: 4 positions x 3 vectors = 12 accumulators of 16 registers
ROW_BLOCK = 32  # floats of a patch row in one pass of the backward kernels: 3 rows x 4 vectors = 12
PAD = 32  # values past the end of an array that vectors may touch
_TWO, _THREE = (0,) * 2, (0,) * 3
INACTIVE = 4  # winner where ReLU is off
_I8, _I32 = ir.IntType(8), ir.IntType(32)


@intrinsic
def store_pooled(typingctx, pooled, winner, at, upper, lower):
    """Stores relu(max of four) at pooled[at ...] and the index of the first largest at winner[at ...].

    The four are the two rows of the tile `upper`, then those of `lower`. INACTIVE means that the ReLU is off.
    """
    bytes_ = ir.VectorType(_I8, upper.width)

    def codegen(context, builder, sig, args):
        p = pointer_to(context, builder, sig.args[0], args[0], args[2], upper.vector)
        w = pointer_to(context, builder, sig.args[1], args[1], args[2], bytes_)
        rows = [upper.row(builder, tile, r) for tile in args[3:] for r in (0, 1)]
        for i, (best, *others) in enumerate(zip(*rows)):
            which, none = ir.Constant(bytes_, [0] * upper.width), ir.Constant(upper.vector, None)
            for k, value in enumerate(others, start=1):
                more = builder.fcmp_ordered(">", value, best)
                best = builder.select(more, value, best)
                which = builder.select(more, ir.Constant(bytes_, [k] * upper.width), which)
            off = builder.fcmp_ordered("<=", best, none)  # false for NaN, which stays NaN
            best = builder.select(off, none, best)
            which = builder.select(off, ir.Constant(bytes_, [INACTIVE] * upper.width), which)
            builder.store(best, builder.gep(p, [_I32(i)])).align = 4
            builder.store(which, builder.gep(w, [_I32(i)])).align = 1
        return context.get_dummy_value()

    return types.void(pooled, winner, types.intp, upper, upper), codegen


@jit
def _forward(x, weights, bias, pooled, winner, C, W, P, Q, F, f0, like):
    """Computes filters f0... of all images: x (N, H*W*C); weights (9*C*lanes) and bias (lanes) padded with zeros.

    Lanes past the last filter land on the next position, which is written later, or on the margin.
    """
    lanes = 8 * len(like)
    row, step = W * C, 3 * C
    for n in range(x.shape[0]):
        image = x[n]
        for i in range(P):
            for j in range(Q):
                upper = load_tile(_TWO, like, bias, 0, 0)
                lower = upper
                k = 0
                base = 2 * i * row + 2 * j * C
                for ky in range(3):
                    for t in range(base, base + step):
                        upper = add_outer(upper, image, t, C, weights, k)
                        lower = add_outer(lower, image, t + row, C, weights, k)
                        k += lanes
                    base += row
                store_pooled(pooled, winner, ((n * P + i) * Q + j) * F + f0, upper, lower)


@jit
def _kernel_gradient(x, last, grad_y, winner, shift, total, grad_bias, C, W, P, Q, F, t0, like):
    """Adds gradient * patch row of images x (N, H*W*C) to total[f, ky, t0...]; shift maps winners to offsets.

    `last` is the last image with a margin; the vectors of the others may reach into the next image. The gradients' sums
    over positions are stored in grad_bias (N, F).
    """
    row, width = W * C, 8 * len(like)
    g = np.zeros(P * Q * F, np.float32)  # of an image, zero where ReLU is off
    for n in range(len(x)):
        image = x[n] if n + 1 < len(x) else last
        for k in range(g.size):
            g[k] = grad_y[n, k] if winner[n, k] != INACTIVE else np.float32(0)
        for f in range(F):
            sums, bias, k = zeros_tile(_THREE, like), np.float32(0), f
            for i in range(P):
                base = 2 * i * row + t0
                for j in range(Q):
                    at = base + shift[np.uint64(winner[n, np.uint64(k)])]
                    sums = add_scaled(sums, image, at, row, g, k)
                    bias += g[np.uint64(k)]
                    k += F
                    base += 2 * C
            add_to(sums, total, 3 * f * width, width)
            grad_bias[n, f] = bias


@jit
def _input_gradient(grad_x, g, winner, shift, weights, N, size, C, W, P, Q, F, t0, like):
    """Adds gradient * filter to grad_x; weights (F, 3, width) are padded with zeros."""
    row, width, k = W * C, 8 * len(like), 0
    ends, filters = np.zeros(5, np.uint64), np.zeros(5 * F, np.int64)  # a position's filters, grouped by winner
    for n in range(N):
        for i in range(P):
            for j in range(Q):
                base = n * size + 2 * i * row + 2 * j * C + t0
                for q in range(5):
                    ends[q] = q * F
                for f in range(F):
                    q = winner[np.uint64(k + f)]
                    filters[ends[q]] = f
                    ends[q] += np.uint64(1)
                for q in range(4):
                    if ends[q] > q * F:
                        sums = zeros_tile(_THREE, like)
                        for at in range(q * F, ends[q]):
                            f = filters[np.uint64(at)]
                            sums = add_scaled(sums, weights, 3 * f * width, width, g, k + f)
                        add_to(sums, grad_x, base + shift[q], row)
                k += F


def _blocks(size, widest):
    """Yields the first number of each block of at most `widest`, its length, and the `like` of its tiles."""
    for first in range(0, size, widest):
        length = min(widest, size - first)
        yield first, length, (0,) * -(-length // WIDTH)


def conv_pool_forward(x, kernel, bias):
    """Returns the pooled activations and the winners, both (N, (H-2)//2, (W-2)//2, F).

    Winners are uint8: the largest of the four positions, 0 to 3 row by row, or 4 where ReLU is off. The arguments are
    float32: x (N, H, W, C), kernel (3, 3, C, F) and bias (F,).
    """
    N, H, W, C = x.shape
    F = kernel.shape[3]
    P, Q = (H - 2) // 2, (W - 2) // 2
    shape, size = (N, P, Q, F), N * P * Q * F
    pooled, winner = np.empty(size + PAD, np.float32), np.empty(size + PAD, np.uint8)
    passes = -(-F // FILTER_BLOCK)  # as few as possible, of equal width
    widest = -(-F // passes // WIDTH) * WIDTH
    for f0, block, like in reversed(list(_blocks(F, widest))):  # vectors of the last may reach into the next position
        weights, offset = np.zeros((9 * C, WIDTH * len(like)), np.float32), np.zeros(WIDTH * len(like), np.float32)
        weights[:, :block] = kernel.reshape(9 * C, F)[:, f0 : f0 + block]
        offset[:block] = bias[f0 : f0 + block]
        _forward(rows(x), weights.reshape(-1), offset, pooled, winner, C, W, P, Q, F, f0, like)
    return pooled[:size].reshape(shape), winner[:size].reshape(shape)


def conv_pool_kernel_gradients(x, winner, grad_y):
    """Returns the gradients of the kernel (3, 3, C, F) and the bias (F,), given that of the pooled activations."""
    N, H, W, C = x.shape
    P, Q, F = winner.shape[1:]
    grad_kernel, grad_bias = np.empty((3, 3 * C, F), np.float32), np.empty((N, F), np.float32)
    last = rows(np.append(x[-1], np.zeros(PAD, np.float32)))
    for t0, block, like in _blocks(3 * C, ROW_BLOCK):
        total = np.zeros((F, 3, WIDTH * len(like)), np.float32)
        arrays = rows(x), last, rows(grad_y), rows(winner), _shifts(W, C), total.reshape(-1), grad_bias
        _kernel_gradient(*arrays, C, W, P, Q, F, t0, like)
        grad_kernel[:, t0 : t0 + block] = total[..., :block].transpose(1, 2, 0)
    return grad_kernel.reshape(3, 3, C, F), grad_bias.sum(axis=0)


def conv_pool_input_gradient(x, kernel, winner, grad_y):
    """Returns the gradient of the input, (N, H, W, C), given that of the pooled activations."""
    N, H, W, C = x.shape
    P, Q, F = winner.shape[1:]
    by_filter = kernel.reshape(3, 3 * C, F).transpose(2, 0, 1)  # (F, 3, 3 C)
    grad_x, g = np.zeros(x.size + PAD, np.float32), np.ascontiguousarray(grad_y).reshape(-1)
    for t0, block, like in _blocks(3 * C, ROW_BLOCK):
        weights = np.zeros((F, 3, WIDTH * len(like)), np.float32)
        weights[..., :block] = by_filter[..., t0 : t0 + block]
        arrays = grad_x, g, winner.reshape(-1), _shifts(W, C), weights.reshape(-1)
        _input_gradient(*arrays, N, H * W * C, C, W, P, Q, F, t0, like)
    return grad_x[: x.size].reshape(x.shape)


def _shifts(W, C):
    """Returns the offset of each winner's window from the first one's; zero where ReLU is off."""
    return np.array([0, C, W * C, W * C + C, 0])

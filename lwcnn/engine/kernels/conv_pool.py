"""Conv 3x3 (valid) + bias + ReLU + max-pool 2x2 in one pass, forward and backward, on the CPU with Numba.

Forward: the four convolution outputs of a pooled position, for up to 24 filters, stay in registers (lanes are filters),
so the convolution map is never written. Backward: a pooled value has a gradient at only one of its four positions, so
both gradients cost a quarter of a dense convolution's multiply-adds.

N images of H x W x C, F filters, P x Q pooled positions. The first of equal values wins, as in TensorFlow. The same
arguments give the same bits on one kind of processor and number of threads.
"""

import numpy as np

from lwcnn.engine.kernels.arrays import jit, rows
from lwcnn.engine.kernels.tiles import WIDTH, add_outer, add_scaled, add_to, load_tile, zeros_tile
from lwcnn.engine.kernels.winners import INACTIVE, equal_mask, lowest_bit, store_pooled

FILTER_BLOCK = 24  # filters in one pass: 4 positions x 3 vectors = 12 accumulators of 16 registers
ROW_BLOCK = 32  # floats of a patch row in one pass of the backward kernels: 3 rows x 4 vectors = 12
PAD = 32  # floats (bytes for winners) past the end that vector loads may touch in scratch arrays
_TWO, _THREE = (0,) * 2, (0,) * 3


@jit
def _forward(x, weights, bias, pooled, winner, C, W, P, Q, F, f0, like, tail, tail_winner):
    """Computes filters f0... of all images: x (N, H*W*C); weights (9*C*lanes) and bias (lanes) padded with zeros."""
    lanes = 8 * len(like)
    row, step = W * C, 3 * C
    block = min(lanes, F - f0)
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
                        upper = add_outer(upper, _TWO, like, image, t, C, weights, k)
                        lower = add_outer(lower, _TWO, like, image, t + row, C, weights, k)
                        k += lanes
                    base += row
                at = ((n * P + i) * Q + j) * F + f0
                if block == lanes or F == block and (i < P - 1 or j < Q - 1):
                    # Any lanes past the last filter land on the next position, which is written later.
                    store_pooled(pooled, winner, at, upper, lower)
                else:
                    store_pooled(tail, tail_winner, 0, upper, lower)
                    for f in range(block):
                        pooled[at + f] = tail[f]
                        winner[at + f] = tail_winner[f]


@jit
def _kernel_gradient(image, g, win, shift, total, C, W, P, Q, F, t0, like):
    """Adds gradient * patch row of an image (H*W*C, padded) to total[f, ky, t0...]; shift maps winners to offsets."""
    row, width = W * C, 8 * len(like)
    for f in range(F):
        sums = zeros_tile(_THREE, like)
        k = f
        for i in range(P):
            base = 2 * i * row + t0
            for j in range(Q):
                sums = add_scaled(sums, _THREE, like, image, base + shift[np.uint64(win[np.uint64(k)])], row, g, k)
                k += F
                base += 2 * C
        add_to(_THREE, like, sums, total, 3 * f * width, width)


@jit
def _input_gradient(grad, g, win, shift, weights, C, W, P, Q, F, t0, like):
    """Adds gradient * filter to grad (H*W*C, padded) of one image; weights (F, 3, width) are padded with zeros."""
    row, width = W * C, 8 * len(like)
    k = 0
    for i in range(P):
        for j in range(Q):
            base = 2 * i * row + 2 * j * C + t0
            for f0 in range(0, F, 32):
                keep = np.uint32(0xFFFFFFFF) if F - f0 >= 32 else np.uint32((1 << (F - f0)) - 1)
                for q in range(4):
                    mask = np.uint32(equal_mask(win, k + f0, np.uint8(q)) & keep)
                    if mask == 0:
                        continue
                    sums = zeros_tile(_THREE, like)
                    while mask != 0:
                        f = f0 + lowest_bit(mask)
                        mask = np.uint32(mask & np.uint32(mask - np.uint32(1)))
                        sums = add_scaled(sums, _THREE, like, weights, 3 * f * width, width, g, k + f)
                    add_to(_THREE, like, sums, grad, base + shift[q], row)
            k += F


@jit
def _take_image(grad_y, winner, n, g, win):
    """Copies image n's winners to win and its gradients to g, zero where ReLU is off.

    It uses loops because Numba takes seconds to compile slice assignments.
    """
    for k in range(winner.shape[1]):
        w = winner[n, k]
        win[k] = w
        g[k] = grad_y[n, k] if w != INACTIVE else np.float32(0)


@jit
def _kernel_gradients(x, grad_y, winner, shift, t0, C, W, P, Q, F, like, total, grad_bias, scratch):
    """Adds the gradients by the kernel to total and, if t0 == 0, those by the bias to grad_bias."""
    image, g, win, sums = scratch
    for n in range(x.shape[0]):
        for k in range(x.shape[1]):
            image[k] = x[n, k]
        _take_image(grad_y, winner, n, g, win)
        if t0 == 0:
            for f in range(F):
                sums[f] = 0
            for k in range(0, P * Q * F, F):
                for f in range(F):
                    sums[f] += g[np.uint64(k + f)]
            for f in range(F):
                grad_bias[f] += sums[f]
        _kernel_gradient(image, g, win, shift, total, C, W, P, Q, F, t0, like)


@jit
def _input_gradients(grad_x, grad_y, winner, weights, shift, t0, C, W, P, Q, F, like, scratch):
    """Adds the gradients by the input to grad_x (N, H*W*C)."""
    grad, g, win = scratch
    for n in range(grad_x.shape[0]):
        _take_image(grad_y, winner, n, g, win)
        for k in range(grad.size):
            grad[k] = 0
        _input_gradient(grad, g, win, shift, weights, C, W, P, Q, F, t0, like)
        for k in range(grad_x.shape[1]):
            grad_x[n, k] += grad[k]


def _like(floats):
    return (0,) * (-(-floats // WIDTH))


def conv_pool_forward(x, kernel, bias):
    """Returns the pooled activations and the winners, both (N, (H-2)//2, (W-2)//2, F).

    Winners are uint8: the largest of the four positions, 0 to 3 row by row, or 4 where ReLU is off. The arguments are
    float32: x (N, H, W, C), kernel (3, 3, C, F) and bias (F,).
    """
    N, H, W, C = x.shape
    F = kernel.shape[3]
    P, Q = (H - 2) // 2, (W - 2) // 2
    pooled, winner = np.empty((N, P, Q, F), np.float32), np.empty((N, P, Q, F), np.uint8)
    widest = WIDTH * len(_like(-(-F // -(-F // FILTER_BLOCK))))  # as few passes as possible, of equal width
    for f0 in range(0, F, widest):
        block = min(widest, F - f0)
        lanes = WIDTH * len(_like(block))
        weights, offset = np.zeros((9 * C, lanes), np.float32), np.zeros(lanes, np.float32)
        weights[:, :block] = kernel.reshape(9 * C, F)[:, f0 : f0 + block]
        offset[:block] = bias[f0 : f0 + block]
        tails = np.empty(lanes, np.float32), np.empty(lanes, np.uint8)
        outputs = pooled.reshape(-1), winner.reshape(-1)
        _forward(rows(x), weights.reshape(-1), offset, *outputs, C, W, P, Q, F, f0, _like(block), *tails)
    return pooled, winner


def conv_pool_kernel_gradients(x, winner, grad_y):
    """Returns the gradients by the kernel (3, 3, C, F) and the bias (F,), given that by the pooled activations."""
    N, H, W, C = x.shape
    P, Q, F = winner.shape[1:]
    grad_kernel, grad_bias = np.empty((3, 3 * C, F), np.float32), np.zeros(F, np.float32)
    scratch = *_scratch(H * W * C, P * Q * F), np.zeros(F, np.float32)
    for t0 in range(0, 3 * C, ROW_BLOCK):
        block = min(ROW_BLOCK, 3 * C - t0)
        like = _like(block)
        total = np.zeros((F, 3, WIDTH * len(like)), np.float32)
        arrays, sizes = (rows(x), rows(grad_y), rows(winner), _shifts(W, C)), (t0, C, W, P, Q, F, like)
        _kernel_gradients(*arrays, *sizes, total.reshape(-1), grad_bias, scratch)
        grad_kernel[:, t0 : t0 + block] = total[..., :block].transpose(1, 2, 0)
    return grad_kernel.reshape(3, 3, C, F), grad_bias


def conv_pool_input_gradient(x, kernel, winner, grad_y):
    """Returns the gradient by the input, (N, H, W, C), given that by the pooled activations."""
    N, H, W, C = x.shape
    P, Q, F = winner.shape[1:]
    by_filter = kernel.reshape(3, 3 * C, F).transpose(2, 0, 1)  # (F, 3, 3 C)
    grad_x, scratch = np.zeros((N, H * W * C), np.float32), _scratch(H * W * C, P * Q * F)
    for t0 in range(0, 3 * C, ROW_BLOCK):
        block = min(ROW_BLOCK, 3 * C - t0)
        like = _like(block)
        weights = np.zeros((F, 3, WIDTH * len(like)), np.float32)
        weights[..., :block] = by_filter[..., t0 : t0 + block]
        arrays, sizes = (rows(grad_y), rows(winner), weights.reshape(-1), _shifts(W, C)), (t0, C, W, P, Q, F, like)
        _input_gradients(grad_x, *arrays, *sizes, scratch)
    return grad_x.reshape(N, H, W, C)


def _scratch(size, outputs):
    """Allocates room for an image, its gradients and its winners, each with a margin of one tile."""
    return np.zeros(size + PAD, np.float32), np.zeros(outputs + PAD, np.float32), np.zeros(outputs + PAD, np.uint8)


def _shifts(W, C):
    """Returns the offset of each winner's window from the first one's; zero where ReLU is off."""
    return np.array([0, C, W * C, W * C + C, 0])

"""Depthwise convolution k x k, stride 1, padding "same", on the CPU: forward pass and kernel gradient.

Lanes are channels (a multiple of 8), and the sums of several positions stay in registers over all taps. Images have a
margin of zeros, `(H + k - 1, W + k - 1, C)`, so that no tap needs a bounds check. The gradient of the map is the
convolution with the flipped kernel.
"""

from lwcnn.engine.kernels.arrays import aligned_zeros, jit, jit_fused
from lwcnn.engine.kernels.tiles import WIDE, WIDTH, add_moments, add_taps, load_tile, store_tile, zeros_tile

_ONE, _TWO, _FOUR, _EIGHT = (0,), (0,) * 2, (0,) * 4, (0,) * 8
_MANY = _EIGHT if WIDE == 16 else _FOUR  # positions at once: enough sums that none waits for its previous addition


@jit
def copy_into_margin(image, H, W, C, k, padded):
    """Copies the image (H*W*C) into the middle of padded; its margin is unchanged."""
    margin, row = k // 2, (W + k - 1) * C
    target, at = margin * row + margin * C, 0
    for _ in range(H):
        for t in range(W * C):
            padded[target + t] = image[at + t]
        at += W * C
        target += row


@jit
def _positions(padded, weights, out, W, C, c, y, x, rows, like, taps, total, moments):
    """Computes len(rows) positions of line y from x on; returns `total` with their moments added."""
    tile, k = zeros_tile(rows, like), len(taps)
    row = (W + k - 1) * C
    tap, at = c, y * row + x * C + c
    for _ in range(k):
        tile = add_taps(tile, taps, padded, at, weights, tap, C)
        tap += k * C
        at += row
    store_tile(tile, out, (y * W + x) * C + c, C)
    return add_moments(total, tile) if moments else total


@jit
def _vectors_forward(padded, weights, out, H, W, C, c, rows, like, taps, moments, sums):
    """Computes channels c... of the convolution; stores their sums and squares in sums (2, C) if `moments`."""
    R = len(rows)
    total = zeros_tile(_TWO, like)
    for y in range(H):
        x = 0
        while x + R <= W:
            total = _positions(padded, weights, out, W, C, c, y, x, rows, like, taps, total, moments)
            x += R
        while x < W:
            total = _positions(padded, weights, out, W, C, c, y, x, _ONE, like, taps, total, moments)
            x += 1
    if moments:
        store_tile(total, sums, c, C)


TAPS = {k: (0,) * k for k in (3, 5, 7)}
"""The argument `taps` for each size of kernel: a tuple whose length is known when compiling."""


@jit
def convolve(padded, weights, out, H, W, C, taps, sums):
    """Convolves the padded image with weights (k*k*C) into out (H*W*C); taps = `TAPS[k]`.

    `sums` (2*C) receives the sums over positions of the outputs and of their squares, unless its size is 0.
    """
    moments = sums.size > 0
    for c in range(0, C - WIDTH, 2 * WIDTH):
        if W >= len(_MANY):
            _vectors_forward(padded, weights, out, H, W, C, c, _MANY, _TWO, taps, moments, sums)
        else:
            _vectors_forward(padded, weights, out, H, W, C, c, _FOUR, _TWO, taps, moments, sums)
    if C % (2 * WIDTH):
        _vectors_forward(padded, weights, out, H, W, C, C - WIDTH, _FOUR, _ONE, taps, moments, sums)


@jit
def convolve_images(x, weights, u, H, W, C, taps, totals):
    """Computes u, the convolution of x, (N, H*W*C) each; adds the sums of u and u^2 to totals (2*C or 0) float64."""
    k = len(taps)
    padded = aligned_zeros((H + k - 1) * (W + k - 1) * C)
    sums = aligned_zeros(totals.size)
    for n in range(len(u)):
        copy_into_margin(x[n], H, W, C, k, padded)
        convolve(padded, weights, u[n], H, W, C, taps, sums)
        for i in range(totals.size):
            totals[i] += sums[i]


@jit
def _taps_gradient(padded, grad, H, W, C, c, total, taps, like):
    """Adds the padded image at each tap, times grad, to total (k, k, C)[..., c...], one row of taps after the other."""
    k = len(taps)
    row = (W + k - 1) * C
    P = len(_FOUR)
    for ky in range(k):
        tile = load_tile(taps, like, total, ky * k * C + c, C)
        for y in range(H):
            at = (y + ky) * row + c
            g = y * W * C + c
            x = 0
            while x + P <= W:
                tile = add_taps(tile, _FOUR, padded, at, grad, g, C)
                at += P * C
                g += P * C
                x += P
            while x < W:
                tile = add_taps(tile, _ONE, padded, at, grad, g, C)
                at += C
                g += C
                x += 1
        store_tile(tile, total, ky * k * C + c, C)


@jit
def add_kernel_gradient(padded, grad, H, W, C, taps, total):
    """Adds the kernel gradient to total (k*k*C), given grad (H*W*C); taps = `TAPS[k]`."""
    c, k = 0, len(taps)
    while c < C:
        if (WIDE == 16 or k < 7) and c + 2 * WIDTH <= C:
            _taps_gradient(padded, grad, H, W, C, c, total, taps, _TWO)
            c += 2 * WIDTH
        else:
            _taps_gradient(padded, grad, H, W, C, c, total, taps, _ONE)
            c += WIDTH


@jit_fused
def add_kernel_gradients(x, grad, H, W, C, taps, total):
    """Adds the kernel gradients of all images, as `add_kernel_gradient` does."""
    k = len(taps)
    padded = aligned_zeros((H + k - 1) * (W + k - 1) * C)
    for n in range(len(x)):
        copy_into_margin(x[n], H, W, C, k, padded)
        add_kernel_gradient(padded, grad[n], H, W, C, taps, total)

"""Matrix products made of tiles.

The accumulators of a product stay in registers over the whole sum; with 4 rows of 3 vectors every load is used in
several multiply-adds, which brings a core near its peak even for the narrow matrices of small networks.
"""

from numba import njit, types

from lwcnn.engine.kernels.arrays import jit
from lwcnn.engine.kernels.tiles import WIDE, WIDTH, add_outer, load_tile, store_tile, zeros_tile

START_ZERO, START_ROW, START_SUM = 0, 1, 2
"""Start value of a product: zero, one row for all rows (a bias), or the present result."""

_ONE, _TWO, _THREE, _FOUR, _SIX, _EIGHT = (0,), (0,) * 2, (0,) * 3, (0,) * 4, (0,) * 6, (0,) * 8
# Shapes of tiles that bring a product near the processor's peak (measured): 12 accumulators of 16 or 32.
_WIDEST, _ROWS_OF_WIDEST = (_FOUR, _SIX) if WIDE == 16 else (_THREE, _FOUR)
_ROWS_OF_TWO = _EIGHT if WIDE == 16 else _FOUR
_IN_HALVES = 4 if WIDE == 8 else 0  # 4 = 2 + 2: in 3 + 1, the core would wait for the sums of the single vector


@jit
def _columns(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, M, K, rows, like, start, bias):
    """Computes some columns of `multiply` for all whole tiles of rows; returns the number of rows done."""
    R = len(rows)
    m = 0
    while m + R <= M:
        if start == START_ZERO:
            tile = zeros_tile(rows, like)
        elif start == START_ROW:
            tile = load_tile(rows, like, bias, b_at, 0)
        else:
            tile = load_tile(rows, like, c, c_at + m * c_row, c_row)
        at, bt = a_at + m * a_row, b_at
        for _ in range(K):
            tile = add_outer(tile, a, at, a_row, b, bt)
            at += a_k
            bt += b_k
        store_tile(tile, c, c_at + m * c_row, c_row)
        m += R
    return m


@jit
def _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, rows, like, start, bias):
    """Computes columns n... of `multiply`: whole tiles of rows, and the remaining rows one by one."""
    c_at += n
    done = _columns(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, rows, like, start, bias)
    a_at += done * a_row
    c_at += done * c_row
    _columns(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M - done, K, _ONE, like, start, bias)


_READ = types.Array(types.float32, 1, "C", readonly=True)
_WRITTEN = types.Array(types.float32, 1, "C")
_MULTIPLY = types.void(_READ, *[types.intp] * 3, _READ, types.intp, _WRITTEN, *[types.intp] * 6, _READ)


@njit(_MULTIPLY, cache=True, nogil=True, boundscheck=False, error_model="numpy")  # otherwise compiled per kind of call
def multiply(a, a_at, a_row, a_k, b, b_k, c, c_at, c_row, M, K, N, start, bias):
    """Computes c[c_at + m c_row + n] = sum over k < K of a[a_at + m a_row + k a_k] * b[k b_k + n], for m < M, n < N.

    All arrays are flat float32; N is a multiple of 8. `start` says what the sums are added to; START_ROW uses `bias`
    (N). With a_row = 1 and a_k the row length, a is transposed.
    """
    n = 0
    left = N // WIDTH
    while left:
        if left >= len(_WIDEST) and left != _IN_HALVES:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _ROWS_OF_WIDEST, _WIDEST, start, bias)
            n, left = n + len(_WIDEST) * WIDTH, left - len(_WIDEST)
        elif left >= 2:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _ROWS_OF_TWO, _TWO, start, bias)
            n, left = n + 2 * WIDTH, left - 2
        else:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _EIGHT, _ONE, start, bias)
            n, left = n + WIDTH, left - 1

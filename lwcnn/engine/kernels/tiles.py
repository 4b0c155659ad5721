"""Small matrices held in registers, R rows of V vectors of 8 floats, and matrix products made of them.

A product's accumulators stay in registers over the whole sum (LLVM vectors, as in `lanes.py`); with 4 rows of 3
vectors every load feeds several multiply-adds, which brings a core near its peak even for the narrow matrices
of small networks. `rows` and `like` are tuples whose lengths, known when compiling, give R and V.
"""

import llvmlite.binding
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 8  # floats in a vector of AVX2, and the unit in which columns are counted
WIDE = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else WIDTH
"""Floats in this processor's widest vector; the results are the same bits with either."""

jit = njit(cache=True, nogil=True, boundscheck=False, error_model="numpy")
_I32 = ir.IntType(32)


@jit
def aligned_zeros(count):
    """count float32 zeros that begin at a cache line: vectors that straddle two lines take twice as long to load."""
    array = np.zeros(count + 16, np.float32)
    skipped = (-array.ctypes.data) % 64 // 4
    return array[skipped : skipped + count]


class Tile(types.Type):
    """R rows of 8 * V floats, as LLVM vectors of one width."""

    def __init__(self, rows, like):
        self.rows, columns = rows.count, WIDTH * like.count
        self.width = WIDE if columns % WIDE == 0 else WIDTH
        self.in_row = columns // self.width
        self.vector = ir.VectorType(ir.FloatType(), self.width)
        self.array = ir.ArrayType(self.vector, self.rows * self.in_row)
        super().__init__(name=f"Tile({self.rows}, {columns})")

    def vectors_at(self, builder, pointer):
        """One row's vectors, loaded from a pointer to floats."""
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        return [self._load(builder, builder.gep(pointer, [_I32(v)])) for v in range(self.in_row)]

    def _load(self, builder, pointer):
        value = builder.load(pointer)
        value.align = 4
        return value

    def store(self, builder, vectors, pointer):
        """Stores one row's vectors."""
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        for v, value in enumerate(vectors):
            builder.store(value, builder.gep(pointer, [_I32(v)])).align = 4

    def row(self, builder, value, r):
        """The vectors of row r."""
        return [builder.extract_value(value, r * self.in_row + v) for v in range(self.in_row)]

    def join(self, builder, vectors):
        """The tile of these vectors."""
        value = ir.Constant(self.array, ir.Undefined)
        for i, vector in enumerate(vectors):
            value = builder.insert_value(value, vector, i)
        return value

    def splat(self, builder, scalar):
        """A vector of one value."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = builder.insert_element(undefined, scalar, _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, self.width), [0] * self.width)
        return builder.shuffle_vector(one, undefined, zeros)

    def muladd(self, builder, a, b, c):
        """a * b + c."""
        name, kind = f"llvm.fmuladd.v{self.width}f32", ir.FunctionType(self.vector, [self.vector] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.array)


def _data(context, builder, array_type, array):
    return context.make_array(array_type)(context, builder, value=array).data


START_ZERO, START_ROW, START_SUM = 0, 1, 2
"""What a product is added to: nothing, one row for all rows (a bias), or what the result holds already."""

_R1, _R4, _R6, _R8 = (0,), (0,) * 4, (0,) * 6, (0,) * 8
_V1, _V2 = (0,), (0,) * 2
# The shapes of tiles with which a product comes near the processor's peak (measured): 12 accumulators of 16 or 32.
_WIDEST, _R_WIDEST = ((0,) * 4, _R6) if WIDE == 16 else ((0,) * 3, _R4)
_R_V2 = _R8 if WIDE == 16 else _R4
_IN_HALVES = 4 if WIDE == 8 else 0  # 4 = 2 + 2: of 3 + 1, the single vector would leave the core waiting for its sums


@intrinsic
def zeros_tile(typingctx, rows, like):
    """A tile of zeros."""
    tile = Tile(rows, like)
    return tile(rows, like), lambda context, builder, sig, args: ir.Constant(tile.array, None)


@intrinsic
def load_tile(typingctx, rows, like, array, at, step):
    """tile[r] = array[at + r * step ...]; a step of 0 gives every row the same values."""
    tile = Tile(rows, like)

    def codegen(context, builder, sig, args):
        data, offset, vectors = _data(context, builder, sig.args[2], args[2]), args[3], []
        for _ in range(tile.rows):
            vectors += tile.vectors_at(builder, builder.gep(data, [offset]))
            offset = builder.add(offset, args[4])
        return tile.join(builder, vectors)

    return tile(rows, like, array, types.intp, types.intp), codegen


@intrinsic
def store_tile(typingctx, rows, like, tile, array, at, step):
    """array[at + r * step ...] = tile[r]."""

    def codegen(context, builder, sig, args):
        data, offset = _data(context, builder, sig.args[3], args[3]), args[4]
        for r in range(tile.rows):
            tile.store(builder, tile.row(builder, args[2], r), builder.gep(data, [offset]))
            offset = builder.add(offset, args[5])
        return context.get_dummy_value()

    return types.void(rows, like, tile, array, types.intp, types.intp), codegen


@intrinsic
def add_outer(typingctx, tile, rows, like, a, a_at, a_step, b, b_at):
    """tile[r] + a[a_at + r * a_step] * b[b_at ...]: one term of a matrix product."""

    def codegen(context, builder, sig, args):
        total, _, _, a_array, offset, step, b_array, b_offset = args
        factors = tile.vectors_at(builder, builder.gep(_data(context, builder, sig.args[6], b_array), [b_offset]))
        data, vectors = _data(context, builder, sig.args[3], a_array), []
        for r in range(tile.rows):
            scalar = tile.splat(builder, builder.load(builder.gep(data, [offset])))
            sums = tile.row(builder, total, r)
            vectors += [tile.muladd(builder, scalar, factor, c) for factor, c in zip(factors, sums)]
            offset = builder.add(offset, step)
        return tile.join(builder, vectors)

    return tile(tile, rows, like, a, types.intp, types.intp, b, types.intp), codegen


@intrinsic
def add_product(typingctx, tile, rows, like, a, a_at, a_step, b, b_at):
    """tile[r] + a[a_at + r * a_step ...] * b[b_at ...], value by value: one tap of a depthwise convolution."""

    def codegen(context, builder, sig, args):
        total, _, _, a_array, offset, step, b_array, b_offset = args
        factors = tile.vectors_at(builder, builder.gep(_data(context, builder, sig.args[6], b_array), [b_offset]))
        data, vectors = _data(context, builder, sig.args[3], a_array), []
        for r in range(tile.rows):
            values = tile.vectors_at(builder, builder.gep(data, [offset]))
            sums = tile.row(builder, total, r)
            vectors += [tile.muladd(builder, value, factor, c) for value, factor, c in zip(values, factors, sums)]
            offset = builder.add(offset, step)
        return tile.join(builder, vectors)

    return tile(tile, rows, like, a, types.intp, types.intp, b, types.intp), codegen


@intrinsic
def add_taps(typingctx, tile, rows, like, taps, a, a_at, b, b_at, step):
    """tile[r] + the sum over t of a[a_at + (r + t) * step ...] * b[b_at + t * step ...].

    A row of a depthwise kernel, for several positions r; or, with positions for taps and taps for rows, its gradient.
    Each vector of a is loaded once.
    """

    def codegen(context, builder, sig, args):
        total, _, _, _, a_array, a_offset, b_array, b_offset, stride = args
        data, read = _data(context, builder, sig.args[4], a_array), []
        for _ in range(tile.rows + taps.count - 1):
            read.append(tile.vectors_at(builder, builder.gep(data, [a_offset])))
            a_offset = builder.add(a_offset, stride)
        sums = [tile.row(builder, total, r) for r in range(tile.rows)]
        data = _data(context, builder, sig.args[6], b_array)
        for t in range(taps.count):
            factors = tile.vectors_at(builder, builder.gep(data, [b_offset]))
            b_offset = builder.add(b_offset, stride)
            for r in range(tile.rows):
                sums[r] = [tile.muladd(builder, *parts) for parts in zip(read[r + t], factors, sums[r])]
        return tile.join(builder, [vector for row in sums for vector in row])

    return tile(tile, rows, like, taps, a, types.intp, b, types.intp, types.intp), codegen


@intrinsic
def add_moments(typingctx, moments, rows, like, tile):
    """moments (a tile of two rows) + the sums of the tile's rows and of their squares."""

    def codegen(context, builder, sig, args):
        sums, squares = moments.row(builder, args[0], 0), moments.row(builder, args[0], 1)
        for r in range(tile.rows):
            values = tile.row(builder, args[3], r)
            sums = [builder.fadd(total, value) for total, value in zip(sums, values)]
            squares = [tile.muladd(builder, value, value, total) for total, value in zip(squares, values)]
        return moments.join(builder, sums + squares)

    return moments(moments, rows, like, tile), codegen


@jit
def _columns(a, a_at, a_row, a_k, b, b_at, b_k, c, c_at, c_row, M, K, rows, like, start, bias):
    """Some columns of `multiply`, for as many whole tiles of rows as there are; gives the rows done."""
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
            tile = add_outer(tile, rows, like, a, at, a_row, b, bt)
            at += a_k
            bt += b_k
        store_tile(rows, like, tile, c, c_at + m * c_row, c_row)
        m += R
    return m


@jit
def _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, rows, like, start, bias):
    """Columns n... of `multiply`: whole tiles of rows, and the rest row by row."""
    c_at += n
    done = _columns(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, rows, like, start, bias)
    a_at += done * a_row
    c_at += done * c_row
    _columns(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M - done, K, _R1, like, start, bias)


_READ = types.Array(types.float32, 1, "C", readonly=True)
_WRITTEN = types.Array(types.float32, 1, "C")
_MULTIPLY = types.void(_READ, *[types.intp] * 3, _READ, types.intp, _WRITTEN, *[types.intp] * 6, _READ)


@njit(_MULTIPLY, cache=True, nogil=True, boundscheck=False, error_model="numpy")  # else one for each kind of call
def multiply(a, a_at, a_row, a_k, b, b_k, c, c_at, c_row, M, K, N, start, bias):
    """c[c_at + m c_row + n] = sum over k < K of a[a_at + m a_row + k a_k] * b[k b_k + n], for m < M, n < N.

    All arrays are flat float32. N is a multiple of 8. `start` says what the sums are added to; `bias` (N) is
    used with START_ROW. With a_row = 1 and a_k the row length it multiplies by the transpose of a.
    """
    n = 0
    left = N // WIDTH
    while left:
        if left >= len(_WIDEST) and left != _IN_HALVES:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _R_WIDEST, _WIDEST, start, bias)
            n, left = n + len(_WIDEST) * WIDTH, left - len(_WIDEST)
        elif left >= 2:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _R_V2, _V2, start, bias)
            n, left = n + 2 * WIDTH, left - 2
        else:
            _all_rows(a, a_at, a_row, a_k, b, n, b_k, c, c_at, c_row, M, K, _R8, _V1, start, bias)
            n, left = n + WIDTH, left - 1

"""Small matrices held in registers, R rows of V vectors of 8 floats, as a type for Numba.

Numba turns plain loops into vector code, but keeps sums over several vectors in memory. A tile consists of LLVM
vectors, which stay in registers (AVX2: 16 of 8 floats; LLVM splits them on machines with shorter ones). R and V are the
lengths of the tuples `rows` and `like`, which are known when compiling.
"""

import llvmlite.binding
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 8  # floats in a vector of AVX2, and the unit in which columns are counted
WIDE = 16 if llvmlite.binding.get_host_cpu_features().get("avx512f") else WIDTH
"""Floats in this processor's widest vector; the results are bit-identical with either."""

_I32 = ir.IntType(32)


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
        """Loads the vectors of one row from a pointer to floats."""
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        values = [builder.load(builder.gep(pointer, [_I32(v)])) for v in range(self.in_row)]
        for value in values:
            value.align = 4
        return values

    def store(self, builder, vectors, pointer):
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        for v, value in enumerate(vectors):
            builder.store(value, builder.gep(pointer, [_I32(v)])).align = 4

    def row(self, builder, value, r):
        return [builder.extract_value(value, r * self.in_row + v) for v in range(self.in_row)]

    def join(self, builder, vectors):
        value = ir.Constant(self.array, ir.Undefined)
        for i, vector in enumerate(vectors):
            value = builder.insert_value(value, vector, i)
        return value

    def number_at(self, builder, pointer):
        """Loads one number into all places of the vectors of one row."""
        undefined = ir.Constant(self.vector, ir.Undefined)
        one = builder.insert_element(undefined, builder.load(pointer), _I32(0))
        zeros = ir.Constant(ir.VectorType(_I32, self.width), [0] * self.width)
        return [builder.shuffle_vector(one, undefined, zeros)] * self.in_row

    def muladd(self, builder, a, b, c):
        name, kind = f"llvm.fmuladd.v{self.width}f32", ir.FunctionType(self.vector, [self.vector] * 3)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [a, b, c])


@register_model(Tile)
class _TileModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, fe_type.array)


def _data(context, builder, array_type, array):
    return context.make_array(array_type)(context, builder, value=array).data


def pointer_to(context, builder, array_type, array, at, llvm_type):
    """Returns a pointer to array[at], as one to a vector."""
    return builder.bitcast(builder.gep(_data(context, builder, array_type, array), [at]), llvm_type.as_pointer())


@intrinsic
def zeros_tile(typingctx, rows, like):
    tile = Tile(rows, like)
    return tile(rows, like), lambda context, builder, sig, args: ir.Constant(tile.array, None)


@intrinsic
def load_tile(typingctx, rows, like, array, at, step):
    """Returns tile[r] = array[at + r * step ...]; a step of 0 gives every row the same values."""
    tile = Tile(rows, like)

    def codegen(context, builder, sig, args):
        data, offset, vectors = _data(context, builder, sig.args[2], args[2]), args[3], []
        for _ in range(tile.rows):
            vectors += tile.vectors_at(builder, builder.gep(data, [offset]))
            offset = builder.add(offset, args[4])
        return tile.join(builder, vectors)

    return tile(rows, like, array, types.intp, types.intp), codegen


def _storing(adds: bool):
    def store(typingctx, tile, array, at, step):
        def codegen(context, builder, sig, args):
            data, offset = _data(context, builder, sig.args[1], args[1]), args[2]
            for r in range(tile.rows):
                pointer, vectors = builder.gep(data, [offset]), tile.row(builder, args[0], r)
                if adds:
                    vectors = [builder.fadd(*pair) for pair in zip(tile.vectors_at(builder, pointer), vectors)]
                tile.store(builder, vectors, pointer)
                offset = builder.add(offset, args[3])
            return context.get_dummy_value()

        return types.void(tile, array, types.intp, types.intp), codegen

    return intrinsic(store)


store_tile = _storing(adds=False)
"""array[at + r * step ...] = tile[r], for (tile, array, at, step)."""
add_to = _storing(adds=True)
"""array[at + r * step ...] += tile[r], row after row."""


def _adding_products(read_a, read_b):
    def add(typingctx, tile, a, a_at, a_step, b, b_at):
        def codegen(context, builder, sig, args):
            total, a_array, offset, step, b_array, b_offset = args
            factors = read_b(tile, builder, builder.gep(_data(context, builder, sig.args[4], b_array), [b_offset]))
            data, vectors = _data(context, builder, sig.args[1], a_array), []
            for r in range(tile.rows):
                values = read_a(tile, builder, builder.gep(data, [offset]))
                sums = tile.row(builder, total, r)
                vectors += [tile.muladd(builder, *parts) for parts in zip(values, factors, sums)]
                offset = builder.add(offset, step)
            return tile.join(builder, vectors)

        return tile(tile, a, types.intp, types.intp, b, types.intp), codegen

    return intrinsic(add)


add_outer = _adding_products(Tile.number_at, Tile.vectors_at)
"""tile[r] + a[a_at + r * a_step] * b[b_at ...], for (tile, a, a_at, a_step, b, b_at)."""
add_product = _adding_products(Tile.vectors_at, Tile.vectors_at)
"""tile[r] + a[a_at + r * a_step ...] * b[b_at ...], value by value."""
add_scaled = _adding_products(Tile.vectors_at, Tile.number_at)
"""tile[r] + a[a_at + r * a_step ...] * b[b_at]."""


@intrinsic
def add_taps(typingctx, tile, taps, a, a_at, b, b_at, step):
    """Returns tile[r] + the sum over t of a[a_at + (r + t) * step ...] * b[b_at + t * step ...].

    This is a row of a depthwise kernel for several positions r; with positions for taps and taps for rows, its
    gradient. Each vector of a is loaded once.
    """

    def codegen(context, builder, sig, args):
        total, _, a_array, a_offset, b_array, b_offset, stride = args
        data, read = _data(context, builder, sig.args[2], a_array), []
        for _ in range(tile.rows + taps.count - 1):
            read.append(tile.vectors_at(builder, builder.gep(data, [a_offset])))
            a_offset = builder.add(a_offset, stride)
        sums = [tile.row(builder, total, r) for r in range(tile.rows)]
        data = _data(context, builder, sig.args[4], b_array)
        for t in range(taps.count):
            factors = tile.vectors_at(builder, builder.gep(data, [b_offset]))
            b_offset = builder.add(b_offset, stride)
            for r in range(tile.rows):
                sums[r] = [tile.muladd(builder, *parts) for parts in zip(read[r + t], factors, sums[r])]
        return tile.join(builder, [vector for row in sums for vector in row])

    return tile(tile, taps, a, types.intp, b, types.intp, types.intp), codegen


@intrinsic
def add_moments(typingctx, moments, tile):
    """Adds the sums of the tile's rows and of their squares to moments, a tile of two rows."""

    def codegen(context, builder, sig, args):
        sums, squares = moments.row(builder, args[0], 0), moments.row(builder, args[0], 1)
        for r in range(tile.rows):
            values = tile.row(builder, args[1], r)
            sums = [builder.fadd(total, value) for total, value in zip(sums, values)]
            squares = [tile.muladd(builder, value, value, total) for total, value in zip(squares, values)]
        return moments.join(builder, sums + squares)

    return moments(moments, tile), codegen

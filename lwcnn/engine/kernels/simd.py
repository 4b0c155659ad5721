"""A fixed number of vectors of 8 floats held in registers, as a type for Numba, with the few operations on it.

Numba turns plain loops into vector code, but keeps sums over several vectors in memory; here they are LLVM
vectors, which LLVM keeps in registers (AVX2: 16 of 8 floats; it splits them on machines with shorter ones).
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

WIDTH = 8  # floats in one vector (one AVX2 register; LLVM splits it elsewhere)
INACTIVE = 4  # winner where ReLU is off
_F32, _I8, _I32 = ir.FloatType(), ir.IntType(8), ir.IntType(32)
_VEC = ir.VectorType(_F32, WIDTH)


class Lanes(types.Type):
    def __init__(self, vectors):
        self.vectors = vectors
        super().__init__(name=f"Lanes({vectors})")


@register_model(Lanes)
class _LanesModel(models.PrimitiveModel):
    def __init__(self, dmm, fe_type):
        super().__init__(dmm, fe_type, ir.ArrayType(_VEC, fe_type.vectors))


def _pointer(context, builder, array_type, array, offset, llvm_type):
    data = context.make_array(array_type)(context, builder, value=array).data
    return builder.bitcast(builder.gep(data, [offset]), llvm_type.as_pointer())


def _load(builder, pointer, lane_bytes):
    value = builder.load(pointer)
    value.align = lane_bytes
    return value


def _vector_at(builder, pointer, i):
    return _load(builder, builder.gep(pointer, [_I32(i)]), 4)


def _splat(builder, scalar):
    one = builder.insert_element(ir.Constant(_VEC, ir.Undefined), scalar, _I32(0))
    return builder.shuffle_vector(
        one, ir.Constant(_VEC, ir.Undefined), ir.Constant(ir.VectorType(_I32, WIDTH), [0] * WIDTH)
    )


def _join(builder, vectors):
    value = ir.Constant(ir.ArrayType(_VEC, len(vectors)), ir.Undefined)
    for i, v in enumerate(vectors):
        value = builder.insert_value(value, v, i)
    return value


def _muladd(builder, a, b, c):
    f = cgutils.get_or_insert_function(builder.module, ir.FunctionType(_VEC, [_VEC] * 3), "llvm.fmuladd.v8f32")
    return builder.call(f, [a, b, c])


@intrinsic
def zeros(typingctx, like):
    """Lanes of zeros; `like` is a tuple with one entry per vector (its length is known when compiling)."""
    out = Lanes(like.count)
    return out(like), lambda context, builder, sig, args: ir.Constant(ir.ArrayType(_VEC, out.vectors), None)


@intrinsic
def load(typingctx, like, array, offset):
    out = Lanes(like.count)

    def codegen(context, builder, sig, args):
        p = _pointer(context, builder, sig.args[1], args[1], args[2], _VEC)
        return _join(builder, [_vector_at(builder, p, i) for i in range(out.vectors)])

    return out(like, array, types.intp), codegen


@intrinsic
def muladd(typingctx, total, scalar, lanes):
    """total + scalar * lanes."""

    def codegen(context, builder, sig, args):
        s = _splat(builder, args[1])
        return _join(
            builder,
            [
                _muladd(builder, s, builder.extract_value(args[2], i), builder.extract_value(args[0], i))
                for i in range(total.vectors)
            ],
        )

    return total(total, types.float32, total), codegen


@intrinsic
def add_to(typingctx, array, offset, lanes):
    """array[offset:...] += lanes."""

    def codegen(context, builder, sig, args):
        p = _pointer(context, builder, sig.args[0], args[0], args[1], _VEC)
        for i in range(lanes.vectors):
            q = builder.gep(p, [_I32(i)])
            total = builder.fadd(_load(builder, q, 4), builder.extract_value(args[2], i))
            builder.store(total, q).align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, lanes), codegen


@intrinsic
def store_pooled(typingctx, pooled, winner, offset, a, b, c, d):
    """pooled[offset:...] = relu(max(a, b, c, d)), winner[...] = which was first to be largest (INACTIVE: none)."""
    bytes_ = ir.VectorType(_I8, WIDTH)

    def codegen(context, builder, sig, args):
        p = _pointer(context, builder, sig.args[0], args[0], args[2], _VEC)
        w = _pointer(context, builder, sig.args[1], args[1], args[2], bytes_)
        for i in range(a.vectors):
            parts = [builder.extract_value(v, i) for v in args[3:]]
            best, which = parts[0], ir.Constant(bytes_, [0] * WIDTH)
            for k in (1, 2, 3):
                more = builder.fcmp_ordered(">", parts[k], best)
                best = builder.select(more, parts[k], best)
                which = builder.select(more, ir.Constant(bytes_, [k] * WIDTH), which)
            off = builder.fcmp_ordered("<=", best, ir.Constant(_VEC, None))  # false for NaN, which stays NaN
            best = builder.select(off, ir.Constant(_VEC, None), best)
            which = builder.select(off, ir.Constant(bytes_, [INACTIVE] * WIDTH), which)
            builder.store(best, builder.gep(p, [_I32(i)])).align = 4
            builder.store(which, builder.gep(w, [_I32(i)])).align = 1
        return context.get_dummy_value()

    return types.void(pooled, winner, types.intp, a, a, a, a), codegen


@intrinsic
def equal_mask(typingctx, array, offset, value):
    """Bit i is set where array[offset + i] == value, for 32 bytes."""
    bytes_ = ir.VectorType(_I8, 32)

    def codegen(context, builder, sig, args):
        p = _pointer(context, builder, sig.args[0], args[0], args[1], bytes_)
        v = builder.insert_element(ir.Constant(bytes_, ir.Undefined), args[2], _I32(0))
        v = builder.shuffle_vector(v, ir.Constant(bytes_, ir.Undefined), ir.Constant(ir.VectorType(_I32, 32), [0] * 32))
        return builder.bitcast(builder.icmp_unsigned("==", _load(builder, p, 1), v), _I32)

    return types.uint32(array, types.intp, types.uint8), codegen


@intrinsic
def lowest_bit(typingctx, mask):
    def codegen(context, builder, sig, args):
        return builder.zext(builder.cttz(args[0], ir.Constant(ir.IntType(1), 1)), ir.IntType(64))

    return types.intp(types.uint32), codegen

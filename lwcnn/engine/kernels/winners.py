"""Vector operations of max-pooling: the index of the largest of four values, and the search for a winner."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from lwcnn.engine.kernels.tiles import pointer_to

INACTIVE = 4  # winner where ReLU is off
_I8, _I32, _I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)


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


@intrinsic
def equal_mask(typingctx, array, at, value):
    """Returns a mask with bit i set where array[at + i] == value, for 32 bytes."""
    bytes_ = ir.VectorType(_I8, 32)

    def codegen(context, builder, sig, args):
        found = builder.load(pointer_to(context, builder, sig.args[0], args[0], args[1], bytes_))
        found.align = 1
        undefined = ir.Constant(bytes_, ir.Undefined)
        wanted = builder.insert_element(undefined, args[2], _I32(0))
        wanted = builder.shuffle_vector(wanted, undefined, ir.Constant(ir.VectorType(_I32, 32), [0] * 32))
        return builder.bitcast(builder.icmp_unsigned("==", found, wanted), _I32)

    return types.uint32(array, types.intp, types.uint8), codegen


@intrinsic
def lowest_bit(typingctx, mask):
    """Returns the index of the lowest set bit."""

    def codegen(context, builder, sig, args):
        return builder.zext(builder.cttz(args[0], ir.Constant(ir.IntType(1), 1)), _I64)

    return types.intp(types.uint32), codegen

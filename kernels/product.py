"""Matrix products for emitted kernels: plain NumPy when run as Python, blocks in vector registers when numba compiles.

    product(A, P, C)       C  = A M          M is K×N and was packed once by pack(M, P), its transpose by pack(M.T, P)
    add_product(A, P, C)   C += A M
    outer(A, B, C)         C  = Aᵀ B         the sum over all rows r of the outer products of A[r] and B[r]
    add_outer(A, B, C)     C += Aᵀ B

The last axis is the one multiplied; all axes before it only number the rows, so A of shape (T, B, K) is T·B rows, and
a vector is one. Every size may be 0, 1 or anything else. A and M may have any strides; B and C need contiguous rows,
any distance apart; arrays of three or more axes need all rows at equal distances. C overlaps no other argument. Sums
are taken in another order than NumPy's, and NaN and ∞ go where IEEE arithmetic takes them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import lower_builtin, type_callable

from kernels.register_block import CACHE_LINE, DEPTH, INDEX, Blocks, Builder, Operand, constant, counted, target


def panel_shape(inner: int, columns: int, dtype: Any) -> tuple[int, int, int]:
    """Shape of a packed inner × columns matrix: panels[p, k, j] = M[k, p·W + j], W the width of a block."""
    width = target().width * target().vectors // np.dtype(dtype).itemsize
    return -(-columns // width), inner, width


def aligned(shape: int | tuple[int, ...], dtype: Any) -> np.ndarray:
    """Zeros that start at a cache line, as NumPy's own need not; a load that straddles two lines costs double."""
    shape, itemsize = (shape,) if isinstance(shape, int) else shape, np.dtype(dtype).itemsize
    count = math.prod(shape)
    store = np.zeros(count + CACHE_LINE // itemsize, dtype)
    first = -store.ctypes.data % CACHE_LINE // itemsize
    return store[first : first + count].reshape(shape)


def pack(M: np.ndarray, panels: np.ndarray) -> None:
    """panels ← M, for product and add_product; places beyond M's last column are left as they are."""
    width = panels.shape[2]
    for p in range(-(-M.shape[1] // width)):
        columns = M[:, p * width : (p + 1) * width]
        panels[p, :, : columns.shape[1]] = columns


def product(A: np.ndarray, panels: np.ndarray, C: np.ndarray) -> None:
    """C = A M, where pack(M, panels)."""
    C[...] = A @ _unpacked(panels, C.shape[-1])


def add_product(A: np.ndarray, panels: np.ndarray, C: np.ndarray) -> None:
    """C += A M, where pack(M, panels)."""
    C += A @ _unpacked(panels, C.shape[-1])


def outer(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> None:
    """C = Aᵀ B = Σ_r A[r] ⊗ B[r]."""
    C[...] = _rows(A).T @ _rows(B)


def add_outer(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> None:
    """C += Aᵀ B = Σ_r A[r] ⊗ B[r]."""
    C += _rows(A).T @ _rows(B)


def _unpacked(panels: np.ndarray, columns: int) -> np.ndarray:
    count, inner, width = panels.shape
    return panels.transpose(1, 0, 2).reshape(inner, count * width)[:, :columns]


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(math.prod(array.shape[:-1]), array.shape[-1])


# -- the same functions for numba --------------------------------------------------------------------------------------
# Typing and lowering are attached to the functions themselves, so their code lands in the caller's module: it is
# optimised and cached with the caller, and there is no Python source for numba's slow front end to read.


Pair = tuple[Operand, Operand]


class Matrix:
    """Pointer, sizes and strides (in elements) of a numba array seen as rows × columns, as LLVM values."""

    def __init__(self, context: Any, builder: Builder, kind: Any, value: Operand) -> None:
        array = context.make_array(kind)(context, builder, value)
        itemsize = constant(kind.dtype.bitwidth // 8)
        shape = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        strides = [builder.sdiv(s, itemsize) for s in cgutils.unpack_tuple(builder, array.strides, kind.ndim)]
        self.pointer, self.columns = array.data, shape[-1]
        # NumPy calls x[:, None, :] contiguous and gives its axis of size 1 a stride of 0, so the strides of a
        # contiguous array are not read.
        contiguous = kind.layout == "C"
        self.step = constant(1) if contiguous else strides[-1]
        self.rows: Operand = shape[-2] if kind.ndim > 1 else constant(1)
        self.row_stride: Operand = self.columns if contiguous or kind.ndim == 1 else strides[-2]
        self.evenly_spaced: list[Pair] = []
        for size, stride in zip(shape[-3::-1], strides[-3::-1], strict=True):  # axes in front, merged into the rows
            if not contiguous:
                one_row = builder.icmp_signed("==", self.rows, constant(1))
                self.row_stride = builder.select(one_row, stride, self.row_stride)
                needed = builder.mul(self.row_stride, self.rows)
                once = builder.icmp_signed("==", size, constant(1))
                self.evenly_spaced.append((builder.select(once, needed, stride), needed))
            self.rows = builder.mul(self.rows, size)


class Panels:
    """Pointer and sizes of a packed matrix as LLVM values."""

    def __init__(self, context: Any, builder: Builder, kind: Any, value: Operand) -> None:
        array = context.make_array(kind)(context, builder, value)
        count, self.inner, self.width = cgutils.unpack_tuple(builder, array.shape, 3)
        self.pointer, self.room = array.data, builder.mul(count, self.width)


def _require(context: Any, builder: Builder, equal: list[Pair], fits: list[Pair], rule: str) -> None:
    """ValueError(rule) at run time unless the pairs of `equal` are equal and those of `fits` have left ≤ right."""
    wrong: Operand = ir.Constant(ir.IntType(1), 0)
    for relation, pairs in (("!=", equal), (">", fits)):
        for left, right in pairs:
            wrong = builder.or_(wrong, builder.icmp_signed(relation, left, right))
    with builder.if_then(wrong, likely=False):
        context.call_conv.return_user_exc(builder, ValueError, (rule,))


def _passes(builder: Builder, inner: Operand, adding: Operand, one_pass: Callable[..., None]) -> None:
    """one_pass(k, depth, adding) over k in steps of DEPTH; once if there is no k, since C = 0 is then to be written."""

    def go(k: Operand, depth: Operand) -> None:
        one_pass(k, depth, builder.or_(adding, builder.icmp_signed("!=", k, constant(0))))

    with counted(builder, constant(0), inner, DEPTH) as k:
        go(k, constant(DEPTH))
    depth = builder.sub(inner, k)
    empty = builder.icmp_signed("==", inner, constant(0))
    with builder.if_then(builder.or_(empty, builder.icmp_signed("!=", depth, constant(0)))):
        go(k, depth)


def _product(blocks: Blocks) -> Operand:
    """In every pass, one panel after the other against all rows."""

    def write(builder: Builder, arguments: tuple) -> None:
        a, row_stride, step, p, c, c_stride, adding, rows, columns, inner = arguments

        def one_pass(k: Operand, depth: Operand, add: Operand) -> None:
            a_k = builder.gep(a, [builder.mul(k, step)])
            with blocks.panels(builder, columns) as (j, here):
                p_jk = builder.gep(p, [builder.add(builder.mul(j, inner), builder.mul(k, constant(blocks.panel)))])
                c_j = builder.gep(c, [j])
                builder.call(blocks.strip(), [a_k, row_stride, step, p_jk, depth, c_j, c_stride, add, rows, here])

        _passes(builder, inner, adding, one_pass)

    pointer, flag = blocks.pointer, ir.IntType(1)
    return blocks.define("product", [pointer, INDEX, INDEX, pointer, pointer, INDEX, flag, INDEX, INDEX, INDEX], write)


def _outer(blocks: Blocks) -> Operand:
    """In every pass, a strip of B is copied to a panel on the stack and multiplied by the transposed rows of A."""

    def write(builder: Builder, arguments: tuple) -> None:
        a, a_stride, a_step, b, b_stride, c, c_stride, adding, rows, height, columns = arguments
        scratch = builder.alloca(blocks.element, DEPTH * blocks.panel)
        scratch.align = CACHE_LINE

        def one_pass(r: Operand, depth: Operand, add: Operand) -> None:
            a_r = builder.gep(a, [builder.mul(r, a_stride)])
            b_r = builder.gep(b, [builder.mul(r, b_stride)])
            with blocks.panels(builder, columns) as (j, here):
                with counted(builder, constant(0), depth, 1) as k:
                    source = builder.gep(b_r, [builder.add(builder.mul(k, b_stride), j)])
                    goal = builder.gep(scratch, [builder.mul(k, constant(blocks.panel))])
                    with counted(builder, constant(0), here, blocks.lanes) as i:
                        blocks.store(builder, blocks.load(builder, builder.gep(source, [i])), builder.gep(goal, [i]))
                    with counted(builder, i, here, 1) as i:
                        builder.store(builder.load(builder.gep(source, [i])), builder.gep(goal, [i]))
                c_j = builder.gep(c, [j])
                builder.call(blocks.strip(), [a_r, a_step, a_stride, scratch, depth, c_j, c_stride, add, height, here])

        _passes(builder, rows, adding, one_pass)

    pointer, flag = blocks.pointer, ir.IntType(1)
    arguments = [pointer, INDEX, INDEX, pointer, INDEX, pointer, INDEX, flag, INDEX, INDEX, INDEX]
    return blocks.define("outer", arguments, write)


def _pack(blocks: Blocks) -> Operand:
    """Eight rows at a time: of a transposed matrix these are eight neighbours, so each cache line is fetched once."""

    def write(builder: Builder, arguments: tuple) -> None:
        m, row_stride, column_stride, inner, columns, p = arguments
        with blocks.panels(builder, columns) as (j, here):
            m_j, p_j = builder.gep(m, [builder.mul(j, column_stride)]), builder.gep(p, [builder.mul(j, inner)])
            k: Operand = constant(0)
            for together in (8, 1):
                with counted(builder, k, inner, together) as k:
                    source = builder.gep(m_j, [builder.mul(k, row_stride)])
                    goal = builder.gep(p_j, [builder.mul(k, constant(blocks.panel))])
                    with counted(builder, constant(0), here, 1) as i:
                        m_i, p_i = builder.gep(source, [builder.mul(i, column_stride)]), builder.gep(goal, [i])
                        rows = [builder.gep(m_i, [builder.mul(row_stride, constant(q))]) for q in range(together)]
                        for q, value in enumerate([builder.load(row) for row in rows]):
                            builder.store(value, builder.gep(p_i, [constant(q * blocks.panel)]))

    pointer = blocks.pointer
    return blocks.define("pack", [pointer, INDEX, INDEX, INDEX, INDEX, pointer], write)


def _refused(array: Any, role: str) -> bool:
    """Whether this numba type cannot be 'any' matrix, one with contiguous 'rows', one to write 'out', or 'panels'."""
    if not isinstance(array, types.Array) or array.dtype not in {types.float32, types.float64} or array.ndim < 1:
        return True
    if role == "panels":
        return array.ndim != 3 or array.layout != "C"
    return (role == "out" and not array.mutable) or (role != "any" and array.layout == "F" and array.ndim > 1)


def _typer(rule: str, *roles: str) -> Callable[..., Any]:
    """Typing for a function of arrays in these roles; numba reads the argument count from the inner function."""

    def two(A: Any, B: Any) -> Any:
        return check(A, B)

    def three(A: Any, B: Any, C: Any) -> Any:
        return check(A, B, C)

    def check(*arrays: Any) -> Any:
        if any(map(_refused, arrays, roles)) or len({array.dtype for array in arrays}) != 1:
            raise errors.TypingError(f"{rule}, all float32 or all float64; got {', '.join(map(str, arrays))}")
        return types.void

    return lambda _context: two if len(roles) == 2 else three


def _lower_pack(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
    M = Matrix(context, builder, signature.args[0], arguments[0])
    P = Panels(context, builder, signature.args[1], arguments[1])
    blocks = Blocks(builder.module, signature.args[0].dtype.bitwidth)
    equal = [(M.rows, P.inner), (P.width, constant(blocks.panel)), *M.evenly_spaced]
    _require(context, builder, equal, [(M.columns, P.room)], PACK)
    builder.call(_pack(blocks), [M.pointer, M.row_stride, M.step, M.rows, M.columns, P.pointer])
    return context.get_dummy_value()


def _product_lowering(adding: bool) -> Callable[..., Operand]:
    def lower(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
        A, C = (Matrix(context, builder, signature.args[i], arguments[i]) for i in (0, 2))
        P = Panels(context, builder, signature.args[1], arguments[1])
        blocks = Blocks(builder.module, signature.args[0].dtype.bitwidth)
        equal = [(A.rows, C.rows), (A.columns, P.inner), (C.step, constant(1)), (P.width, constant(blocks.panel))]
        _require(context, builder, equal + A.evenly_spaced + C.evenly_spaced, [(C.columns, P.room)], PRODUCT)
        sizes = [ir.IntType(1)(int(adding)), C.rows, C.columns, A.columns]
        builder.call(_product(blocks), [A.pointer, A.row_stride, A.step, P.pointer, C.pointer, C.row_stride, *sizes])
        return context.get_dummy_value()

    return lower


def _outer_lowering(adding: bool) -> Callable[..., Operand]:
    def lower(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
        A, B, C = (Matrix(context, builder, *pair) for pair in zip(signature.args, arguments, strict=True))
        blocks = Blocks(builder.module, signature.args[0].dtype.bitwidth)
        equal = [(A.rows, B.rows), (A.columns, C.rows), (B.columns, C.columns)]
        equal += [(B.step, constant(1)), (C.step, constant(1)), *A.evenly_spaced, *B.evenly_spaced, *C.evenly_spaced]
        _require(context, builder, equal, [], OUTER)
        sizes = [ir.IntType(1)(int(adding)), A.rows, C.rows, C.columns]
        where = [A.pointer, A.row_stride, A.step, B.pointer, B.row_stride, C.pointer, C.row_stride]
        builder.call(_outer(blocks), where + sizes)
        return context.get_dummy_value()

    return lower


PACK = "pack(M, panels): panels is a contiguous array of shape panel_shape(*M.shape, M.dtype)"
PRODUCT = "product(A[r, k], panels of M[k, j], C[r, j]): sizes must agree, rows be evenly spaced, and contiguous in C"
OUTER = "outer(A[r, i], B[r, j], C[i, j]): sizes must agree, rows be evenly spaced, and contiguous in B and C"

for _function, _rule, _roles, _lowering in (
    (pack, PACK, ("any", "panels"), _lower_pack),
    (product, PRODUCT, ("any", "panels", "out"), _product_lowering(adding=False)),
    (add_product, PRODUCT, ("any", "panels", "out"), _product_lowering(adding=True)),
    (outer, OUTER, ("any", "rows", "out"), _outer_lowering(adding=False)),
    (add_outer, OUTER, ("any", "rows", "out"), _outer_lowering(adding=True)),
):
    type_callable(_function)(_typer(_rule, *_roles))
    lower_builtin(_function, *[types.Array] * len(_roles))(_lowering)

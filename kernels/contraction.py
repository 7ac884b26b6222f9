"""Contractions with affine subscripts for emitted kernels: NumPy when run as Python, registers when numba compiles.

    lay_left(left, places, room)                   room ← left as the contraction reads it
    lay_right(right, places, room)                 room ← right in phases with zeros around them
    contract(left, places, room, out)              out  = Σ left · right
    add_contraction(left, places, room, out)       out += Σ left · right

``places`` and the length of ``room`` come from ``kernels.places``, which says what is summed; ``room`` starts as zeros.
left and right are laid out before, left once for as many calls as it stays the same; contract still reads it where its
vectors are neighbours anyway. All arrays are contiguous and of one type, float32 or float64; out overlaps no other.
Sums are taken in another order than NumPy's, and a zero around right times ∞ or NaN is NaN.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, errors, types
from numba.extending import lower_builtin, type_callable

from kernels.contraction_block import dots, products
from kernels.places import AT, PHASE
from kernels.register_block import Blocks, Builder, Operand, constant, counted
from kernels.room_block import Tables, copy, pack
from kernels.ways import DOT

Array = np.ndarray


def lay_left(left: Array, places: Array, room: Array) -> None:
    """room ← left: packed row by row and term by term, or as planes where its vectors are not neighbours."""
    mode, moved = places[AT["mode"]], places[AT["moved"]]
    if mode == DOT:
        if moved:
            _copied(left, places[places[AT["moved_copy"]] :], room[places[AT["moved_planes"]] :])
        return
    packed = room[places[AT["packed"]] :]
    for g, base, phase in _groups_and_phases(places):
        left_rows, _ = _rows(places)
        _, terms = _terms(places, phase)
        here = packed[phase["packed"] + g * len(left_rows) * len(terms) :]
        here[: len(left_rows) * len(terms)] = left.reshape(-1)[base[0] + left_rows[:, None] + terms].reshape(-1)


def lay_right(right: Array, places: Array, room: Array) -> None:
    """room ← right in phases; the zeros around them stay."""
    _copied(right, places[places[AT["right_copy"]] :], room)


def contract(left: Array, places: Array, room: Array, out: Array) -> None:
    """out = Σ left · right."""
    out[...] = 0
    add_contraction(left, places, room, out)


def add_contraction(left: Array, places: Array, room: Array, out: Array) -> None:
    """out += Σ left · right."""
    mode, moved = places[AT["mode"]], places[AT["moved"]]
    in_room = room[places[AT["moved_planes"]] :]
    left_numbers, out_numbers = left.reshape(-1), out.reshape(-1)
    if moved and mode == DOT:
        left_numbers = in_room
    if moved and mode != DOT:
        out_numbers = in_room
        out_numbers[...] = 0
    left_rows, out_rows = _rows(places)
    for g, base, phase in _groups_and_phases(places):
        from_right, single = _terms(places, phase)
        in_right, other = _lanes(places, phase)
        values = room[base[1] + from_right[:, None] + in_right]  # term × place
        if mode == DOT:
            factors = left_numbers[base[0] + left_rows[:, None] + other]
            out_numbers[base[2] + out_rows[:, None] + single] += factors @ values.T
        else:
            start = places[AT["packed"]] + phase["packed"] + g * len(left_rows) * len(single)
            factors = room[start : start + len(left_rows) * len(single)].reshape(len(left_rows), len(single))
            out_numbers[base[2] + out_rows[:, None] + other] += factors @ values
    if moved and mode != DOT:
        out += in_room[_offsets(out.shape, places[places[AT["moved_copy"]] :])]


def _groups_and_phases(places: Array) -> Any:
    """Number and bases of each group with each phase's PHASE."""
    count, start = places[AT["groups"]], places[AT["group_tables"]]
    bases = places[start : start + 3 * count].reshape(3, count).T
    start = places[AT["phase_tables"]]
    phases = places[start : start + places[AT["phases"]] * len(PHASE)].reshape(-1, len(PHASE))
    for (g, base), phase in product(enumerate(bases), phases):
        yield g, base, dict(zip(PHASE, phase, strict=True))


def _rows(places: Array) -> Array:
    """Offsets of the rows in left and in out."""
    start, count = places[AT["row_tables"]], places[AT["rows"]]
    return places[start : start + 2 * count].reshape(2, count)


def _terms(places: Array, phase: dict[str, int]) -> Array:
    """Offsets of the terms in right and in the array read number by number."""
    start, count = phase["term_tables"], phase["terms"]
    return places[start : start + 2 * count].reshape(2, count)


def _lanes(places: Array, phase: dict[str, int]) -> tuple[Array, Array]:
    """Offsets of all lanes of all vectors in right and in the other array."""
    start, count = phase["vector_tables"], phase["vectors"]
    in_right, other, bits = places[start : start + 3 * count].reshape(3, count)
    lane = np.arange(64)
    there = bits[:, None] >> lane & 1 == 1
    return (in_right[:, None] + lane)[there], (other[:, None] + lane)[there]


def _offsets(shape: tuple[int, ...], tables: Array) -> Array:
    """Where the planes have each entry of an array of this shape."""
    found: Array = np.zeros(shape, np.int64)
    for axis, extent in enumerate(shape):
        found += tables[:extent].reshape(-1, *[1] * (len(shape) - axis - 1))
        tables = tables[extent:]
    return found


def _copied(array: Array, tables: Array, planes: Array) -> None:
    planes[_offsets(array.shape, tables)] = array


# -- the same functions for numba --------------------------------------------------------------------------------------


class Numbers:
    """Pointer and extents of a numba array as LLVM values."""

    def __init__(self, context: Any, builder: Builder, kind: Any, value: Operand) -> None:
        array = context.make_array(kind)(context, builder, value)
        self.pointer = array.data
        self.extents = cgutils.unpack_tuple(builder, array.shape, kind.ndim)
        self.size: Operand = constant(1)
        for extent in self.extents:
            self.size = builder.mul(self.size, extent)


def _typer(outputs: int) -> Callable[..., Any]:
    """Typing for a function with so many outputs; numba reads the argument count from the inner function."""

    def without(array: Any, places: Any, room: Any) -> Any:
        return _checked(array, places, room)

    def with_out(array: Any, places: Any, room: Any, out: Any) -> Any:
        return _checked(array, places, room, out)

    return lambda _context: with_out if outputs else without


def _checked(array: Any, places: Any, room: Any, out: Any = None) -> Any:
    reals = [kind for kind in (array, room, out) if kind is not None]
    good = all(isinstance(kind, types.Array) and kind.layout == "C" and kind.ndim > 0 for kind in (*reals, places))
    if not good or places.dtype != types.int64 or len({kind.dtype for kind in reals}) != 1:
        raise errors.TypingError(f"{RULE}; got {', '.join(map(str, (array, places, *reals[1:])))}")
    if room.dtype not in {types.float32, types.float64}:
        raise errors.TypingError(f"{RULE}; got {room}")
    return types.void


RULE = "contract(left, places, room, out): contiguous arrays of the sizes places was made for, all of one real type"


@lower_builtin(lay_left, types.Array, types.Array, types.Array)
def _lay_left(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
    left, places, room, tables, blocks = _opened(context, builder, signature, arguments, "left_size")
    with builder.if_else(tables.is_dot()) as (dot, packing):
        with dot, builder.if_then(builder.icmp_signed("!=", tables.header("moved"), constant(0))):
            _copy(builder, blocks, tables, left, room, "moved", back=False)
        with packing:
            builder.call(pack(blocks), [left.pointer, places.pointer, room.pointer])
    return context.get_dummy_value()


@lower_builtin(lay_right, types.Array, types.Array, types.Array)
def _lay_right(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
    right, _, room, tables, blocks = _opened(context, builder, signature, arguments, "right_size")
    _copy(builder, blocks, tables, right, room, "right", back=False)
    return context.get_dummy_value()


def _contraction_lowering(adding: bool) -> Callable[..., Operand]:
    def lower(context: Any, builder: Builder, signature: Any, arguments: Any) -> Operand:
        left, places, room, tables, blocks = _opened(context, builder, signature, arguments, "left_size")
        out = Numbers(context, builder, signature.args[3], arguments[3])
        _require_equal(context, builder, out.size, tables.header("out_size"))
        moved = builder.icmp_signed("!=", tables.header("moved"), constant(0))
        beside = builder.gep(room.pointer, [tables.header("moved_planes")])
        flag = ir.IntType(1)
        with builder.if_else(tables.is_dot()) as (dot, product_):
            with dot:
                if not adding:
                    with counted(builder, constant(0), out.size, 1) as i:
                        builder.store(ir.Constant(blocks.element, 0.0), builder.gep(out.pointer, [i]))
                source = builder.select(moved, beside, left.pointer)
                builder.call(dots(blocks), [places.pointer, room.pointer, source, out.pointer])
            with product_:
                goal = builder.select(moved, beside, out.pointer)
                add = builder.and_(flag(int(adding)), builder.not_(moved))
                builder.call(products(blocks), [places.pointer, room.pointer, goal, add])
                with builder.if_then(moved):
                    _copy(builder, blocks, tables, out, room, "moved", back=True, adding=adding)
        return context.get_dummy_value()

    return lower


def _opened(context: Any, builder: Builder, signature: Any, arguments: Any, size: str) -> tuple[Any, ...]:
    """The first three arguments, the tables and the blocks, after the sizes were found to be the tables' own."""
    array, places, room = (Numbers(context, builder, signature.args[n], arguments[n]) for n in range(3))
    tables = Tables(builder, places.pointer)
    _require_equal(context, builder, array.size, tables.header(size))
    _require_equal(context, builder, room.size, tables.header("room_size"))
    return array, places, room, tables, Blocks(builder.module, signature.args[2].dtype.bitwidth)


def _require_equal(context: Any, builder: Builder, one: Operand, other: Operand) -> None:
    with builder.if_then(builder.icmp_signed("!=", one, other), likely=False):
        context.call_conv.return_user_exc(builder, ValueError, (RULE,))


def _copy(
    builder: Builder,
    blocks: Blocks,
    tables: Tables,
    array: Numbers,
    room: Numbers,
    which: str,
    back: bool,
    adding: bool = False,
) -> None:
    planes = room.pointer
    if which == "moved":
        planes = builder.gep(planes, [tables.header("moved_planes")])
    table = tables.table(tables.header(f"{which}_copy"))
    dense = builder.icmp_signed("!=", tables.header(f"{which}_dense"), constant(0))
    function = copy(blocks, len(array.extents), back)
    builder.call(function, [array.pointer, *array.extents, planes, table, dense, ir.IntType(1)(int(adding))])


for _function in (lay_left, lay_right):
    type_callable(_function)(_typer(0))
for _function, _adding in ((contract, False), (add_contraction, True)):
    type_callable(_function)(_typer(1))
    lower_builtin(_function, *[types.Array] * 4)(_contraction_lowering(_adding))

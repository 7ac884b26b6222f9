"""LLVM IR for contractions by tables of offsets: the two families of blocks that multiply, and the loops around them.

A block of products holds height × vectors sums in registers while the terms t run,

    out[O_i + V_j] (=|+=) Σ_t packed[t, i] · planes[T_t + V_j]        V_j the places of one vector, T_t of one term

and a block of dots holds height × width sums while the vectors v run, and adds up their lanes at the end,

    out[O_i + T_t] += Σ_v ⟨left[L_i + V_v], planes[T_t + V_v]⟩

The offsets come from ``kernels.places``; nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Sequence

from llvmlite import ir

from kernels.register_block import HEIGHTS, INDEX, Blocks, Builder, Operand, constant, counted, fold, target
from kernels.room_block import TABLE, Tables, offset, packed_place

DEPTH = 128  # terms for one pass over the rows: what they read of a few vectors' surroundings stays in the first cache
WINDOW = 1 << 18  # bytes of left that one pass of dots reads, so that they stay in the second cache


def dot_shapes() -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Rows and terms of a block of dots: 4×6 sums and 5 operands fit 32 registers, 3×3 and 4 fit 16."""
    return ((4, 1), (6, 1)) if target().many_registers else ((3, 1), (3, 1))


def lane_mask(blocks: Blocks, builder: Builder, bits: Operand) -> Operand:
    """The lanes whose bits are set."""
    flags = builder.trunc(bits, ir.IntType(blocks.lanes))
    return builder.bitcast(flags, ir.VectorType(ir.IntType(1), blocks.lanes))


def masked_load(blocks: Blocks, builder: Builder, pointer: Operand, bits: Operand | None) -> Operand:
    """A vector, zero in lanes whose bits are not set, which are not read."""
    return blocks.load(builder, pointer, None if bits is None else lane_mask(blocks, builder, bits))


def masked_store(blocks: Blocks, builder: Builder, value: Operand, pointer: Operand, bits: Operand) -> None:
    """The lanes whose bits are set."""
    blocks.store(builder, value, pointer, lane_mask(blocks, builder, bits))


# Products -------------------------------------------------------------------------------------------------------------


def product_block(blocks: Blocks, height: int, vectors: int) -> Operand:
    """block(packed, terms, depth, planes, at_right, at_out, lanes, out, rows, adding); see the module's text."""
    sums = height * vectors

    def write(builder: Builder, arguments: tuple) -> None:
        packed, terms, depth, planes, at_right, at_out, lanes, out, rows, adding = arguments
        starts = [offset(builder, planes, at_right, j) for j in range(vectors)]
        out_rows = [offset(builder, out, rows, i) for i in range(height)]
        shifts = [builder.load(builder.gep(at_out, [constant(j)])) for j in range(vectors)]
        there = [builder.gep(row, [shift]) for row in out_rows for shift in shifts]
        masks = [builder.load(builder.gep(lanes, [constant(j)])) for j in range(vectors)]
        common = masks[0]
        for mask in masks[1:]:
            common = builder.and_(common, mask)
        whole = builder.icmp_signed("==", common, constant((1 << blocks.lanes) - 1))

        entry = builder.block
        loading, ready = (builder.append_basic_block(name) for name in ("loading", "ready"))
        builder.cbranch(adding, loading, ready)
        builder.position_at_end(loading)
        old = [masked_load(blocks, builder, at, masks[q % vectors]) for q, at in enumerate(there)]
        loaded = builder.block
        builder.branch(ready)
        builder.position_at_end(ready)
        zero = ir.Constant(blocks.vector, None)
        before = [blocks.merge(builder, [(zero, entry), (value, loaded)]) for value in old]

        def term(t: Operand, carried: list[Operand]) -> list[Operand]:
            shift = builder.load(builder.gep(terms, [t]))
            row = [blocks.load(builder, builder.gep(start, [shift])) for start in starts]
            weights = builder.gep(packed, [builder.mul(t, constant(height))])
            after = []
            for i in range(height):
                weight = blocks.splat(builder, builder.load(builder.gep(weights, [constant(i)])))
                after += [
                    blocks.multiply_add(builder, weight, row[j], carried[i * vectors + j]) for j in range(vectors)
                ]
            return after

        _, total = fold(builder, constant(0), depth, 1, before, term)
        with builder.if_else(whole) as (all_lanes, some_lanes):
            with all_lanes:
                for at, value in zip(there, total, strict=True):
                    blocks.store(builder, value, at)
            with some_lanes:
                for q, (at, value) in enumerate(zip(there, total, strict=True)):
                    masked_store(blocks, builder, value, at, masks[q % vectors])

    pointer, flag = blocks.pointer, ir.IntType(1)
    arguments = [pointer, TABLE, INDEX, pointer, TABLE, TABLE, TABLE, pointer, TABLE, flag]
    assert sums
    return blocks.define(f"term_block_{height}x{vectors}", arguments, write)


def product_strip(blocks: Blocks, vectors: int) -> Operand:
    """All rows and terms against so many vectors, a number of terms at a time."""

    def write(builder: Builder, arguments: tuple) -> None:
        packed, terms, depth, planes, at_right, at_out, lanes, out, rows, height, adding = arguments

        def one_pass(t: Operand, here: Operand) -> None:
            add = builder.or_(adding, builder.icmp_signed("!=", t, constant(0)))
            terms_t = builder.gep(terms, [t])
            i: Operand = constant(0)
            for tall in HEIGHTS:
                with counted(builder, i, height, tall) as i:
                    place = builder.add(builder.mul(i, depth), builder.mul(t, constant(tall)))
                    block = product_block(blocks, tall, vectors)
                    out_rows, weights = builder.gep(rows, [i]), builder.gep(packed, [place])
                    builder.call(block, [weights, terms_t, here, planes, at_right, at_out, lanes, out, out_rows, add])

        with counted(builder, constant(0), depth, DEPTH) as t:
            one_pass(t, constant(DEPTH))
        left = builder.sub(depth, t)
        empty = builder.icmp_signed("==", depth, constant(0))
        with builder.if_then(builder.or_(empty, builder.icmp_signed("!=", left, constant(0)))):
            one_pass(t, left)

    pointer, flag = blocks.pointer, ir.IntType(1)
    arguments = [pointer, TABLE, INDEX, pointer, TABLE, TABLE, TABLE, pointer, TABLE, INDEX, flag]
    return blocks.define(f"term_strip_{vectors}", arguments, write)


def products(blocks: Blocks) -> Operand:
    """products(places, room, out, adding): mode PRODUCT."""

    def write(builder: Builder, arguments: tuple) -> None:
        places, room, out, adding = arguments
        tables = Tables(builder, places)
        rows = tables.header("rows")
        packed = builder.gep(room, [tables.header("packed")])
        with tables.groups() as (g, base), tables.phases() as phase:
            weights = builder.gep(packed, [packed_place(builder, g, rows, phase)])
            planes, here = builder.gep(room, [base["right"]]), builder.gep(out, [base["out"]])
            terms, count = tables.table(phase["term_tables"]), phase["vectors"]
            vector_tables = [
                tables.table(builder.add(phase["vector_tables"], builder.mul(count, constant(n)))) for n in range(3)
            ]
            j: Operand = constant(0)
            for vectors in range(target().vectors, 0, -1):
                with counted(builder, j, count, vectors) as j:
                    at = [builder.gep(table, [j]) for table in vector_tables]
                    fixed = [weights, terms, phase["terms"], planes, *at, here, tables.rows("out"), rows, adding]
                    builder.call(product_strip(blocks, vectors), fixed)

    return blocks.define("products", [TABLE, blocks.pointer, blocks.pointer, ir.IntType(1)], write)


# Dots -----------------------------------------------------------------------------------------------------------------


def dot_block(blocks: Blocks, height: int, width: int) -> Operand:
    """dots(left, rows, planes, at_right, at_out, out, out_rows, in_right, in_left, lanes, first, whole, last)."""

    def write(builder: Builder, arguments: tuple) -> None:
        left, rows, planes, at_right, at_out, out, out_rows, in_right, in_left, lanes, first, whole, last = arguments
        zero = ir.Constant(blocks.vector, None)
        left_rows = [offset(builder, left, rows, i) for i in range(height)]
        starts = [offset(builder, planes, at_right, j) for j in range(width)]

        def turn(v: Operand, sums: list[Operand], masked: bool) -> list[Operand]:
            bits = builder.load(builder.gep(lanes, [v])) if masked else None
            right_v = builder.load(builder.gep(in_right, [v]))
            left_v = builder.load(builder.gep(in_left, [v]))
            own = bits if target().width > 16 else None  # elsewhere left is laid out with zeros in the other lanes
            a = [masked_load(blocks, builder, builder.gep(row, [left_v]), own) for row in left_rows]
            after: dict[tuple[int, int], Operand] = {}
            for j, start in enumerate(starts):
                b = blocks.load(builder, builder.gep(start, [right_v]))
                if bits is not None:
                    b = builder.select(lane_mask(blocks, builder, bits), b, zero)
                for i in range(height):
                    after[i, j] = blocks.multiply_add(builder, a[i], b, sums[i * width + j])
            return [after[i, j] for i in range(height) for j in range(width)]

        zeros = [zero] * (height * width)
        v, sums = fold(builder, first, whole, 1, zeros, lambda v, carried: turn(v, carried, masked=False))
        _, sums = fold(builder, v, last, 1, sums, lambda v, carried: turn(v, carried, masked=True))
        totals = added_up(builder, blocks, sums)
        for i in range(height):
            row = offset(builder, out, out_rows, i)
            for j in range(width):
                at = offset(builder, row, at_out, j)
                builder.store(builder.fadd(builder.load(at), totals[i * width + j]), at)

    pointer = blocks.pointer
    arguments = [pointer, TABLE, pointer, TABLE, TABLE, pointer, *[TABLE] * 4, INDEX, INDEX, INDEX]
    return blocks.define(f"dot_block_{height}x{width}", arguments, write)


def added_up(builder: Builder, blocks: Blocks, vectors: Sequence[Operand]) -> list[Operand]:
    """The sum of the lanes of each vector; as many vectors as there are lanes are added up together, in pairs."""
    number, lanes = ir.VectorType(ir.IntType(32), blocks.lanes), blocks.lanes
    zero = ir.Constant(blocks.vector, None)
    totals: list[Operand] = []
    for first in range(0, len(vectors), lanes):
        group = list(vectors[first : first + lanes])
        width = len(group)
        group += [zero] * (lanes - width)
        while len(group) > 1:  # a0+a1, a2+a3, …, b0+b1, b2+b3, …
            even, odd = (ir.Constant(number, list(range(start, 2 * lanes, 2))) for start in (0, 1))
            group = [
                a
                if a is zero and b is zero
                else builder.fadd(builder.shuffle_vector(a, b, even), builder.shuffle_vector(a, b, odd))
                for a, b in zip(group[::2], group[1::2], strict=True)
            ]
        totals += [builder.extract_element(group[0], ir.IntType(32)(lane)) for lane in range(width)]
    return totals


def dots(blocks: Blocks) -> Operand:
    """dots(places, room, left, out): mode DOT, added to out; left may stand in the room."""
    heights, widths = dot_shapes()

    def write(builder: Builder, arguments: tuple) -> None:
        places, room, left, out = arguments
        tables = Tables(builder, places)
        rows = tables.header("rows")
        row_bytes = builder.mul(rows, constant(target().width))
        window = builder.add(builder.sdiv(constant(WINDOW), row_bytes), constant(16))
        with tables.groups() as (_, base), tables.phases() as phase:
            from_left, planes = builder.gep(left, [base["left"]]), builder.gep(room, [base["right"]])
            here = builder.gep(out, [base["out"]])
            count, whole = phase["vectors"], phase["whole"]
            vector_tables = [
                tables.table(builder.add(phase["vector_tables"], builder.mul(count, constant(n)))) for n in range(3)
            ]
            passes = builder.sdiv(builder.add(count, builder.sub(window, constant(1))), window)
            with counted(builder, constant(0), passes, 1) as number:
                first = builder.mul(number, window)
                last = builder.add(first, window)
                last = builder.select(builder.icmp_signed("<", last, count), last, count)
                full = builder.select(builder.icmp_signed("<", whole, last), whole, last)
                full = builder.select(builder.icmp_signed("<", full, first), first, full)
                i: Operand = constant(0)
                for height in heights:
                    with counted(builder, i, rows, height) as i:
                        left_rows = builder.gep(tables.rows("left"), [i])
                        out_rows = builder.gep(tables.rows("out"), [i])
                        j: Operand = constant(0)
                        for width in widths:
                            with counted(builder, j, phase["terms"], width) as j:
                                at_right = tables.table(builder.add(phase["term_tables"], j))
                                at_out = builder.gep(at_right, [phase["terms"]])
                                operands = [from_left, left_rows, planes, at_right, at_out, here, out_rows]
                                block = dot_block(blocks, height, width)
                                builder.call(block, [*operands, *vector_tables, first, full, last])

    return blocks.define("dots", [TABLE, blocks.pointer, blocks.pointer, blocks.pointer], write)

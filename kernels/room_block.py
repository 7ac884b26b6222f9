"""LLVM IR that reads the tables of a contraction and fills its room: copies into planes, and packing.

The tables come from ``kernels.places``; nothing here knows what they mean.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from llvmlite import ir

from kernels.places import AT, GROUP, PHASE
from kernels.register_block import HEIGHTS, INDEX, Blocks, Builder, Operand, constant, counted
from kernels.ways import DOT

TABLE = INDEX.as_pointer()


@dataclass(frozen=True)
class Tables:
    """The table that ``kernels.places`` made, as LLVM values."""

    builder: Builder
    start: Operand

    def at(self, place: Operand | int) -> Operand:
        """The number at this place."""
        return self.builder.load(self.builder.gep(self.start, [constant(place) if isinstance(place, int) else place]))

    def header(self, name: str) -> Operand:
        return self.at(AT[name])

    def table(self, place: Operand) -> Operand:
        """A pointer to the table that starts there."""
        return self.builder.gep(self.start, [place])

    def is_dot(self) -> Operand:
        """Whether they are of mode DOT."""
        return self.builder.icmp_signed("==", self.header("mode"), constant(DOT))

    @contextmanager
    def groups(self) -> Generator[tuple[Operand, dict[str, Operand]]]:
        """For each group its number and its bases in left, right and out."""
        b, count, start = self.builder, self.header("groups"), self.header("group_tables")
        with counted(b, constant(0), count, 1) as g:
            yield g, {name: self.at(b.add(start, b.add(b.mul(count, constant(n)), g))) for n, name in enumerate(GROUP)}

    @contextmanager
    def phases(self) -> Generator[dict[str, Operand]]:
        """For each phase what PHASE says of it."""
        b, start = self.builder, self.header("phase_tables")
        with counted(b, constant(0), self.header("phases"), 1) as f:
            first = b.add(start, b.mul(f, constant(len(PHASE))))
            yield {name: self.at(b.add(first, constant(n))) for n, name in enumerate(PHASE)}

    def rows(self, array: str) -> Operand:
        """The offsets of the rows in ``left`` or ``out``."""
        start = self.header("row_tables")
        return self.table(start if array == "left" else self.builder.add(start, self.header("rows")))


def offset(builder: Builder, pointer: Operand, table: Operand, place: Operand | int) -> Operand:
    """pointer + table[place]."""
    place = constant(place) if isinstance(place, int) else place
    return builder.gep(pointer, [builder.load(builder.gep(table, [place]))])


def copy(blocks: Blocks, rank: int, back: bool) -> Operand:
    """copy(array, extents…, planes, table, dense, adding): planes ← array of this rank; ``back``: array (=|+=) planes.

    ``table`` has an offset in planes for each place on each axis; ``dense`` says that those of the last are neighbours.
    """

    def write(builder: Builder, arguments: tuple) -> None:
        array, *extents, planes, table, dense, adding = arguments
        *outer, last = extents

        def move(here: Operand, there: Operand, vector: bool) -> None:
            """One vector, or one number."""
            load, store = (blocks.load, blocks.store) if vector else (ir.IRBuilder.load, ir.IRBuilder.store)
            if not back:
                store(builder, load(builder, here), there)
                return
            zero = ir.Constant(blocks.vector if vector else blocks.element, None if vector else 0.0)
            before = builder.select(adding, load(builder, here), zero)
            store(builder, builder.fadd(before, load(builder, there)), here)

        with ExitStack() as nest:
            for axis, extent in enumerate(outer):
                i = nest.enter_context(counted(builder, constant(0), extent, 1))
                stride = last
                for inner in outer[axis + 1 :]:
                    stride = builder.mul(stride, inner)
                array = builder.gep(array, [builder.mul(i, stride)])
                planes = offset(builder, planes, table, i)
                table = builder.gep(table, [extent])
            with builder.if_else(dense) as (neighbours, apart):
                with neighbours:
                    row = offset(builder, planes, table, constant(0))
                    with counted(builder, constant(0), last, blocks.lanes) as i:
                        move(builder.gep(array, [i]), builder.gep(row, [i]), vector=True)
                    with counted(builder, i, last, 1) as i:
                        move(builder.gep(array, [i]), builder.gep(row, [i]), vector=False)
                with apart, counted(builder, constant(0), last, 1) as i:
                    move(builder.gep(array, [i]), offset(builder, planes, table, i), vector=False)

    pointer, flag = blocks.pointer, ir.IntType(1)
    arguments = [pointer, *[INDEX] * rank, pointer, TABLE, flag, flag]
    return blocks.define(f"copy_{'back_' if back else ''}{rank}", arguments, write)


def pack(blocks: Blocks) -> Operand:
    """pack(left, places, room): left in the order in which blocks read it, (group, phase, block of rows, term, row)."""

    def write(builder: Builder, arguments: tuple) -> None:
        left, places, room = arguments
        tables = Tables(builder, places)
        rows, left_rows = tables.header("rows"), tables.rows("left")
        packed = builder.gep(room, [tables.header("packed")])
        with tables.groups() as (g, base), tables.phases() as phase:
            terms = tables.table(builder.add(phase["term_tables"], phase["terms"]))
            goal = builder.gep(packed, [packed_place(builder, g, rows, phase)])
            source = builder.gep(left, [base["left"]])
            i: Operand = constant(0)
            for height in HEIGHTS:
                with counted(builder, i, rows, height) as i:
                    block = builder.gep(goal, [builder.mul(i, phase["terms"])])
                    at = [offset(builder, source, left_rows, builder.add(i, constant(row))) for row in range(height)]
                    with counted(builder, constant(0), phase["terms"], 1) as t:
                        to = builder.gep(block, [builder.mul(t, constant(height))])
                        shift = builder.load(builder.gep(terms, [t]))
                        for row, start in enumerate(at):
                            builder.store(builder.load(builder.gep(start, [shift])), builder.gep(to, [constant(row)]))

    return blocks.define("pack_terms", [blocks.pointer, TABLE, blocks.pointer], write)


def packed_place(builder: Builder, g: Operand, rows: Operand, phase: dict[str, Operand]) -> Operand:
    """Where the packed numbers of a group and phase start; ``packed`` counts all groups of earlier phases."""
    return builder.add(phase["packed"], builder.mul(g, builder.mul(rows, phase["terms"])))

"""LLVM IR for products in vector registers: one family of small blocks, and the loops that tile a matrix with them.

numba's front end needs about 1 ms a statement, so a 6×4 block written as Python loops takes a second to compile;
emitted here, it takes 15 ms. A block of C, `height` rows by `vectors` vectors, stays in registers while k runs:

    C[i, j] (=|+=) Σ_k A[i, k] P[k, j]        A[i, k] = a[i·row_stride + k·step],   P[k, j] = p[k·W + j]

Each k costs `vectors` loads of P and `height` broadcasts of A for height·vectors fused multiply-adds. Because both
strides of A are run-time numbers, the same blocks multiply by A (step 1) and by Aᵀ (row_stride 1). P is packed in
panels W columns wide, so that its loads are contiguous and aligned. Lanes beyond the last column may hold anything: no
lane reads another, and they are never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from numba.core.registry import cpu_target

Builder = Any  # an ir.IRBuilder; llvmlite carries no types
Operand = Any  # an ir.Value, or an ir.Type where it says so

HEIGHTS = (6, 2, 1)  # rows of a block: any height is cut greedily into these; each entry costs 60 ms of compilation
CHAINS = 8  # independent sums that hide the latency of a multiply-add: 4 cycles, two a cycle
CACHE_LINE = 64  # bytes
DEPTH = 128  # values of k for one pass: a panel of 128 × 256 bytes stays in a first-level cache of 48 KiB

INDEX = ir.IntType(64)
VOID = ir.VoidType()


@dataclass(frozen=True)
class Target:
    """Vector width in bytes, whether there are 32 such registers rather than 16, and a fused multiply-add."""

    width: int
    many_registers: bool
    fused: bool

    @property
    def vectors(self) -> int:
        """Vectors in a row of a block: 6×4 sums need 29 registers of 32, 6×2 need 15 of 16."""
        return 4 if self.many_registers else 2


def target_with(features: str, triple: str) -> Target:
    """The target LLVM describes by a triple and a feature string such as '+avx2,-avx512f'."""
    have = set(features.split(","))
    if triple.startswith(("aarch64", "arm64")):
        return Target(16, many_registers=True, fused=True)
    if "+avx512f" in have and "+avx512vl" in have:
        return Target(64, many_registers=True, fused=True)
    return Target(32 if "+avx2" in have else 16, many_registers=False, fused="+fma" in have)


@cache
def target() -> Target:
    """The target numba compiles for in this process, NUMBA_CPU_NAME and NUMBA_CPU_FEATURES included."""
    context: Any = cpu_target.target_context
    triple, _name, features = context.codegen().magic_tuple()
    return target_with(features or "", triple)


def constant(value: int) -> Operand:
    """A 64-bit whole number."""
    return ir.Constant(INDEX, value)


@contextmanager
def counted(builder: Builder, start: Operand, stop: Operand, step: int) -> Generator[Operand]:
    """`while i + step <= stop`; the yielded i is also, after the loop, the first index not covered."""
    before, function = builder.block, builder.function
    head, body, after = (function.append_basic_block(name) for name in ("head", "body", "after"))
    builder.branch(head)
    builder.position_at_end(head)
    i = builder.phi(INDEX)
    i.add_incoming(start, before)
    following = builder.add(i, constant(step))
    builder.cbranch(builder.icmp_signed("<=", following, stop), body, after)
    builder.position_at_end(body)
    yield i
    i.add_incoming(following, builder.block)
    builder.branch(head)
    builder.position_at_end(after)


def fold(
    builder: Builder,
    start: Operand,
    stop: Operand,
    step: int,
    values: Sequence[Operand],
    body: Callable[[Operand, list[Operand]], list[Operand]],
) -> tuple[Operand, list[Operand]]:
    """As `counted`, with values carried from turn to turn in registers (φ nodes): values = body(i, values)."""
    before = builder.block
    with counted(builder, start, stop, step) as i:
        head = i.parent
        inside = builder.block
        builder.position_at_start(head)
        carried = [builder.phi(value.type) for value in values]
        builder.position_at_end(inside)
        for phi, value in zip(carried, values, strict=True):
            phi.add_incoming(value, before)
        results = body(i, list(carried))
        for phi, value in zip(carried, results, strict=True):
            phi.add_incoming(value, builder.block)
    return i, list(carried)


@dataclass(frozen=True)
class Blocks:
    """Writes the functions for one element type (32 or 64 bits) into one LLVM module, each at most once."""

    module: ir.Module
    bits: int

    @property
    def lanes(self) -> int:
        return target().width * 8 // self.bits

    @property
    def panel(self) -> int:
        """W, the columns of a panel."""
        return self.lanes * target().vectors

    @property
    def element(self) -> Operand:
        return ir.DoubleType() if self.bits == 64 else ir.FloatType()

    @property
    def pointer(self) -> Operand:
        return self.element.as_pointer()

    @property
    def vector(self) -> Operand:
        return ir.VectorType(self.element, self.lanes)

    # -- single operations -----------------------------------------------------------------------------------------

    def declare(self, name: str, result: Operand, arguments: list[Operand]) -> Operand:
        known = self.module.globals.get(name)
        return known or ir.Function(self.module, ir.FunctionType(result, arguments), name)

    def define(self, name: str, arguments: list[Operand], write: Callable[[Builder, tuple], None]) -> Operand:
        """A function private to the module; `write` fills its body the first time the name is asked for."""
        name = f"{name}_f{self.bits}"
        if name in self.module.globals:
            return self.module.globals[name]
        function = ir.Function(self.module, ir.FunctionType(VOID, arguments), name)
        function.linkage = "internal"
        for attribute in ("nounwind", "noinline", "optsize"):
            function.attributes.add(attribute)
        builder = ir.IRBuilder(function.append_basic_block("entry"))
        write(builder, function.args)
        builder.ret_void()
        return function

    def load(self, builder: Builder, pointer: Operand, lanes: Operand | None = None) -> Operand:
        """A vector, or its first `lanes` (a number or a mask) and zeros; only the element's alignment is assumed."""
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        if lanes is None:
            return builder.load(pointer, align=self.bits // 8)
        mask = self.mask(builder, lanes)
        name = f"llvm.masked.load.v{self.lanes}f{self.bits}.p0"
        masked = self.declare(name, self.vector, [pointer.type, ir.IntType(32), mask.type, self.vector])
        return builder.call(masked, [pointer, ir.IntType(32)(self.bits // 8), mask, ir.Constant(self.vector, None)])

    def store(self, builder: Builder, value: Operand, pointer: Operand, lanes: Operand | None = None) -> None:
        pointer = builder.bitcast(pointer, self.vector.as_pointer())
        if lanes is None:
            builder.store(value, pointer, align=self.bits // 8)
            return
        mask = self.mask(builder, lanes)
        name = f"llvm.masked.store.v{self.lanes}f{self.bits}.p0"
        masked = self.declare(name, VOID, [self.vector, pointer.type, ir.IntType(32), mask.type])
        builder.call(masked, [value, pointer, ir.IntType(32)(self.bits // 8), mask])

    def splat(self, builder: Builder, value: Operand) -> Operand:
        """The vector all of whose lanes are `value`."""
        undefined = ir.Constant(ir.VectorType(value.type, self.lanes), ir.Undefined)
        first = builder.insert_element(undefined, value, ir.IntType(32)(0))
        return builder.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), None))

    def mask(self, builder: Builder, lanes: Operand) -> Operand:
        """Which lanes come before this number of lanes; a mask stays what it is."""
        if isinstance(lanes.type, ir.VectorType):
            return lanes
        number = ir.VectorType(ir.IntType(32), self.lanes)
        counting = ir.Constant(number, list(range(self.lanes)))
        return builder.icmp_signed("<", counting, self.splat(builder, builder.trunc(lanes, ir.IntType(32))))

    def merge(self, builder: Builder, origins: list[tuple[Operand, Any]]) -> Operand:
        """The value that comes from whichever block control came from (a φ node)."""
        phi = builder.phi(self.vector)
        for value, block in origins:
            phi.add_incoming(value, block)
        return phi

    def multiply_add(self, builder: Builder, a: Operand, b: Operand, c: Operand) -> Operand:
        if not target().fused:  # llvm.fma without the instruction is a library call for every lane
            return builder.fadd(builder.fmul(a, b), c)
        fma = self.declare(f"llvm.fma.v{self.lanes}f{self.bits}", self.vector, [self.vector] * 3)
        return builder.call(fma, [a, b, c])

    # -- one block ---------------------------------------------------------------------------------------------------

    def block(self, height: int, vectors: int) -> Operand:
        """block(a, row_stride, step, p, depth, c, c_stride, adding, last): C ends `last` lanes into the last vector."""
        sums = height * vectors
        ways = 1 if sums > CHAINS // 2 else CHAINS // sums  # a small block takes several k at a time, in separate sums

        def write(builder: Builder, arguments: tuple) -> None:
            a, row_stride, step, p, depth, c, c_stride, adding, last = arguments
            rows = [builder.mul(row_stride, constant(i)) for i in range(height)]
            c_rows = [builder.gep(c, [builder.mul(c_stride, constant(i))]) for i in range(height)]
            places = [builder.gep(row, [constant(j * self.lanes)]) for row in c_rows for j in range(vectors)]
            edges = range(vectors - 1, sums, vectors)
            whole = builder.icmp_signed("==", last, constant(self.lanes))

            # The sums start from C or from zero. Masks are used only where C really ends inside a vector: a masked
            # store cannot be forwarded to the loads of the next time step, which then wait for the cache.
            entry = builder.block
            loading, ready = (builder.append_basic_block(name) for name in ("loading", "ready"))
            builder.cbranch(adding, loading, ready)
            builder.position_at_end(loading)
            old = [None if q in edges else self.load(builder, at) for q, at in enumerate(places)]
            with builder.if_else(whole) as (all_lanes, some_lanes):
                with all_lanes:
                    full, full_end = [self.load(builder, places[q]) for q in edges], builder.block
                with some_lanes:
                    part, part_end = [self.load(builder, places[q], last) for q in edges], builder.block
            for q, from_full, from_part in zip(edges, full, part, strict=True):
                old[q] = self.merge(builder, [(from_full, full_end), (from_part, part_end)])
            loaded = builder.block
            builder.branch(ready)
            builder.position_at_end(ready)
            zero = ir.Constant(self.vector, None)
            sums_in = [self.merge(builder, [(zero, entry), (value, loaded)]) for value in old]

            def term(a_k: Operand, p_k: Operand, before: list[Operand]) -> tuple[Operand, Operand, list[Operand]]:
                """sums + A[:, k] P[k, :], and the two pointers moved on to k + 1."""
                row = [self.load(builder, builder.gep(p_k, [constant(j * self.lanes)])) for j in range(vectors)]
                after = []
                for i in range(height):
                    a_ik = self.splat(builder, builder.load(builder.gep(a_k, [rows[i]])))
                    after += [self.multiply_add(builder, a_ik, row[j], before[i * vectors + j]) for j in range(vectors)]
                return builder.gep(a_k, [step]), builder.gep(p_k, [constant(self.panel)]), after

            def terms(_: Operand, carried: list[Operand]) -> list[Operand]:
                """One term for each group of sums among the carried values."""
                (a_k, p_k), after = carried[:2], []
                for first in range(2, len(carried), sums):
                    a_k, p_k, group = term(a_k, p_k, carried[first : first + sums])
                    after += group
                return [a_k, p_k, *after]

            k: Operand = constant(0)
            state = [a, p, *sums_in]
            if ways > 1:
                k, state = fold(builder, k, depth, ways, state + [zero] * sums * (ways - 1), terms)
                while len(state) > 2 + sums:  # add the groups in pairs
                    half = len(state) // 2 - 1
                    pairs = zip(state[2 : 2 + half], state[2 + half :], strict=True)
                    state = state[:2] + [builder.fadd(x, y) for x, y in pairs]
            _, (_, _, *total) = fold(builder, k, depth, 1, state, terms)

            for q in set(range(sums)).difference(edges):
                self.store(builder, total[q], places[q])
            with builder.if_else(whole) as (all_lanes, some_lanes):
                for branch, lanes in ((all_lanes, None), (some_lanes, last)):
                    with branch:
                        for q in edges:
                            self.store(builder, total[q], places[q], lanes)

        pointer, flag = self.pointer, ir.IntType(1)
        arguments = [pointer, INDEX, INDEX, pointer, INDEX, pointer, INDEX, flag, INDEX]
        return self.define(f"block_{height}x{vectors}", arguments, write)

    # -- tiling ------------------------------------------------------------------------------------------------------

    @contextmanager
    def panels(self, builder: Builder, columns: Operand) -> Generator[tuple[Operand, Operand]]:
        """For each panel, its first column and how many of its columns exist."""
        width = constant(self.panel)
        with counted(builder, constant(0), builder.add(columns, constant(self.panel - 1)), self.panel) as j:
            left = builder.sub(columns, j)
            yield j, builder.select(builder.icmp_signed("<", left, width), left, width)

    def strip(self) -> Operand:
        """strip(a, row_stride, step, p, depth, c, c_stride, adding, rows, columns): all rows against one panel."""

        def write(builder: Builder, arguments: tuple) -> None:
            a, row_stride, step, p, depth, c, c_stride, adding, rows, columns = arguments
            vectors = builder.sdiv(builder.add(columns, constant(self.lanes - 1)), constant(self.lanes))
            last = builder.sub(columns, builder.mul(builder.sub(vectors, constant(1)), constant(self.lanes)))
            done = builder.append_basic_block("done")
            choice = builder.switch(vectors, done)
            for count in range(1, target().vectors + 1):
                label = builder.append_basic_block(f"vectors_{count}")
                choice.add_case(constant(count), label)
                builder.position_at_end(label)
                i: Operand = constant(0)
                for height in HEIGHTS:
                    with counted(builder, i, rows, height) as i:
                        a_i = builder.gep(a, [builder.mul(i, row_stride)])
                        c_i = builder.gep(c, [builder.mul(i, c_stride)])
                        block = self.block(height, count)
                        builder.call(block, [a_i, row_stride, step, p, depth, c_i, c_stride, adding, last])
                builder.branch(done)
            builder.position_at_end(done)

        pointer, flag = self.pointer, ir.IntType(1)
        arguments = [pointer, INDEX, INDEX, pointer, INDEX, pointer, INDEX, flag, INDEX, INDEX]
        return self.define("strip", arguments, write)

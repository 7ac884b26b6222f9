"""Scheduled parts turned into statements: products where the arrays allow it, plain loop nests everywhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.order import renamed
from kernels.schedule.plan import (
    BATCH,
    BATCH_SIZE,
    Array,
    Average,
    For,
    Given,
    If,
    Multiply,
    Node,
    Outer,
    Pack,
    Part,
    Plan,
    Set,
    Stages,
    Statement,
    TimeLoop,
    View,
    Whole,
)  # fmt: skip
from kernels.schedule.stages import condition_symbols, index_symbols, is_plain

BATCH_RANGE = Range(BATCH, sp.Integer(0), BATCH_SIZE - 1)
TOTAL = Access("total")


@dataclass
class _Lowering:
    arrays: dict[str, Array]
    panels: dict[str, tuple[Integer, Integer]] = field(default_factory=dict)
    packed: dict[View, str] = field(default_factory=dict)
    before: list[Statement] = field(default_factory=list)  # packing done once, before the node being lowered
    making: frozenset[str] = frozenset()  # arrays not complete before the node being lowered

    def nodes(self, nodes: Sequence[Node], fixed: tuple[Range, ...]) -> list[Statement]:
        """The nodes one after the other; two parts of one formula of which exactly one applies become an if and an else."""
        statements: list[Statement] = []
        waiting = list(nodes)
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, TimeLoop):
                loop = Range(node.index, node.lower, node.upper)
                body = tuple(self.nodes(node.body, (*fixed, loop)))
                statements.append(For(node.index, node.lower, node.upper, body, node.descending))
                continue
            formula = [node]
            while waiting and isinstance(waiting[0], Part) and waiting[0].adding and waiting[0].target == node.target:
                formula.append(waiting.pop(0))
            statements += self.formula(formula, fixed)
        return statements

    def formula(self, parts: Sequence[Part], fixed: tuple[Range, ...]) -> list[Statement]:
        """Parts that add up to one target; where each applies on one of two sides of one condition, an if and an else."""
        sides: tuple[list[Statement], list[Statement]] = ([], [])
        first: tuple[Condition, ...] | None = ()
        possible = [part for part in parts if self.steps_conditions(part, fixed) is not None]
        if not possible:
            return [] if parts[0].adding else self.zero(self.free(parts[0], fixed))
        parts = [replace(possible[0], adding=parts[0].adding), *possible[1:]]
        for part in parts:
            conditions = self.steps_conditions(part, fixed)
            first = first or conditions
            opposite = conditions is not None and bounds.are_opposite(first, conditions, fixed)
            side = 0 if conditions == first else 1 if opposite else None
            if side is None or not conditions or parts[0].adding:
                return [statement for part in parts for statement in self.conditional(part, fixed)]
            sides[side].extend(self.part(replace(part, adding=bool(sides[side])), fixed))
        return [If(first or (), tuple(sides[0]), tuple(sides[1] or self.zero(self.free(parts[0], fixed))))]

    def conditional(self, part: Part, fixed: tuple[Range, ...]) -> list[Statement]:
        conditions = self.steps_conditions(part, fixed)
        body = self.part(part, fixed)
        if not conditions:
            return body
        return [If(conditions, tuple(body), () if part.adding else tuple(self.zero(self.free(part, fixed))))]

    def steps_conditions(self, part: Part, fixed: tuple[Range, ...]) -> tuple[Condition, ...] | None:
        """The conditions of ``part`` that only the current steps decide; None if they never hold."""
        steps = {item.index for item in fixed}
        return bounds.needed((c for c in part.conditions if condition_symbols(c) <= steps), fixed)

    # One part -----------------------------------------------------------------------------------------------------

    def free(self, part: Part, fixed: tuple[Range, ...]) -> Part:
        """``part`` without loops over steps that are fixed already."""
        steps = {item.index for item in fixed}
        return replace(part, times=tuple(item for item in part.times if item.index not in steps))

    def part(self, part: Part, fixed: tuple[Range, ...]) -> list[Statement]:
        """What to do at steps where the part applies; conditions on free indices become their ranges."""
        part = at_single_steps(self.free(part, fixed))
        steps = {item.index for item in fixed}
        free = replace(part, conditions=tuple(c for c in part.conditions if not condition_symbols(c) <= steps))
        cut = self.narrowed(free, fixed)
        body: list[Statement] = []
        if not part.adding and (cut.conditions or cut.loops != free.loops):
            body += self.zero(free)
        body += self.product(cut, fixed) or self.nest(replace(cut, adding=cut.adding or bool(cut.conditions)))
        if part.average:
            body.append(Average(part.number, self.row(part.target)))
        return body

    def narrowed(self, part: Part, fixed: tuple[Range, ...]) -> Part:
        """``part`` with conditions on one of its indices moved into that index's range."""
        ranges = [*fixed, *part.loops, *part.sums]
        left: list[Condition] = []
        for condition in part.conditions:
            for item in reversed(ranges[len(fixed) :]):
                ends = bounds.one_sided(condition, item.index, ranges)
                later = {other.index for other in ranges[ranges.index(item) + 1 :]}
                if ends is not None and not later & {s for end in ends for s in sp.sympify(end).free_symbols}:
                    lower = ends[0] if bounds.at_least(ends[0], item.lower, ranges) else sp.Max(ends[0], item.lower)
                    upper = ends[1] if bounds.at_most(ends[1], item.upper, ranges) else sp.Min(ends[1], item.upper)
                    ranges[ranges.index(item)] = Range(item.index, lower, upper)
                    break
            else:
                left.append(condition)
        own = ranges[len(fixed) :]
        times, entries = len(part.times), len(part.entries)
        return replace(
            part,
            times=tuple(own[:times]),
            entries=tuple(own[times : times + entries]),
            sums=tuple(own[times + entries :]),
            conditions=tuple(left),
        )

    def is_batched(self, value: Expression) -> bool:
        return any(
            self.arrays[n.name].batched for n in ast.walk(value) if isinstance(n, Access) and n.name in self.arrays
        )

    def batch_role(self, part: Part) -> str:
        """Whether the sequences of a batch are 'separate', are 'summed', or do not occur."""
        if self.arrays[part.target.name].batched:
            return "separate"
        return "summed" if self.is_batched(part.body) else "none"

    def zero(self, part: Part) -> list[Statement]:
        array = self.arrays[part.target.name]
        loops = [*part.times, *([BATCH_RANGE] if array.batched else []), *part.entries]
        return nested(loops, [Set(part.number, part.target, ast.ZERO)])

    # Loop nests ---------------------------------------------------------------------------------------------------

    def nest(self, part: Part) -> list[Statement]:
        """Loops over everything: sums innermost into a local total, or outermost where that runs along rows."""
        role = self.batch_role(part)
        if isinstance(part.body, ast.Call):
            return self.whole(part, part.body)
        if part.unless:
            at = tuple(step for step in part.target.superscripts if sp.sympify(step).free_symbols)
            given = Access(part.unless, at, part.target.subscripts)
            copy, default = (replace(part, unless="", body=body) for body in (given, part.body))
            return [If((Given(part.unless),), tuple(self.nest(copy)), tuple(self.nest(default)))]
        loops = [*part.times, *([BATCH_RANGE] if role == "separate" else []), *part.entries]
        sums = [*([BATCH_RANGE] if role == "summed" else []), *part.sums]
        if not sums:
            return nested(loops, guarded(part.conditions, [Set(part.number, part.target, part.body, part.adding)]))
        if self.runs_along_rows(part, sums):
            zero = [] if part.adding else nested(loops, [Set(part.number, part.target, ast.ZERO)])
            add = guarded(part.conditions, [Set(part.number, part.target, part.body, True)])
            return zero + nested([*sums, *loops], add)
        add = guarded(part.conditions, [Set(part.number, TOTAL, part.body, True)])
        total: list[Statement] = [Set(part.number, TOTAL, ast.ZERO), *nested(sums, add)]
        return nested(loops, [*total, Set(part.number, part.target, TOTAL, part.adding)])

    def runs_along_rows(self, part: Part, sums: Sequence[Range]) -> bool:
        """True if the innermost index of the target is also the innermost of what is read, and no sum is."""
        last = [n.subscripts[-1] for n in ast.walk(part.body) if isinstance(n, Access) and n.subscripts]
        row = part.entries[-1].index if part.entries else None
        loops = {item.index for item in part.loops}
        ends = {s for item in sums for end in (item.lower, item.upper) for s in sp.sympify(end).free_symbols}
        return row in last and not any(item.index in last for item in sums) and not ends & loops

    def whole(self, part: Part, call: ast.Call) -> list[Statement]:
        (argument,) = call.arguments
        array = self.arrays[part.target.name]
        loops = [*part.times, *([BATCH_RANGE] if array.batched else [])]
        out = self.row(part.target) if array.shape else part.target
        source = self.row(argument)
        return nested(loops, guarded(part.conditions, [Whole(part.number, call.function, source, out)]))

    def row(self, access: Expression) -> View:
        assert isinstance(access, Access)
        array = self.arrays[access.name]
        slots = tuple(step - item.lower for step, item in zip(access.superscripts, array.slots, strict=True))
        return View(access.name, (*slots, *([BATCH] if array.batched else []), *(None for _ in array.shape)))

    # Products -----------------------------------------------------------------------------------------------------

    def product(self, part: Part, fixed: tuple[Range, ...]) -> list[Statement] | None:
        """The part as products of matrices, inside loops over what both factors and the result share; None if it is none."""
        if not isinstance(part.body, ast.Product) or len(part.body.factors) != 2 or part.conditions:
            return None
        if not all(map(is_plain, part.body.factors)) or not is_plain(part.target):
            return None
        role = self.batch_role(part)
        free = [*part.times, *([BATCH_RANGE] if role == "separate" else []), *part.entries]
        summed = [*part.sums, *([BATCH_RANGE] if role == "summed" else [])]
        return self.product_inside(part, fixed, free, summed, [], [])

    def product_inside(
        self,
        part: Part,
        fixed: tuple[Range, ...],
        free: list[Range],
        summed: list[Range],
        loops: list[Range],
        steps: list[Range],
    ) -> list[Statement] | None:
        """Indices move from ``free`` to ``loops``, and from ``summed`` to ``steps``, until what is left is one product of matrices."""
        left, right = part.body.factors  # type: ignore[union-attr]
        both = self.indices(left) & self.indices(right)
        shared = [item for item in free if item.index in both]
        free = [item for item in free if item not in shared]
        loops = [*loops, *shared]
        while True:
            single = self.one_product(part, (*fixed, *loops, *steps), free, summed, adding=part.adding or bool(steps))
            if single is not None:
                break
            times = {item.index for item in part.times} | {s for s in self.time_sums(part)}
            movable = [item for item in free if item.index in times]
            if movable:
                free, loops = [item for item in free if item != movable[0]], [*loops, movable[0]]
                continue
            movable = [item for item in summed if item.index in times]
            if movable and len(summed) > 1:
                summed, steps = [item for item in summed if item != movable[0]], [*steps, movable[0]]
                continue
            return None
        zero = self.zero(part) if steps and not part.adding else []
        return zero + nested([*loops, *steps], single)

    def time_sums(self, part: Part) -> set[sp.Symbol]:
        return {
            symbol
            for node in ast.walk(part.body)
            if isinstance(node, Access)
            for step in node.superscripts
            for symbol in sp.sympify(step).free_symbols
        } & {item.index for item in part.sums}

    def indices(self, value: Expression) -> set[sp.Symbol]:
        return index_symbols(value) | ({BATCH} if self.is_batched(value) else set())

    def one_product(
        self, part: Part, fixed: tuple[Range, ...], free: list[Range], summed: list[Range], adding: bool
    ) -> list[Statement] | None:
        """A single product of matrices for the indices ``free`` and ``summed``, all others being fixed."""
        first, second = part.body.factors  # type: ignore[union-attr]
        if not free or not summed:
            return None
        if free[-1].index in self.indices(first):
            first, second = second, first
        rows = [item for item in free if item.index in self.indices(first)]
        columns = [item for item in free if item.index in self.indices(second)]
        if len(rows) + len(columns) != len(free) or free != rows + columns:
            return None
        if not all(item.index in self.indices(first) & self.indices(second) for item in summed):
            return None
        out = self.view(part.target, rows, columns)
        if out is None or out.transposed or not columns:
            return None
        number = part.number
        plain_first, plain_second = self.view(first, summed, rows), self.view(second, summed, columns)
        if rows and plain_first and plain_second and not plain_first.transposed and not plain_second.transposed:
            return [Outer(number, plain_first, plain_second, out, adding)]
        left, matrix = self.view(first, rows, summed), self.view(second, summed, columns)
        if left is None or matrix is None or matrix.rows > 1 or (left.transposed and left.rows > 1):
            return None
        if not rows and not (self.is_complete(matrix) and fixed):
            return None  # packing a matrix for a single row costs more than it saves
        packing = self.pack(number, matrix, summed, columns)
        panels = self.packed[matrix]
        return [*packing, Multiply(number, left, panels, out, adding)]

    def is_complete(self, matrix: View) -> bool:
        """True if ``matrix`` is the same, and known, before the statement being made and all loops around it."""
        moves = any(isinstance(place, sp.Expr) and place.free_symbols - _sizes(place) for place in matrix.places)
        return not moves and matrix.name not in self.making

    def pack(self, number: int, matrix: View, summed: list[Range], columns: list[Range]) -> list[Statement]:
        """Packs ``matrix`` once, before everything that uses it, if it is complete by then; else returns the statement that packs it here."""
        if matrix in self.packed:
            return [] if self.is_complete(matrix) else [Pack(number, matrix, self.packed[matrix])]
        stem = f"{matrix.name}_{'transposed_' if matrix.transposed else ''}panels"
        numbered = (stem if count == 1 else f"{stem}_{count}" for count in range(1, 1000))
        panels = next(name for name in numbered if name not in self.panels)
        self.packed[matrix] = panels
        self.panels[panels] = (extent(summed), extent(columns))
        packing: list[Statement] = [Pack(number, matrix, panels)]
        if not self.is_complete(matrix):
            return packing
        self.before += packing
        return []

    def view(self, access: Expression, first: list[Range], second: list[Range]) -> View | None:
        """``access`` as a matrix whose rows are counted by ``first`` and columns by ``second``; None where its storage forbids it."""
        assert isinstance(access, Access)
        array = self.arrays[access.name]
        wanted = {item.index: item for item in (*first, *second)}
        places: list[Integer | tuple[Integer, Integer] | None] = []
        order: list[sp.Symbol] = []
        sizes: list[bool] = []  # whether the axis is whole
        for step, slot in zip(access.superscripts, array.slots, strict=True):
            step = sp.expand(step - slot.lower)
            moving = [symbol for symbol in sp.sympify(step).free_symbols if symbol in wanted]
            if not moving:
                places.append(step)
                continue
            (symbol, *others) = moving
            offset = sp.expand(step - symbol)
            if others or offset.has(symbol):
                return None
            item = wanted[symbol]
            ends = sp.expand(item.lower + offset), sp.expand(item.upper + offset)
            whole = ends == (0, sp.expand(slot.upper - slot.lower))
            places.append(None if whole else ends)
            order.append(symbol)
            sizes.append(whole)
        subscripts = (*([BATCH] if array.batched else []), *access.subscripts)
        extents = (*([BATCH_SIZE] if array.batched else []), *array.shape)
        for place, length in zip(subscripts, extents, strict=True):
            if place not in wanted:
                places.append(place)
                continue
            item = wanted[place]
            whole = item.lower == 0 and sp.expand(item.upper - length + 1) == 0
            if not whole:
                return None
            places.append(None)
            order.append(place)
            sizes.append(True)
        names = [item.index for item in first], [item.index for item in second]
        if order == names[0] + names[1]:
            transposed, lead = False, len(first)
        elif order == names[1] + names[0]:
            transposed, lead = True, len(second)
        else:
            return None
        trail = len(order) - lead
        if trail > 1 or not all(sizes[1:lead]):
            return None
        kept = [place is None or isinstance(place, tuple) for place in places]
        if lead > 1 and kept != sorted(kept):
            return None  # a fixed axis between merged ones
        if transposed and (not first or not second):
            transposed = False
        return View(access.name, tuple(places), max(lead, 1), transposed)


def _sizes(value: Integer) -> set[sp.Symbol]:
    return {symbol for symbol in sp.sympify(value).free_symbols if symbol.is_positive}


def extent(ranges: Iterable[Range]) -> Integer:
    """How many values the indices take together."""
    return sp.Mul(*(sp.expand(item.upper - item.lower + 1) for item in ranges))


def nested(loops: Sequence[Range], body: Sequence[Statement]) -> list[Statement]:
    """``body`` inside the loops, the first outermost."""
    inner = list(body)
    for item in reversed(loops):
        inner = [For(item.index, item.lower, item.upper, tuple(inner))]
    return inner


def guarded(conditions: tuple[Condition, ...], body: list[Statement]) -> list[Statement]:
    return [If(conditions, tuple(body))] if conditions else body


def at_single_steps(part: Part) -> Part:
    """``part`` with the step put in for a superscript that has only one."""
    for item in part.times:
        if sp.expand(sp.sympify(item.upper) - item.lower) == 0:
            change = {item.index: sp.sympify(item.lower)}
            body, target = ast.substitute_indices(part.body, change), ast.substitute_indices(part.target, change)
            assert isinstance(target, Access)
            guard = ast.substitute_indices(ast.Guard(part.conditions, ast.ONE), change)
            assert isinstance(guard, ast.Guard)
            part = replace(
                part,
                target=target,
                times=tuple(renamed(other, change) for other in part.times if other != item),
                entries=tuple(renamed(entry, change) for entry in part.entries),
                sums=tuple(renamed(entry, change) for entry in part.sums),
                conditions=guard.conditions,
                body=body,
            )
    return part


def made(node: Node) -> frozenset[str]:
    """The arrays that ``node`` makes."""
    if isinstance(node, Part):
        return frozenset({node.target.name})
    return frozenset().union(*(made(inner) for inner in node.body))


def lowered(stages: Stages, nodes: Sequence[Node]) -> Plan:
    """Statements for all nodes, packing of matrices before the first node that multiplies by them."""
    state = _Lowering(dict(stages.arrays))
    statements: list[Statement] = []
    for place, node in enumerate(nodes):
        state.before = []
        state.making = frozenset().union(*(made(later) for later in nodes[place:]))
        body = state.nodes([node], ())
        statements += [*state.before, *body]
    return Plan(state.arrays, state.panels, tuple(statements))

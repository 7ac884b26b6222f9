"""Scheduled parts turned into statements: products of matrices where arrays allow it, plain loops everywhere else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.integers import (
    condition_indices,
    extent,
    indices,
    integer,
    replaced_access,
    replaced_conditions,
    replaced_in,
    replaced_range,
    symbols,
)
from kernels.schedule.plan import (
    BATCH,
    Average,
    Conditions,
    For,
    Given,
    If,
    Node,
    Part,
    Plan,
    Ranges,
    Set,
    Stages,
    Statement,
    TimeLoop,
    View,
    Whole,
)
from kernels.schedule.products import Matrices, as_products, nested, zero

TOTAL = Access("total")
"""The local variable in which a sum adds up."""


@dataclass(frozen=True)
class _Lowering:
    matrices: Matrices

    def nodes(self, nodes: Sequence[Node], steps: Ranges) -> list[Statement]:
        """The nodes one after the other; ``steps`` are the time loops around them."""
        statements: list[Statement] = []
        waiting = list(nodes)
        while waiting:
            node = waiting.pop(0)
            if isinstance(node, TimeLoop):
                body = self.nodes(node.body, (*steps, Range(node.index, node.lower, node.upper)))
                statements.append(For(node.index, node.lower, node.upper, tuple(body), node.descending))
                continue
            formula = [node]
            while waiting and isinstance(following := waiting[0], Part) and continues(following, node):
                formula.append(following)
                waiting.pop(0)
            when = bounds.needed(node.when, steps)
            if when is not None:
                statements += tested(when, self.formula(formula, steps))
        return statements

    def formula(self, parts: Sequence[Part], steps: Ranges) -> list[Statement]:
        """Parts that add up to one target; an if and an else where each applies on one side of one condition."""
        tests = [now(part, steps) for part in parts]
        possible = [(part, test) for part, test in zip(parts, tests, strict=True) if test is not None]
        if not possible:
            return [] if parts[0].adding else self.zero(parts[0], steps)
        (first, test), *_ = possible
        possible[0] = replace(first, adding=parts[0].adding), test
        otherwise = [other for _, other in possible if other != test]
        if not test or parts[0].adding or not all(bounds.are_opposite(test, other, steps) for other in otherwise):
            return [statement for part, test in possible for statement in self.conditional(part, test, steps)]
        sides: dict[bool, list[Statement]] = {True: [], False: []}
        for part, other in possible:
            side = sides[other == test]
            side += self.part(replace(part, adding=bool(side)), steps)
        return [If(test, tuple(sides[True]), tuple(sides[False] or self.zero(first, steps)))]

    def conditional(self, part: Part, test: Conditions, steps: Ranges) -> list[Statement]:
        """The part where ``test`` holds; elsewhere zero, or what was there before."""
        body = self.part(part, steps)
        otherwise = [] if part.adding else self.zero(part, steps)
        return [If(test, tuple(body), tuple(otherwise))] if test else body

    def zero(self, part: Part, steps: Ranges) -> list[Statement]:
        return zero(at_single_steps(at_current_steps(part, steps)), self.matrices)

    # One part ---------------------------------------------------------------------------------------------------------

    def part(self, part: Part, steps: Ranges) -> list[Statement]:
        """What to do at steps where the part applies; conditions on free indices become their ranges."""
        current = {item.index for item in steps}
        free = at_single_steps(at_current_steps(part, steps))
        free = replace(free, conditions=tuple(c for c in free.conditions if not condition_indices(c) <= current))
        cut = narrowed(free, steps)
        body: list[Statement] = []
        if not part.adding and (cut.conditions or cut.loops != free.loops):
            body += zero(free, self.matrices)
            cut = replace(cut, adding=bool(cut.conditions))
        body += as_products(cut, self.matrices, bool(steps)) or self.nest(cut)
        if part.average:
            body.append(Average(part.number, self.whole_view(free.target)))
        return body

    def nest(self, part: Part) -> list[Statement]:
        """Loops over everything: sums innermost into a local total, or outermost where memory runs along rows."""
        if isinstance(part.body, ast.Call):
            return self.whole(part, part.body)
        if part.unless:
            return self.start(part)
        loops, sums = self.matrices.loops(part)
        if not sums:
            return nested(loops, tested(part.conditions, [Set(part.number, part.target, part.body, part.adding)]))
        if runs_along_rows(part, sums):
            cleared = [] if part.adding else zero(part, self.matrices)
            return cleared + nested(
                [*sums, *loops], tested(part.conditions, [Set(part.number, part.target, part.body, adding=True)])
            )
        add = tested(part.conditions, [Set(part.number, TOTAL, part.body, adding=True)])
        total = [Set(part.number, TOTAL, ast.ZERO), *nested(sums, add)]
        return nested(loops, [*total, Set(part.number, part.target, TOTAL, part.adding)])

    def start(self, part: Part) -> list[Statement]:
        """The start that the caller gave, or else its default."""
        at = tuple(step for step in part.target.superscripts if symbols(step))
        given = Access(part.unless, at, part.target.subscripts)
        copy, default = (self.nest(replace(part, unless="", body=body)) for body in (given, part.body))
        return [If((Given(part.unless),), tuple(copy), tuple(default))]

    def whole(self, part: Part, call: ast.Call) -> list[Statement]:
        """A function of a whole row of numbers, at every step and for every sequence."""
        (argument,) = call.arguments
        loops, _ = self.matrices.loops(part)
        scalar = not self.matrices.arrays[part.target.name].shape
        out = part.target if scalar else self.whole_view(part.target)
        return nested(
            loops, tested(part.conditions, [Whole(part.number, call.function, self.whole_view(argument), out)])
        )

    def whole_view(self, access: Expression) -> View:
        """The array at its superscripts and the current sequence."""
        assert isinstance(access, Access)
        array = self.matrices.arrays[access.name]
        slots = (integer(step - slot.lower) for step, slot in zip(access.superscripts, array.slots, strict=True))
        return View(access.name, (*slots, *([BATCH] if array.batched else []), *(None for _ in array.shape)))


def continues(part: Part, first: Part) -> bool:
    """True if ``part`` adds to the same entries that ``first`` makes."""
    return part.adding and part.target == first.target


def now(part: Part, steps: Ranges) -> Conditions | None:
    """The conditions of ``part`` that the current steps decide; None if they never hold."""
    current = {item.index for item in steps}
    return bounds.needed((c for c in part.conditions if condition_indices(c) <= current), steps)


def tested(conditions: Conditions, body: list[Statement]) -> list[Statement]:
    """``body`` where the conditions hold."""
    return [If(conditions, tuple(body))] if conditions else body


def runs_along_rows(part: Part, sums: Sequence[Range]) -> bool:
    """True if the last index of the target is also the last of something read, and no summed index is."""
    last = [node.subscripts[-1] for node in ast.walk(part.body) if isinstance(node, Access) and node.subscripts]
    ends = indices(*(end for item in sums for end in (item.lower, item.upper)))
    return (
        bool(part.entries)
        and part.entries[-1].index in last
        and not any(item.index in last for item in sums)
        and not ends & {item.index for item in part.loops}
    )


def narrowed(part: Part, steps: Ranges) -> Part:
    """``part`` with conditions on one of its indices moved into that index's range."""
    ranges = [*steps, *part.loops, *part.sums]
    left: list[Condition] = []
    for condition in part.conditions:
        for place in reversed(range(len(steps), len(ranges))):
            item = ranges[place]
            ends = bounds.one_sided(condition, item.index, ranges)
            later = {other.index for other in ranges[place + 1 :]}
            if ends is not None and not later & indices(*ends):
                ranges[place] = Range(item.index, *bounds.narrower(item, ends, ranges))
                break
        else:
            left.append(condition)
    own = ranges[len(steps) :]
    times, entries = len(part.times), len(part.entries)
    return replace(
        part,
        times=tuple(own[:times]),
        entries=tuple(own[times : times + entries]),
        sums=tuple(own[times + entries :]),
        conditions=tuple(left),
    )


def at_current_steps(part: Part, steps: Ranges) -> Part:
    """``part`` without ranges of the superscripts that loops around it fix."""
    current = {item.index for item in steps}
    return replace(part, times=tuple(item for item in part.times if item.index not in current))


def at_single_steps(part: Part) -> Part:
    """``part`` with the step put in for each superscript that has only one."""
    for item in part.times:
        if extent(item) != 1:
            continue
        change = {item.index: item.lower}
        part = replace(
            part,
            target=replaced_access(part.target, change),
            times=tuple(replaced_range(other, change) for other in part.times if other != item),
            entries=tuple(replaced_range(entry, change) for entry in part.entries),
            sums=tuple(replaced_range(entry, change) for entry in part.sums),
            conditions=replaced_conditions(part.conditions, change),
            body=replaced_in(part.body, change),
        )
    return part


def made(node: Node) -> frozenset[str]:
    """The arrays that ``node`` makes."""
    if isinstance(node, Part):
        return frozenset({node.target.name})
    return frozenset[str]().union(*map(made, node.body))


def lowered(stages: Stages, nodes: Sequence[Node]) -> Plan:
    """Statements for all nodes; a matrix is packed before the first node that multiplies by it, where it can be."""
    matrices = Matrices(dict(stages.arrays))
    statements: list[Statement] = []
    for place, node in enumerate(nodes):
        matrices.before = []
        matrices.making = frozenset[str]().union(*map(made, nodes[place:]))
        body = _Lowering(matrices).nodes([node], ())
        statements += [*matrices.before, *body]
    return Plan(matrices.arrays, matrices.panels, tuple(statements))

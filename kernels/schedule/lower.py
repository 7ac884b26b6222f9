"""Scheduled parts turned into statements: products of matrices where arrays allow it, plain loops everywhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from derive.language.system import Range
from kernels.schedule import bounds, order
from kernels.schedule.contractions import contractions
from kernels.schedule.integers import (
    condition_indices,
    extent,
    indices,
    replaced_access,
    replaced_conditions,
    replaced_in,
    replaced_range,
)
from kernels.schedule.loops import loops, tested, whole_view
from kernels.schedule.maxima import maxima
from kernels.schedule.plan import (
    Average,
    Conditions,
    For,
    If,
    Node,
    Part,
    Plan,
    Ranges,
    Stages,
    Statement,
    TimeLoop,
)
from kernels.schedule.products import Matrices, matrix_products, zero

Lowering = Callable[[Part, Ranges, Matrices], list[Statement] | None]

LOWERINGS: tuple[Lowering, ...] = (maxima, matrix_products, contractions, loops)
"""How one part becomes statements, tried in this order; a row answers None for what it does not do.

``lowering(part, steps, matrices)`` carries out ``part`` inside the time loops ``steps``. The part still has its
conditions and whole ranges (``products.narrowed`` moves what it can into ranges of slope 1), except for conditions on
the steps alone, which are tested around it. Unless the part adds, every entry of its target has to be written, zero
where no term applies; the batch is an axis of target and operands that no subscript mentions (``matrices.loops``,
``matrices.arrays``). Averages are taken afterwards. A product may have affine subscripts, ``x[e, s*i + d*a - p]``: they
are not copied anywhere. To add a row, write such a function in a module of its own and put it before ``loops``, which
never answers None.
"""


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
        """What to do at steps where the part applies, by the first row of LOWERINGS that can."""
        current = {item.index for item in steps}
        free = at_single_steps(at_current_steps(part, steps))
        free = replace(free, conditions=tuple(c for c in free.conditions if not condition_indices(c) <= current))
        body = next(found for row in LOWERINGS if (found := row(free, steps, self.matrices)) is not None)
        if not part.average:
            return body
        view = whole_view(free.target, self.matrices)
        all_steps = {item.index for item in free.times}  # made at once, and divided at once
        places = tuple(None if place is None or indices(place) & all_steps else place for place in view.places)
        return [*body, Average(part.number, replace(view, places=places))]


def continues(part: Part, first: Part) -> bool:
    """True if ``part`` adds to the same entries that ``first`` makes."""
    return part.adding and part.target == first.target


def now(part: Part, steps: Ranges) -> Conditions | None:
    """The conditions of ``part`` that the current steps decide; None if they never hold."""
    current = {item.index for item in steps}
    return bounds.needed((c for c in part.conditions if condition_indices(c) <= current), steps)


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
        return frozenset(order.made(node))
    return frozenset[str]().union(*map(made, node.body))


def lowered(stages: Stages, nodes: Sequence[Node]) -> Plan:
    """Statements for all nodes; a matrix is packed before the first node that multiplies by it, where it can be."""
    matrices = Matrices(dict(stages.arrays), sizes=stages.sizes)
    statements: list[Statement] = []
    for place, node in enumerate(nodes):
        matrices.before = []
        matrices.making = frozenset[str]().union(*map(made, nodes[place:]))
        body = _Lowering(matrices).nodes([node], ())
        statements += [*matrices.before, *body]
    return Plan(matrices.arrays, matrices.panels, tuple(statements), contractions=matrices.contractions)

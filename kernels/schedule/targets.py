"""The left side of an equation: plain indices as superscripts, and the ranges over which they run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation, Range
from kernels.errors import CannotCompile
from kernels.schedule import bounds
from kernels.schedule.entries import Names
from kernels.schedule.integers import integer, replaced, replaced_in, symbols
from kernels.schedule.plan import Ranges


@dataclass(frozen=True)
class Target:
    """What parts of one equation make: the access, and the ranges of its superscripts and of its subscripts."""

    access: Access
    times: Ranges
    entries: Ranges

    @property
    def scope(self) -> Ranges:
        return self.times + self.entries


def boxed(item: Range, scope: Sequence[Range]) -> Range:
    """``item`` with ends free of other indices, wide enough for all of these."""
    outer = list(scope[: scope.index(item)])
    lower, upper = bounds.extreme(item.lower, outer, -1), bounds.extreme(item.upper, outer, 1)
    if lower is None or upper is None:
        raise CannotCompile(f"no bounds are known for {item.index} = {item.lower} … {item.upper}")
    return Range(item.index, lower, upper)


def normal(equation: Equation, names: Names) -> tuple[Access, Ranges, Ranges, Expression]:
    """The equation with plain different superscripts: its target, their ranges, the other ranges, its value."""
    target, value = equation.target, equation.value
    ranges = {item.index: item for item in equation.ranges}
    superscripts = list(target.superscripts)
    times: list[Range] = []
    for position, step in enumerate(superscripts):
        if isinstance(step, sp.Symbol) and step in ranges:
            times.append(ranges.pop(step))
            continue
        used = [symbol for symbol in ranges if symbol in symbols(step)]
        slope = sp.diff(step, used[0]) if len(used) == 1 else None
        index = names.index()
        superscripts[position] = index
        if slope is None or not slope.is_Integer:  # a fixed step, or an index met before
            times.append(Range(index, step, step))
            continue
        item = ranges.pop(used[0])
        ends = [integer(replaced(step, {item.index: end})) for end in (item.lower, item.upper)]
        times.append(Range(index, *(ends if slope > 0 else ends[::-1])))
        inverse = {item.index: integer((index - replaced(step, {item.index: sp.Integer(0)})) / slope)}
        value = replaced_in(value, inverse)
        if abs(slope) != 1:
            value = ast.Guard((ast.Divides(abs(slope), index - ends[0]),), value)
        superscripts[position + 1 :] = [replaced(later, inverse) for later in superscripts[position + 1 :]]
    return replace(target, superscripts=tuple(superscripts)), tuple(times), tuple(ranges.values()), value

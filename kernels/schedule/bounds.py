"""What follows from the ranges of indices: extremes of integers, and conditions that always or never hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Condition, Divides, Expression, Integer, Within
from derive.language.system import Range
from kernels.schedule.integers import integer, replaced, undivided_condition

Ends = tuple[Integer, Integer]


def extreme(value: Integer, ranges: Sequence[Range], sign: int) -> Integer | None:
    """The largest (sign 1) or smallest (sign -1) ``value`` over these ranges, inner ones last; None if unknown.

    >>> t, T = sp.Symbol("t", integer=True), sp.Symbol("T", integer=True, positive=True)
    >>> extreme(T - t, [Range(t, sp.Integer(1), T)], 1)
    T - 1
    """
    value = integer(value)
    for item in reversed(ranges):
        slope = sp.diff(value, item.index)
        if slope == 0:
            continue
        if slope.has(item.index) or not (slope.is_positive or slope.is_negative):
            return None
        at_upper = bool(slope.is_positive) == (sign > 0)
        value = integer(replaced(value, {item.index: item.upper if at_upper else item.lower}))
    return value


def at_least(value: Integer, bound: Integer | int, ranges: Sequence[Range]) -> bool:
    """True only if value ≥ bound is certain."""
    if bound == -sp.oo:
        return True
    of_indices = [item for item in ranges if not item.index.is_positive]
    smallest = extreme(integer(value - bound), of_indices, -1)
    if smallest is not None and not smallest.is_nonnegative:  # what derived sizes are made of may decide
        smallest = extreme(smallest, [item for item in ranges if item.index.is_positive], -1)
    return smallest is not None and bool(smallest.is_nonnegative)


def of_sizes(derived: Iterable[tuple[sp.Symbol, Integer]]) -> list[Range]:
    """Between what the derived sizes are, where they are sums of whole quotients: (n - d + 1)/d ≤ ⌊n/d⌋ ≤ n/d.

    >>> O, H = sp.symbols("O H", integer=True, positive=True)
    >>> of_sizes([(O, sp.floor(H / 2) + 1)])
    [Range(index=O, lower=H/2 + 1/2, upper=H/2 + 1)]
    """
    found: list[Range] = []
    for size, value in derived:
        quotients = sorted(value.atoms(sp.floor), key=str)
        if value.has(sp.Min, sp.Max, sp.ceiling, sp.Mod) or any(
            not sp.diff(value.xreplace({q: size}), size).is_positive for q in quotients
        ):
            continue
        upper = {quotient: quotient.args[0] for quotient in quotients}
        lower = {q: q.args[0] - 1 + 1 / cast("sp.Expr", q.args[0]).as_numer_denom()[1] for q in quotients}
        found.append(Range(size, integer(value.xreplace(lower)), integer(value.xreplace(upper))))
    return found


def at_most(value: Integer, bound: Integer | int, ranges: Sequence[Range]) -> bool:
    """True only if value ≤ bound is certain."""
    return at_least(-value, -bound, ranges)


def holds(condition: Condition, ranges: Sequence[Range]) -> bool | None:
    """True or False where certain for all indices in their ranges, else None."""
    match condition:
        case Within(value=value, lower=lower, upper=upper):
            if at_least(value, lower, ranges) and at_most(value, upper, ranges):
                return True
            never = at_most(value, lower - 1, ranges) or at_least(value, upper + 1, ranges)
            return False if never else None
        case Divides(divisor=divisor, value=value):
            remainder = sp.Mod(value, divisor)
            return bool(remainder == 0) if remainder.is_Integer else None


def needed(conditions: Iterable[Condition], ranges: Sequence[Range]) -> tuple[Condition, ...] | None:
    """The conditions that are not certain, each once and open on a side that is; None if one never holds."""
    kept: list[Condition] = []
    for condition in conditions:
        certain = holds(condition, ranges)
        if certain is False:
            return None
        if certain is None:
            kept.append(simplest(condition, ranges))
    return tuple(dict.fromkeys(kept))


def settled(value: Expression, ranges: Sequence[Range]) -> Expression:
    """``value`` without the conditions inside it that are certain for all indices in their ranges, outside of sums."""
    if isinstance(value, ast.Sum | ast.LogSumExp | ast.Maximum | ast.Share):
        return value
    value = ast.map_children(lambda child: settled(child, ranges), value)
    if not isinstance(value, ast.Guard):
        return value
    left = needed(map(undivided_condition, value.conditions), ranges)
    return ast.ZERO if left is None else replace(value, conditions=left) if left else value.body


def simplest(condition: Condition, ranges: Sequence[Range]) -> Condition:
    """The same condition on the index itself where it stands alone, and open (±∞) on a side that is certain."""
    if not isinstance(condition, Within):
        return condition
    for item in reversed(ranges):
        ends = one_sided(condition, item.index, ranges)
        if ends is not None and condition.value != item.index and ends[0] != ends[1]:
            condition = Within(item.index, *ends)
            break
    if condition.lower == condition.upper:
        return condition
    lower = -sp.oo if at_least(condition.value, condition.lower, ranges) else condition.lower
    upper = sp.oo if at_most(condition.value, condition.upper, ranges) else condition.upper
    return Within(condition.value, lower, upper)


def one_sided(condition: Condition, index: sp.Symbol, ranges: Sequence[Range]) -> Ends | None:
    """The ends that a Within sets to ``index``, its own range's where these are narrower; None if it is not simple."""
    own = next((item for item in ranges if item.index == index), None)
    if own is None or not isinstance(condition, Within):
        return None
    slope = sp.diff(condition.value, index)
    rest = integer(condition.value - slope * index)
    if slope not in (1, -1) or rest.has(index):
        return None
    ends = integer(slope * (condition.lower - rest)), integer(slope * (condition.upper - rest))
    first, last = ends if slope == 1 else ends[::-1]
    others = [item for item in ranges if item.index != index]
    first = own.lower if at_least(own.lower, first, others) else first
    last = own.upper if at_most(own.upper, last, others) else last
    return first, last


def narrower(item: Range, ends: Ends, ranges: Sequence[Range]) -> Ends:
    """The ends of ``item`` and these ends, whichever are narrower."""
    lower = ends[0] if at_least(ends[0], item.lower, ranges) else sp.Max(ends[0], item.lower)
    upper = ends[1] if at_most(ends[1], item.upper, ranges) else sp.Min(ends[1], item.upper)
    return cast("Ends", (lower, upper))


def are_opposite(one: Sequence[Condition], other: Sequence[Condition], ranges: Sequence[Range]) -> bool:
    """True only if, whatever the indices, exactly one of the two holds."""
    if len(one) != 1 or len(other) != 1:
        return False
    for item in ranges:
        ends = [one_sided(condition, item.index, ranges) for condition in (one[0], other[0])]
        if None not in ends:
            below, above = sorted(cast("list[Ends]", ends), key=lambda pair: pair[0] != item.lower)
            return below[0] == item.lower and above[1] == item.upper and integer(above[0] - below[1]) == 1
    return False

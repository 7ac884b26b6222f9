"""What follows from index ranges: the extremes of an integer expression, and conditions that always or never hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import sympy as sp

from derive.language.expression import Condition, Divides, Integer, Within
from derive.language.system import Range


def extreme(value: Integer, ranges: Sequence[Range], sign: int) -> Integer | None:
    """The largest (sign 1) or smallest (sign -1) ``value`` while each index stays in its range, inner ranges last; None if unknown."""
    value = sp.expand(value)
    for item in reversed(ranges):
        slope = sp.diff(value, item.index)
        if slope == 0:
            continue
        if slope.has(item.index) or not (slope.is_positive or slope.is_negative):
            return None
        at_upper = bool(slope.is_positive) == (sign > 0)
        value = sp.expand(value.xreplace({item.index: sp.sympify(item.upper if at_upper else item.lower)}))
    return value


def at_least(value: Integer, bound: Integer | int, ranges: Sequence[Range]) -> bool:
    """True only if value ≥ bound is certain."""
    if bound == -sp.oo:
        return True
    smallest = extreme(sp.sympify(value) - bound, ranges, -1)
    return smallest is not None and bool(smallest.is_nonnegative)


def at_most(value: Integer, bound: Integer | int, ranges: Sequence[Range]) -> bool:
    """True only if value ≤ bound is certain."""
    return at_least(-sp.sympify(value), -sp.sympify(bound), ranges)


def holds(condition: Condition, ranges: Sequence[Range]) -> bool | None:
    """True or False where certain for all indices in their ranges, else None."""
    match condition:
        case Within(value=value, lower=lower, upper=upper):
            if at_least(value, lower, ranges) and at_most(value, upper, ranges):
                return True
            never = at_most(value, sp.sympify(lower) - 1, ranges) or at_least(value, sp.sympify(upper) + 1, ranges)
            return False if never else None
        case Divides(divisor=divisor, value=value):
            remainder = sp.Mod(value, divisor)
            return bool(remainder == 0) if remainder.is_Integer else None


def simplest(condition: Condition, ranges: Sequence[Range]) -> Condition:
    """The same condition, open on a side that is certain."""
    if not isinstance(condition, Within):
        return condition
    for item in reversed(ranges):
        ends = one_sided(condition, item.index, ranges)
        if ends is not None and condition.value != item.index and sp.expand(ends[0] - ends[1]) != 0:
            condition = Within(item.index, *ends)
            break
    lower = -sp.oo if at_least(condition.value, condition.lower, ranges) else condition.lower
    upper = sp.oo if at_most(condition.value, condition.upper, ranges) else condition.upper
    if condition.lower == condition.upper:
        return condition
    return Within(condition.value, lower, upper)


def are_opposite(one: Sequence[Condition], other: Sequence[Condition], ranges: Sequence[Range]) -> bool:
    """True if exactly one of the two holds, whatever the indices."""
    if len(one) != 1 or len(other) != 1:
        return False
    for item in ranges:
        first, second = one_sided(one[0], item.index, ranges), one_sided(other[0], item.index, ranges)
        if first is None or second is None:
            continue
        (first, second) = (first, second) if first[0] == item.lower else (second, first)
        meet = sp.expand(second[0] - first[1]) == 1
        return bool(first[0] == item.lower and second[1] == item.upper and meet)
    return False


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


def one_sided(condition: Condition, index: sp.Symbol, ranges: Sequence[Range]) -> tuple[Integer, Integer] | None:
    """The bounds (first, last) that a Within puts on ``index``, where it stands with coefficient ±1; within the index's own range."""
    own = next((item for item in ranges if item.index == index), None)
    if own is None or not isinstance(condition, Within):
        return None
    slope = sp.diff(condition.value, index)
    if slope not in (1, -1):
        return None
    rest = sp.expand(condition.value - slope * index)
    if rest.has(index):
        return None
    ends = (sp.expand(slope * (condition.lower - rest)), sp.expand(slope * (condition.upper - rest)))  # may be infinite
    first, last = ends if slope == 1 else ends[::-1]
    outer = [item for item in ranges if item.index != index]
    first = own.lower if at_least(own.lower, first, outer) else first
    last = own.upper if at_most(own.upper, last, outer) else last
    return first, last

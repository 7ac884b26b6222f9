"""Where a part applies, for loops: conditions as integers that must not be negative, and the bounds that follow.

    0 ≤ s i + d a − p ≤ H − 1   is   ⌈(p − d a)/s⌉ ≤ i ≤ ⌊(H − 1 + p − d a)/s⌋   where the loop over i is the inner one
    [s | m + p − d a]           is   m = s n − p + d a   with the quotient n as the index, exact for all s and d

Whichever index of a condition has the innermost loop gets it as a bound, so that no loop inside tests or divides. Only
what has no known sign, or a divisibility without an index of slope ±1, stays a test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Divides, Expression, Integer, Within
from derive.language.system import Range
from kernels.schedule import bounds
from kernels.schedule.integers import (
    condition_indices,
    indices,
    integer,
    replaced,
    replaced_conditions,
    replaced_in,
    undivided,
    undivided_condition,
)
from kernels.schedule.plan import Conditions, Part

ANYWHERE = (-sp.oo, sp.oo)


@dataclass(frozen=True)
class Domain:
    """target (=|+=) Σ over ``sums`` of body for ``kept``, where no integer in ``above`` is negative and ``tests`` hold.

    The range of a quotient is ANYWHERE: what bounds it is in ``above``. ``known`` are the ranges of all other indices,
    those of the time loops among them.
    """

    target: Access
    body: Expression
    kept: tuple[Range, ...]
    sums: tuple[Range, ...]
    above: tuple[Integer, ...]
    tests: Conditions
    known: tuple[Range, ...]


def domain(
    part: Part, kept: Sequence[Range], sums: Sequence[Range], steps: Sequence[Range], sizes: Sequence[Range] = ()
) -> Domain:
    """The domain of ``part`` whose loops, the batch among them, run over ``kept`` and ``sums`` inside ``steps``.

    ``sizes`` are the ranges of derived sizes.
    """
    known = (*sizes, *steps, *kept, *sums)
    found = Domain(part.target, part.body, tuple(kept), tuple(sums), (), (), known)
    for condition in part.conditions:
        if isinstance(condition, Within):
            found = replace(found, above=(*found.above, *above(condition)))
        else:
            found = replace(found, tests=(*found.tests, condition))
    return without_certain(found)


def without_certain(found: Domain) -> Domain:
    """``found`` without integers that are never negative, each other one once."""
    uncertain = (value for value in found.above if not bounds.at_least(value, 0, found.known))
    return replace(found, above=tuple(dict.fromkeys(uncertain)))


def without_divisions(found: Domain) -> Domain:
    """``found`` with quotients as indices instead of divisibilities, where it can be."""
    divisions = [test for test in found.tests if isinstance(test, Divides)]
    found = replace(found, tests=tuple(test for test in found.tests if not isinstance(test, Divides)))
    for division in divisions:
        found = divided(found, division)
    return without_certain(found)


def above(condition: Within) -> Iterable[Integer]:
    """The integers that are not negative where ``condition`` holds."""
    if condition.lower != -sp.oo:
        yield whole(condition.value - condition.lower)
    if condition.upper != sp.oo:
        yield whole(condition.upper - condition.value)


def whole(value: Integer) -> Integer:
    """``value`` times its denominator, where that is certainly positive."""
    numerator, denominator = cast("sp.Expr", sp.together(integer(value))).as_numer_denom()
    return integer(numerator) if denominator.is_positive else integer(value)


def divided(old: Domain, division: Divides) -> Domain:
    """``old`` with an index of slope ±1 in ``division`` replaced by the quotient; a test if there is none.

    A kept index is preferred: then every value read goes to the entries that it reaches, in rows.
    """
    for item in (*reversed(old.kept), *reversed(old.sums)):
        slope = sp.diff(division.value, item.index)
        if slope not in (1, -1) or (item.lower, item.upper) == ANYWHERE:
            continue
        quotient = sp.Symbol(f"_{item.index.name} over {division.divisor}", integer=True)
        rest = integer(division.value - slope * item.index)
        change = {item.index: integer(slope * (division.divisor * quotient - rest))}
        ends = item.index - item.lower, item.upper - item.index

        def renamed(ranges: Sequence[Range], item: Range = item, quotient: sp.Symbol = quotient) -> tuple[Range, ...]:
            return tuple(Range(quotient, *ANYWHERE) if other == item else other for other in ranges)

        return Domain(
            cast("Access", collected(replaced_in(old.target, change))),
            collected(replaced_in(old.body, change)),
            renamed(old.kept),
            renamed(old.sums),
            tuple(integer(replaced(value, change)) for value in (*old.above, *ends)),
            replaced_conditions(old.tests, change),
            old.known,
        )
    return replace(old, tests=(*old.tests, division))


def collected(value: Expression) -> Expression:
    """``value`` with the terms of every subscript and condition collected: (s n − p)/s + p/s is n."""
    if isinstance(value, ast.Guard):
        value = replace(value, conditions=tuple(map(undivided_condition, value.conditions)))
    if not isinstance(value, Access):
        return ast.map_children(collected, value)
    superscripts, subscripts = (tuple(map(undivided, places)) for places in (value.superscripts, value.subscripts))
    return replace(value, superscripts=superscripts, subscripts=subscripts)


# Bounds of one loop ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bounds:
    """index = lower … upper, and what has to be tested in the loop."""

    index: sp.Symbol
    lower: Integer
    upper: Integer
    tests: Conditions


def loop_bounds(found: Domain, order: Sequence[Range]) -> list[Bounds]:
    """For each loop of ``order``, the first outermost, its own range cut by the conditions that it decides."""
    place = {item.index: number for number, item in enumerate(order)}
    last = {value: max((place.get(i, -1) for i in indices(value)), default=-1) for value in found.above}
    tested = {test: max(place.get(i, -1) for i in condition_indices(test)) for test in found.tests}
    result: list[Bounds] = []
    for number, item in enumerate(order):
        values = [value for value, at in last.items() if max(at, 0) == number]
        tests = [test for test, at in tested.items() if max(at, 0) == number]
        result.append(bounded(item, values, tests, found, {other.index for other in order[number:]}))
    return result


def bounded(
    item: Range, values: Sequence[Integer], tests: Iterable[Divides | Within], found: Domain, inner: set[sp.Symbol]
) -> Bounds:
    """The bounds of ``item`` where no value is negative; an own end stays unless another is certainly narrower."""
    lower: list[Integer] = []
    upper: list[Integer] = []
    own = {"lower": item.lower, "upper": item.upper}
    left = list(tests)
    for value in values:
        slope = sp.diff(value, item.index)
        rest = integer(value - slope * item.index)
        if slope.is_positive:
            lower.append(integer(-sp.floor(integer(rest / slope))))
            if item.lower != -sp.oo and bounds.at_most(slope * (item.lower - 1) + rest, -1, found.known):
                own["lower"] = -sp.oo
        elif slope.is_negative:
            upper.append(integer(sp.floor(integer(-rest / slope))))
            if item.upper != sp.oo and bounds.at_most(slope * (item.upper + 1) + rest, -1, found.known):
                own["upper"] = sp.oo
        else:
            left.append(Within(value, sp.Integer(0), sp.oo))
    ends = [
        cast("Integer", choose(*dict.fromkeys(value for value in (*found_ends, own[side]) if value not in ANYWHERE)))
        for side, choose, found_ends in (("lower", sp.Max, lower), ("upper", sp.Min, upper))
    ]
    ends = [widest(end, item, side, found, inner) for end, side in zip(ends, (-1, 1), strict=True)]
    return Bounds(item.index, ends[0], ends[1], tuple(left))


def widest(end: Integer, item: Range, side: int, found: Domain, inner: set[sp.Symbol]) -> Integer:
    """``end`` if there is one; for a quotient that no outer index bounds, the extreme over everything inside."""
    if end not in ANYWHERE:
        return end
    candidates = []
    for value in found.above:
        slope = sp.diff(value, item.index)
        if not (slope.is_negative if side > 0 else slope.is_positive):
            continue
        rest = bounds.extreme(integer(value - slope * item.index), [r for r in found.known if r.index in inner], 1)
        if rest is not None:
            candidates.append(integer(sp.floor(integer(-rest / slope)) if side > 0 else -sp.floor(rest / slope)))
    assert candidates, f"{item.index} has no bounds"
    return cast("Integer", (sp.Min if side > 0 else sp.Max)(*candidates))

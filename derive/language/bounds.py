"""Every access inside its range: bounds of affine indices, and the mistakes where an access leaves what is defined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import reduce
from typing import cast

import sympy as sp

from derive.language.errors import FutureUse, MissingStart, RangeError
from derive.language.expression import (
    Access,
    Condition,
    Divides,
    Expression,
    Guard,
    Integer,
    Maximum,
    OrderedProduct,
    Sum,
    Within,
    is_size,
    map_children,
)  # fmt: skip
from derive.language.printer import expression_source, integer_source, range_source
from derive.language.system import Declaration, Equation, Program, Range

Bounds = dict[sp.Symbol, tuple[Integer, Integer]]
"""The least and greatest value of each index, outermost index first."""


def least(value: Integer) -> int | None:
    """A lower bound of ``value`` that is reached when all sizes are 1; None where none is seen.

    Each size s from 1 on is written 1 + s'; with no negative coefficient left, the constant is the minimum.
    """
    sizes = [symbol for symbol in value.atoms(sp.Symbol) if symbol.is_positive]
    terms = sp.expand(value.xreplace({symbol: 1 + symbol for symbol in sizes})).as_coefficients_dict()
    # An index that is left over may have any sign.
    if any(
        factor < 0 or not all(is_size(symbol) for symbol in term.free_symbols)
        for term, factor in terms.items()
        if term != 1
    ):
        return None
    if any(term.has(sp.floor, sp.ceiling, sp.Min, sp.Max) or not term.is_polynomial() for term in terms):
        return None
    constant = sp.Integer(terms.get(sp.Integer(1), 0))
    return int(constant)


def surely_negative(value: Integer) -> bool:
    """``value`` < 0 for all sizes."""
    bound = least(-value)
    return bound is not None and bound > 0


def surely_nonnegative(value: Integer) -> bool:
    """``value`` ≥ 0 for all sizes."""
    bound = least(value)
    return bound is not None and bound >= 0


def extremes(value: Integer, bounds: Bounds) -> tuple[Integer, Integer] | None:
    """The least and greatest ``value`` over ``bounds``; None where it is not affine with slopes of known sign."""
    low: Integer | None = value
    high: Integer | None = value
    for symbol, (lower, upper) in reversed(bounds.items()):
        low, high = _end(low, symbol, lower, upper), _end(high, symbol, upper, lower)
    return None if low is None or high is None else (low, high)


def _end(value: Integer | None, symbol: sp.Symbol, rising: Integer, falling: Integer) -> Integer | None:
    """``value`` with ``symbol`` at ``rising`` where it rises with the symbol, at ``falling`` where it falls."""
    if value is None:
        return None
    slope = cast(sp.Expr, sp.expand(value).coeff(symbol))
    rest = sp.expand(value - slope * symbol)
    if rest.has(symbol) or not (slope.is_nonnegative or slope.is_nonpositive):
        return None
    return sp.expand(rest + slope * (rising if slope.is_nonnegative else falling))


@dataclass(frozen=True)
class _Place:
    """Where an access stands: in which equation, within which bounds and conditions."""

    equation: Equation | None
    bounds: Bounds
    conditions: tuple[Condition, ...] = ()
    outside: str = "error"
    facts: tuple[Integer, ...] = ()
    """Numbers that are never negative, from what the sizes count."""
    skipped: dict[Condition, None] | None = None
    """Where an access that leaves its axis does not take part: what it asks for is put here; None: it counts as 0."""

    def inside(self, over: Range) -> _Place:
        return replace(self, bounds={**self.bounds, over.index: (over.lower, over.upper)})

    def under(self, conditions: tuple[Condition, ...]) -> _Place:
        narrowed: Bounds = {
            entry.value: (entry.lower, entry.upper)
            for entry in conditions
            if isinstance(entry, Within) and isinstance(entry.value, sp.Symbol) and entry.value in self.bounds
        }
        return replace(self, bounds={**self.bounds, **narrowed}, conditions=(*self.conditions, *conditions))

    def is_nonnegative(self, value: Integer) -> bool:
        """``value`` ≥ 0 for all sizes, also because of what the sizes count."""
        return any(surely_nonnegative(value - fact) for fact in (sp.Integer(0), *self.facts))


def counted_facts(program: Program) -> tuple[Integer, ...]:
    """For O = number of i with a <= b: b - a at the last i, which is O - 1, is not negative."""
    derived = {symbol.name: symbol for symbol, _ in program.derived}
    return tuple(
        sp.expand((greater - lesser).xreplace({count.index: derived[count.name] - 1}))
        for count in program.counts
        for lesser, greater in count.inequalities
    )


def bounded(program: Program, outside: str) -> Program:
    """``program`` with each access inside its array; ``outside`` says what is beyond an axis.

    error: a mistake; zero: a guarded zero; skipped: the position takes no part, which in a sum is the same as zero.
    """
    declarations = {entry.name: entry for entry in program.declarations}
    given: dict[str, set[Integer]] = {name: set() for name in declarations}
    for start in program.starts:
        given[start.access.name] |= set(start.access.superscripts[:1])

    def visit(node: Expression, place: _Place) -> Expression:
        match node:
            case Sum(index=bound, lower=lower, upper=upper, body=body):
                # What a sum inside a maximum skips depends on the index of the sum, and counts as zero there.
                inner = replace(place.inside(Range(bound, lower, upper)), skipped=None)
                return replace(node, body=visit(body, inner))
            case Maximum(ranges=ranges, body=body, conditions=conditions):
                skipped: dict[Condition, None] = {}
                inner = reduce(_Place.inside, ranges, replace(place, skipped=skipped)).under(conditions)
                body = visit(body, inner)
                return replace(node, body=body, conditions=tuple(dict.fromkeys((*conditions, *skipped))))
            case OrderedProduct(index=bound, first=start, last=last, body=body, descending=descending):
                lower, upper = (last, start) if descending else (start, last)
                return replace(node, body=visit(body, place.inside(Range(bound, lower, upper))))
            case Guard(conditions=conditions, body=body):
                inner = visit(body, place.under(conditions))
                if isinstance(inner, Guard):
                    return replace(node, conditions=(*conditions, *inner.conditions), body=inner.body)
                return replace(node, body=inner)
            case Access():
                declaration = declarations[node.name]
                _check_superscripts(node, declaration, given[node.name], place)
                return _checked_subscripts(node, declaration, place)
            case _:
                return map_children(lambda child: visit(child, place), node)

    equations: list[Equation] = []
    facts = counted_facts(program)
    for equation in program.equations:
        bounds = {over.index: (over.lower, over.upper) for over in equation.ranges}
        place = _Place(equation, bounds, outside=outside, facts=facts)
        equations.append(replace(equation, value=visit(equation.value, place)))
    for start in program.starts:
        if start.value is not None:
            visit(start.value, _Place(None, {}))
    return replace(program, equations=tuple(equations))


def _check_superscripts(node: Access, declaration: Declaration, given: set[Integer], place: _Place) -> None:
    if declaration.zero_outside:
        return
    for value, over in zip(node.superscripts, declaration.superscripts, strict=True):
        ends = extremes(value, place.bounds)
        if ends is None:
            continue
        low, high = ends
        first = over.lower
        while first - 1 in given:
            first = first - 1
        if surely_negative(low - first):
            raise _too_early(node, declaration, over, low, place, given)
        if surely_negative(over.upper - high):
            raise _too_late(node, declaration, over, high, place)


def _target(place: _Place) -> str:
    return expression_source(place.equation.target) if place.equation else "This start"


def _shown(node: Access, value: Integer) -> str:
    return expression_source(Access(node.name, (value,)))


def _too_early(
    node: Access, declaration: Declaration, over: Range, low: Integer, place: _Place, given: set[Integer]
) -> RangeError | MissingStart:
    written, needed = expression_source(node), _shown(node, low)
    if declaration.role != "defined":
        wider = range_source(replace(over, lower=low))
        repair = f"Give {node.name}^{over.index} for {wider}, or let the loop begin later."
        message = f"{_target(place)} needs {needed}, and {node.name} is given for {range_source(over)}."
        return RangeError(message, node.span, repair)
    first = " in its first step" if place.bounds else ""
    message = f"{_target(place)} uses {written}, so{first} it needs {needed}, which no equation defines."
    count = over.lower - low
    steps = range(int(count)) if count.is_Integer and count < 6 else range(1)
    missing = [low + step for step in steps if low + step not in given]
    values = ", ".join(f"{_shown(node, step)} = 0" for step in missing)
    return MissingStart(message, node.span, f"Add a line: start {values}")


def _too_late(
    node: Access, declaration: Declaration, over: Range, high: Integer, place: _Place
) -> RangeError | FutureUse:
    needed = _shown(node, high)
    made = "defined" if declaration.role == "defined" else "given"
    there = f"{node.name} is {made} for {range_source(over)}"
    if made == "defined" and place.equation and place.equation.target.superscripts:
        message = f"{_target(place)} uses {expression_source(node)}, a later step, and there is no {needed}: {there}."
        repair = f"Use a step that is known already, such as {_shown(node, over.index - 1)}."
        return FutureUse(message, node.span, repair)
    message = f"{_target(place)} needs {needed}, and {there}."
    return RangeError(message, node.span, f"The last one is {_shown(node, over.upper)}.")


def _checked_subscripts(node: Access, declaration: Declaration, place: _Place) -> Expression:
    conditions: list[Condition] = []
    for value, extent in zip(node.subscripts, declaration.shape, strict=False):
        above, below = sp.fraction(sp.together(value))
        inside = Within(value, sp.Integer(0), extent - 1)
        if below != 1:
            _check_division(node, value, place)
            inside = Within(sp.expand(above), sp.Integer(0), sp.expand(below * (extent - 1)))
        if inside in place.conditions:
            continue
        ends = extremes(value, place.bounds)
        if ends and place.is_nonnegative(ends[0]) and place.is_nonnegative(extent - 1 - ends[1]):
            continue
        if place.outside != "error":
            conditions.append(inside)
        elif ends and (surely_negative(ends[0]) or surely_negative(extent - 1 - ends[1])):
            wrong = ends[0] if surely_negative(ends[0]) else ends[1]
            reach = f"In {expression_source(node)} the index reaches {integer_source(wrong)}"
            message = f"{reach}; it counts from 0 to {integer_source(extent - 1)}."
            raise RangeError(message, node.span, "Change the range, or declare: convention outside is zero")
    if place.outside == "skipped" and place.skipped is not None:
        place.skipped.update(dict.fromkeys(conditions))
        return node
    return Guard(tuple(conditions), node, span=node.span) if conditions else node


def _check_division(node: Access, value: Integer, place: _Place) -> None:
    """Refuse a quotient as subscript where no condition says that it is whole."""
    above, below = sp.fraction(sp.together(value))
    if any(
        isinstance(entry, Divides) and sp.fraction(sp.together(value - entry.value / entry.divisor))[1] == 1
        for entry in place.conditions
    ):
        return
    text = integer_source(sp.expand(above))
    message = f"In {expression_source(node)} the index need not be a whole number."
    raise RangeError(message, node.span, f"Say where it is: [{integer_source(below)} divides {text}] before it.")

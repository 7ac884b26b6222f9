"""Exact contraction: derivatives as sums of products, every Kronecker delta solved over the integers or kept.

A delta is used to fix a summed index only where the solution is exact: with coefficient ±1 always, with another
coefficient c under the condition that c divides the rest. An index of the stage's own output is fixed before one that
the stage sums over, so that ``s i + d a − p = m`` gives the gather form, a sum over the window a. The range of the
index it fixes becomes a condition; conditions that always hold are dropped, those on one summed index become its
bounds.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import sympy as sp

from derive.calculus.affine import denominator_of, difference_of, digits, extreme, is_compound
from derive.calculus.index_notation import Bound, divides, dummy, within
from derive.calculus.symbols import arguments, coefficient_of, limits_of, replaced
from derive.calculus.whole_entries import WholeEntry
from derive.language.expression import Condition, Divides, Integer, Within


@dataclass(frozen=True)
class Term:
    """The product of ``factors`` where all ``conditions`` hold, else zero, summed over ``bounds``."""

    factors: tuple[sp.Expr, ...]
    bounds: tuple[Bound, ...] = ()
    conditions: tuple[Condition, ...] = ()

    def with_index(self, index: sp.Symbol, value: Integer) -> Term:
        """The term at one value of an index that it does not sum."""
        at = {index: value}
        return Term(
            tuple(replaced(factor, at) for factor in self.factors),
            tuple(Bound(b.index, replaced(b.lower, at), replaced(b.upper, at)) for b in self.bounds),
            tuple(_condition_at(condition, at) for condition in self.conditions),
        )


def contracted(
    expression: sp.Expr, bounds: Sequence[Bound], free: Mapping[sp.Symbol, Bound], pinned: Iterable[sp.Symbol] = ()
) -> list[Term]:
    """Σ over ``bounds`` of ``expression`` as terms without a delta that could be solved.

    ``free`` gives the range of each index that is not summed, by which conditions are decided; a delta on one of the
    ``pinned`` ones (superscripts) becomes a condition, so that ``δ(t, T)`` reads "where t = T".
    """
    own = tuple(bound.index for bound in bounds)
    found: list[Term] = []
    for term in expanded(expression):
        parted = _digits_apart(replace(term, bounds=(*bounds, *term.bounds)), free)
        tightened = tighten(_deltas_as_conditions(_eliminated(parted, own), tuple(pinned)), free)
        found += [] if tightened is None else [tightened]
    return found


def scattered(
    expression: sp.Expr, bounds: Sequence[Bound], free: Mapping[sp.Symbol, Bound], pinned: Iterable[sp.Symbol] = ()
) -> list[Term]:
    """The same with every delta of a compound position left as the condition ``s i + d a - p = m``."""
    own = tuple(bound.index for bound in bounds)
    found: list[Term] = []
    for term in expanded(expression):
        parted = _digits_apart(replace(term, bounds=(*bounds, *term.bounds)), free)
        ranges = {**free, **{bound.index: bound for bound in parted.bounds}}
        plain = _eliminated(parted, own, lambda delta, ranges=ranges: not is_compound(delta, ranges))
        kept = [f for f in plain.factors if isinstance(f, sp.KroneckerDelta) and is_compound(f, ranges)]
        positions = {f: position for f in kept if (position := _position(f, free)) is not None}
        rest = replace(plain, factors=tuple(f for f in plain.factors if f not in positions))
        rest = replace(rest, conditions=tuple(_at_position(c, positions.values()) for c in rest.conditions))
        tightened = tighten(_deltas_as_conditions(rest, tuple(pinned)), free)
        if tightened is not None:
            # A position that is a quotient is looked at only where it is a whole number.
            whole = tuple(c for c in tightened.conditions if isinstance(c, Divides))
            others = tuple(c for c in tightened.conditions if c not in whole)
            found.append(replace(tightened, conditions=(*whole, *positions.values(), *others)))
    return found


def _position(delta: sp.Expr, free: Mapping[sp.Symbol, Bound]) -> Within | None:
    """``position = index`` for an index that is not summed."""
    first, second = arguments(delta)
    for position, symbol in ((first, second), (second, first)):
        if symbol in free:
            return Within(position, symbol, symbol)
    difference = difference_of(delta)
    for symbol in free:
        coefficient = coefficient_of(symbol, difference)
        if coefficient in (1, -1):
            return Within(sp.expand(symbol - coefficient * difference), symbol, symbol)
    return None


def _at_position(condition: Condition, positions: Iterable[Within]) -> Condition:
    """A condition on the very position that is equal to an index, as one on that index."""
    if isinstance(condition, Within):
        for position in positions:
            for scale in (sp.Integer(1), denominator_of(position.value)):
                if sp.expand(condition.value - scale * position.value) == 0:
                    return replace(condition, value=scale * position.lower)
    return condition


def _digits_apart(term: Term, free: Mapping[sp.Symbol, Bound]) -> Term:
    ranges = {**free, **{bound.index: bound for bound in term.bounds}}
    parts = (
        [factor] if not isinstance(factor, sp.KroneckerDelta) else digits(factor, ranges) for factor in term.factors
    )
    return replace(term, factors=tuple(part for found in parts for part in found))


def expanded(expression: sp.Expr) -> list[Term]:
    """``expression`` as terms: sums taken apart only where a delta has to be reached, bound indices renamed afresh."""
    match expression:
        case sp.Add() if _has_delta(expression) or all(term.has(WholeEntry) for term in arguments(expression)):
            return [term for part in arguments(expression) for term in expanded(part)]
        case sp.Mul():
            parts = [expanded(factor) for factor in arguments(expression)]
            return [_multiplied(choice) for choice in itertools.product(*parts)]
        case sp.Sum():
            limits = limits_of(expression)[::-1]  # SymPy lists the innermost first
            fresh = {bound: dummy(bound.name) for bound, _, _ in limits}
            bounds = tuple(Bound(fresh[i], replaced(low, fresh), replaced(high, fresh)) for i, low, high in limits)
            inner = expanded(replaced(expression.function, fresh))
            return [replace(term, bounds=(*bounds, *term.bounds)) for term in inner]
        case sp.Pow(base=sp.Function() as base) if base.func in (within, divides) and expression.exp.is_positive:
            return expanded(base)  # 0 or 1: its powers are itself
        case sp.Function() if expression.func == within:
            return [Term((), (), (Within(*arguments(expression)),))]
        case sp.Function() if expression.func == divides:
            return [Term((), (), (Divides(*arguments(expression)),))]
        case _ if expression == 0:
            return []
        case _ if expression == 1:
            return [Term(())]
        case _:
            return [Term((expression,))]


def _multiplied(terms: Iterable[Term]) -> Term:
    chosen = tuple(terms)
    return Term(
        tuple(factor for term in chosen for factor in term.factors),
        tuple(bound for term in chosen for bound in term.bounds),
        tuple(condition for term in chosen for condition in term.conditions),
    )


def _has_delta(expression: sp.Expr) -> bool:
    return expression.has(sp.KroneckerDelta)


def _eliminated(term: Term, own: tuple[sp.Symbol, ...], is_used: Callable[[sp.Expr], bool] = lambda _: True) -> Term:
    """``term`` with each delta that ``is_used`` and fixes a summed index used up, in the order of preference."""
    while True:
        term = replace(term, factors=tuple(factor for factor in term.factors if factor != 1))
        choice = min(_solutions(term, own, is_used), key=lambda solution: solution[0], default=None)
        if choice is None:
            return term
        _, delta, bound, solution, needed = choice
        # A condition on the index is looked at only where the index is a whole number.
        on_index = [c for c in term.conditions if any(getattr(c, f.name).has(bound.index) for f in fields(c))]
        others = [c for c in term.conditions if c not in on_index]
        left = Term(
            tuple(factor for factor in term.factors if factor is not delta),
            tuple(other for other in term.bounds if other is not bound),
            (*others, *needed, *on_index, Within(bound.index, bound.lower, bound.upper)),
        )
        term = left.with_index(bound.index, solution)


def _solutions(
    term: Term, own: tuple[sp.Symbol, ...], is_used: Callable[[sp.Expr], bool]
) -> Iterable[tuple[tuple[int, int], sp.Expr, Bound, Integer, tuple[Condition, ...]]]:
    """Every way to fix a summed index by a delta: (order of preference, delta, index, value, condition).

    Preferred are indices of the stage's output (``own``), among them and among the others coefficients ±1.
    """
    deltas = [factor for factor in term.factors if isinstance(factor, sp.KroneckerDelta) and is_used(factor)]
    for number, (delta, bound) in enumerate(itertools.product(deltas, term.bounds)):
        difference = difference_of(delta)
        coefficient = coefficient_of(bound.index, difference)
        rest = sp.expand(difference - coefficient * bound.index)
        if not coefficient.is_nonzero or rest.has(bound.index):
            continue
        rank = 0 if bound.index in own else 2
        if coefficient in (1, -1):
            yield (rank, number), delta, bound, sp.expand(-rest * coefficient), ()
        elif coefficient.is_positive or coefficient.is_negative:
            divisor, value = (coefficient, -rest) if coefficient.is_positive else (-coefficient, rest)
            yield (rank + 1, number), delta, bound, sp.expand(value / divisor), (Divides(divisor, value),)


def _deltas_as_conditions(term: Term, pinned: tuple[sp.Symbol, ...]) -> Term:
    """A delta that pins a free superscript, such as t = T, becomes the condition T ≤ t ≤ T."""
    factors: list[sp.Expr] = []
    conditions = list(term.conditions)
    for factor in term.factors:
        condition = _pinned(factor, pinned) if isinstance(factor, sp.KroneckerDelta) else None
        if condition is None:
            factors.append(factor)
        else:
            conditions.append(condition)
    return Term(tuple(factors), term.bounds, tuple(conditions))


def _pinned(delta: sp.Expr, pinned: tuple[sp.Symbol, ...]) -> Within | None:
    """The condition that a delta puts on a superscript, or on sizes alone."""
    first, second = arguments(delta)
    if not delta.atoms(sp.Dummy):
        return Within(first, second, second)
    difference = difference_of(delta)
    for symbol in pinned:
        coefficient = coefficient_of(symbol, difference)
        if coefficient in (1, -1):
            position = sp.expand(symbol - coefficient * difference)
            return Within(symbol, position, position)
    return None


def tighten(term: Term, free: Mapping[sp.Symbol, Bound]) -> Term | None:
    """``term`` with each condition decided, made a bound of the index it restricts, or kept; None if one never holds.

    What stays is solved for one index where that is possible: ``t + 1 ≤ T`` on 1 ≤ t ≤ T becomes ``1 ≤ t ≤ T - 1``.
    """
    ranges = {**free, **{bound.index: bound for bound in term.bounds}}
    kept: list[Condition] = []
    for given in term.conditions:
        if isinstance(given, Divides):
            kept += [] if denominator_of(sp.expand(given.value / given.divisor)) == 1 else [given]
            continue
        if given.lower == -sp.oo and given.upper == sp.oo:
            continue
        scale = denominator_of(given.value)
        condition = Within(*(sp.expand(part * scale) for part in (given.value, given.lower, given.upper)))
        slacks = (sp.expand(condition.value - condition.lower), sp.expand(condition.upper - condition.value))
        if any(extreme(slack, ranges, lowest=False).is_negative for slack in slacks):
            return None
        open_ends = [not extreme(slack, ranges, lowest=True).is_nonnegative for slack in slacks]
        if not any(open_ends):
            continue
        solved = _solved_for_one_index(condition, open_ends, ranges)
        if solved is None:
            kept.append(condition)
            continue
        bound = _intersection(ranges[solved.index], solved)
        if bound is None:
            kept.append(Within(solved.index, solved.lower, solved.upper))
        else:
            ranges[solved.index] = bound
    kept += [
        Within(index, ranges[index].lower, ranges[index].upper)
        for index, bound in free.items()
        if ranges[index] != bound
    ]
    return Term(term.factors, tuple(ranges[bound.index] for bound in term.bounds), tuple(kept))


def _solved_for_one_index(
    condition: Within, open_ends: Sequence[bool], ranges: Mapping[sp.Symbol, Bound]
) -> Bound | None:
    """lower ≤ ±s + rest ≤ upper as limits on s, an end that always holds replaced by the end of the range of s."""
    for symbol in reversed(tuple(ranges)):
        coefficient = coefficient_of(symbol, sp.expand(condition.value))
        if coefficient not in (1, -1) or any(sp.sympify(end).has(symbol) for end in (condition.lower, condition.upper)):
            continue
        rest = sp.expand(condition.value - coefficient * symbol)
        low, high = (
            sp.expand(coefficient * (end - rest)) if is_open else None
            for end, is_open in zip((condition.lower, condition.upper), open_ends, strict=True)
        )
        if coefficient == -1:
            low, high = high, low
        bound = ranges[symbol]
        return Bound(symbol, bound.lower if low is None else low, bound.upper if high is None else high)
    return None


def _intersection(bound: Bound, other: Bound) -> Bound | None:
    """The interval common to both, where it is known which limits are the stricter; else None."""
    lower = _greater(bound.lower, other.lower)
    upper = _greater(-bound.upper, -other.upper)
    return None if lower is None or upper is None else Bound(bound.index, lower, sp.expand(-upper))


def _greater(first: Integer, second: Integer) -> Integer | None:
    difference = sp.expand(first - second)
    return first if difference.is_nonnegative else second if difference.is_nonpositive else None


def _condition_at(condition: Condition, values: Mapping[sp.Symbol, Integer]) -> Condition:
    match condition:
        case Within(value=value, lower=lower, upper=upper):
            return Within(*(replaced(part, values) for part in (value, lower, upper)))
        case Divides(divisor=divisor, value=value):
            return Divides(replaced(divisor, values), replaced(value, values))

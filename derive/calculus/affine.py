"""Affine integer expressions: their extremes over ranges of indices, and the equations that Kronecker deltas say."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import sympy as sp

from derive.calculus.index_notation import Bound
from derive.calculus.symbols import arguments, coefficient_of, replaced
from derive.language.expression import Integer


def difference_of(delta: sp.Expr) -> sp.Expr:
    """What is zero where the delta is 1, without denominators."""
    first, second = arguments(delta)
    return sp.expand((first - second) * denominator_of(first - second))


def denominator_of(value: sp.Expr) -> sp.Expr:
    """The common denominator, a positive integer or size; 1 but for quotients that a Divides condition makes exact."""
    if not value.atoms(sp.Pow) and all(number.is_Integer for number in value.atoms(sp.Rational)):
        return sp.Integer(1)
    return cast(sp.Expr, sp.fraction(sp.together(value))[1])


def extreme(value: Integer, ranges: Mapping[sp.Symbol, Bound], *, lowest: bool) -> Integer:
    """The least (greatest) value of an affine expression over the ranges of its indices."""
    for _ in range(len(ranges) + 1):
        inside = [index for index in ranges if value.has(index)]
        if not inside:
            break
        for index in inside:
            coefficient = coefficient_of(index, value)
            downward = coefficient.is_positive if lowest else coefficient.is_negative
            value = sp.expand(replaced(value, {index: ranges[index].lower if downward else ranges[index].upper}))
    return value


def never_negative(value: Integer, ranges: Mapping[sp.Symbol, Bound]) -> bool:
    """The affine expression is at least 0 wherever its indices are in their ranges, for all sizes."""
    return extreme(value, ranges, lowest=True).is_nonnegative is True


def indices_in(value: sp.Expr, indices: Iterable[sp.Symbol]) -> list[sp.Symbol]:
    """Those of ``indices`` that the expression mentions."""
    present = value.free_symbols
    return [index for index in indices if index in present]


def is_compound(delta: sp.Expr, ranges: Mapping[sp.Symbol, Bound]) -> bool:
    """The delta says more than that two indices differ by a constant: ``s i + d a = m``, ``2 i = m``."""
    difference = difference_of(delta)
    inside = indices_in(difference, ranges)
    return len(inside) > 2 or any(coefficient_of(index, difference) not in (1, -1) for index in inside)


def digits(delta: sp.Expr, ranges: Mapping[sp.Symbol, Bound]) -> list[sp.Expr]:
    """A delta between numbers written in digits, as one delta for each digit.

    ``g C + c = g' C + c'`` with c and c' in 0 … C-1 holds only where g = g' and c = c'.
    """
    difference = difference_of(delta)
    coefficients = {index: coefficient_of(index, difference) for index in indices_in(difference, ranges)}
    radices = [value for value in dict.fromkeys(abs(value) for value in coefficients.values()) if value != 1]
    for radix in radices:
        high = {index for index, value in coefficients.items() if denominator_of(sp.cancel(value / radix)) == 1}
        if len(high) < 2 or len(high) == len(coefficients):
            continue
        above = sp.Add(*(coefficients[index] * index for index in high))
        below = sp.expand(difference - above)
        if never_negative(radix - 1 - below, ranges) and never_negative(radix - 1 + below, ranges):
            upper = cast(sp.Expr, sp.KroneckerDelta(sp.expand(sp.cancel(above / radix)), 0))
            return [*digits(upper, ranges), *digits(cast(sp.Expr, sp.KroneckerDelta(below, 0)), ranges)]
    return [delta]

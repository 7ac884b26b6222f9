"""Integer expressions and conditions in the order people write them in: ``t − 1``, ``si + da − p``, ``[t < T]``."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TypeGuard, cast

import sympy as sp

from derive.handout.formula import Fence, Formula, Function, Numeral, Operator, Row, Space, paren, row, sup
from derive.language.expression import Condition, Divides, Integer, is_size
from derive.language.system import Range
from derive.notation.names import letter_or_word, plain_name

_EARLIER_LETTERS = "tgkijlmnrpqsuvwxyzoabcdefh"
"""Output positions are written before offsets in a window: ``si + da``."""


def integer_formula(expression: Integer) -> Formula:
    """An integer expression as people write it: unknowns before constants, positive terms first.

    >>> from derive.handout.plain import plain
    >>> t, i, a = sp.symbols("t i a", integer=True)
    >>> s, p = sp.symbols("s p", integer=True, positive=True)
    >>> plain(integer_formula(t - 1)), plain(integer_formula(1 - t)), plain(integer_formula(s * i + a - p))
    ('t − 1', '1 − t', 's i + a − p')
    """
    terms = sorted(_over_common_denominators(sp.sympify(expression)), key=_term_order)
    if len(terms) > 1 and _is_negative(terms[0]):
        positive = next((term for term in terms if not _is_negative(term)), None)
        if positive is not None:
            terms = [positive, *(term for term in terms if term is not positive)]
    pieces: list[Formula] = []
    for place, term in enumerate(terms):
        negative = _is_negative(term)
        if negative or place:
            pieces.append(Operator("-" if negative else "+"))
        pieces.append(_product(-term if negative else term))
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


def _over_common_denominators(expression: sp.Expr) -> list[sp.Expr]:
    """The terms of a sum, those over one denominator taken together: m/s + p/s is (m + p)/s."""
    found: dict[sp.Expr, list[sp.Expr]] = {}
    for term in sp.Add.make_args(expression):
        found.setdefault(sp.fraction(term)[1], []).append(term)
    terms: list[sp.Expr] = []
    for below, parts in found.items():
        if below == 1 or len(parts) == 1:
            terms += parts
            continue
        sign = -1 if all(_is_negative(part) for part in parts) else 1
        above = sp.Add(*(sp.fraction(sign * part)[0] for part in parts))
        terms.append(sign * sp.Mul(above, *sp.Mul.make_args(1 / below), evaluate=False))
    return terms


def is_sum(expression: Integer) -> bool:
    """Whether the printed expression needs parentheses as a factor: it has several terms or begins with a minus."""
    return isinstance(expression, sp.Add) or _is_negative(sp.sympify(expression))


def is_letter(expression: Integer) -> TypeGuard[sp.Symbol]:
    """Whether the printed expression is one letter, so that several may stand side by side as in ``W_{ij}``."""
    return isinstance(expression, sp.Symbol) and letter_or_word(expression.name)


def integers_formula(expressions: Iterable[Integer]) -> Formula:
    """Several subscripts: side by side where each is one letter, else between commas."""
    listed = list(expressions)
    apart = not all(is_letter(expression) for expression in listed)
    pieces: list[Formula] = []
    for place, expression in enumerate(listed):
        pieces += [Operator(",")] if apart and place else []
        pieces.append(integer_formula(expression))
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


def _is_negative(term: sp.Expr) -> bool:
    return term.as_coeff_Mul()[0].is_negative is True


def _letter_order(symbol: sp.Symbol) -> tuple[bool, bool, int, str]:
    """Indices before sizes, extents such as H before strides and paddings."""
    letter = symbol.name[0].lower()
    is_small = is_size(symbol) and not symbol.name[0].isupper()
    return is_size(symbol), is_small, _EARLIER_LETTERS.find(letter), symbol.name


def _symbols(expression: sp.Basic) -> list[sp.Symbol]:
    return sorted((s for s in expression.free_symbols if isinstance(s, sp.Symbol)), key=_letter_order)


def _term_order(term: sp.Expr) -> tuple[object, ...]:
    symbols = _symbols(term)
    return (not symbols, _is_negative(term), _letter_order(symbols[0]) if symbols else ())


def _factor_order(factor: sp.Expr) -> tuple[object, ...]:
    """A number, then sizes, then indices, then parentheses: ``2 s i (n − 1)``."""
    symbols = _symbols(factor)
    is_index = isinstance(factor, sp.Symbol) and not is_size(factor)
    return (bool(symbols), isinstance(factor, sp.Add), is_index, [symbol.name for symbol in symbols])


def _product(term: sp.Expr) -> Formula:
    """A term without its sign."""
    numerator, denominator = sp.fraction(term)
    above = _factors(numerator)
    if denominator == 1:
        return above
    below = _factors(denominator)
    return row(above, "/", paren(below) if isinstance(denominator, sp.Mul) else below)


def _factors(term: sp.Expr) -> Formula:
    factors = sorted(sp.Mul.make_args(term), key=_factor_order)
    written = [_factor(factor, alone=len(factors) == 1 and not isinstance(factor, sp.Add)) for factor in factors]
    pieces = [written[0]]
    for (left, right), formula in zip(pairwise(factors), written[1:], strict=True):
        words = any(isinstance(item, sp.Symbol) and not is_letter(item) for item in (left, right))
        # d a is a product, da a differential.
        is_apart = words or (isinstance(left, sp.Symbol) and left.name == "d" and isinstance(right, sp.Symbol))
        pieces += [Space("thin"), formula] if is_apart else [formula]
    return pieces[0] if len(pieces) == 1 else Row(tuple(pieces))


_BRACKETS: dict[type, tuple[str, str]] = {sp.floor: ("⌊", "⌋"), sp.ceiling: ("⌈", "⌉"), sp.Abs: ("|", "|")}
_FUNCTIONS: dict[type, str] = {sp.Max: "max", sp.Min: "min", sp.Mod: "mod"}


def _factor(factor: sp.Expr, alone: bool) -> Formula:
    if isinstance(factor, sp.Symbol):
        return plain_name(factor.name)
    if isinstance(factor, sp.Integer):
        return Numeral(str(factor))
    if isinstance(factor, sp.Pow):
        base = integer_formula(factor.base)
        return sup(base if isinstance(factor.base, sp.Symbol) else paren(base), integer_formula(factor.exp))
    if factor.func in _BRACKETS:
        left, right = _BRACKETS[factor.func]
        return Fence(left, integer_formula(cast(sp.Expr, factor.args[0])), right)
    if factor.func in _FUNCTIONS:
        arguments = [integer_formula(cast(sp.Expr, argument)) for argument in factor.args]
        listed = arguments[:1] + [piece for argument in arguments[1:] for piece in (Operator(","), argument)]
        return row(Function(_FUNCTIONS[factor.func]), paren(*listed))
    return integer_formula(factor) if alone else paren(integer_formula(factor))


# Conditions -----------------------------------------------------------------------------------------------------------


def bracket(conditions: Iterable[Condition], ranges: Iterable[Range] = ()) -> Formula | None:
    """The Iverson bracket of ``conditions`` where the indices run over ``ranges``; None where they hold throughout.

    >>> from derive.handout.plain import plain
    >>> from derive.language.expression import Within
    >>> t, T = sp.Symbol("t", integer=True), sp.Symbol("T", integer=True, positive=True)
    >>> plain(bracket([Within(t + 1, sp.Integer(1), T)], [Range(t, sp.Integer(1), T)]))
    '[t < T]'
    """
    known = list(ranges)
    written = [formula for condition in conditions if (formula := condition_formula(condition, known)) is not None]
    if not written:
        return None
    listed = written[:1] + [piece for formula in written[1:] for piece in (Operator(","), formula)]
    return Fence("[", Row(tuple(listed)), "]")


def condition_formula(condition: Condition, ranges: list[Range]) -> Formula | None:
    """One condition with what the ranges already say left out; None where nothing is left."""
    if isinstance(condition, Divides):
        return row(integer_formula(condition.divisor), "divides", integer_formula(condition.value))
    if sp.expand(condition.lower - condition.upper) == 0:
        shift = _shift(condition.value)
        return row(integer_formula(condition.value - shift), "=", integer_formula(condition.lower - shift))
    below = not _never_negative(condition.value - condition.lower, ranges)
    above = not _never_negative(condition.upper - condition.value, ranges)
    if not below and not above:
        return None
    if below and above:
        return row(integer_formula(condition.lower), "<=", integer_formula(condition.value), *_upper(condition.upper))
    shift = _shift(condition.value)
    value = integer_formula(condition.value - shift)
    return row(value, *(_lower(condition.lower - shift) if below else _upper(condition.upper - shift)))


def _shift(value: Integer) -> sp.Expr:
    """The constant in ``t + 1``, to be taken to the other side; 0 where not just one index stands beside it."""
    constant, rest = value.as_coeff_Add()
    return constant if isinstance(rest, sp.Symbol) else sp.Integer(0)


def _upper(bound: Integer) -> tuple[str, Formula]:
    strict = bound.as_coeff_Add()[0] == -1
    return ("<", integer_formula(bound + 1)) if strict else ("<=", integer_formula(bound))


def _lower(bound: Integer) -> tuple[str, Formula]:
    strict = bound.as_coeff_Add()[0] >= 1
    return (">", integer_formula(bound - 1)) if strict else (">=", integer_formula(bound))


def _never_negative(difference: Integer, ranges: list[Range]) -> bool:
    """Whether an expression affine in the indices is at least 0 over the ranges, inner ones first."""
    for item in reversed(ranges):
        slope = cast(sp.Expr, sp.expand(difference).coeff(item.index))
        bound = item.lower if slope.is_nonnegative else item.upper
        difference = cast(sp.Expr, difference.xreplace({item.index: bound}))
    return sp.expand(difference).is_nonnegative is True

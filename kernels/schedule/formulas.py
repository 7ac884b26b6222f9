"""Questions about scalar formulas, and their forms: addends, factors, free indices, equality up to names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import count
from typing import TypeGuard

import sympy as sp

from derive.calculus.stages import free_indices as free_symbols
from derive.language import expression as ast
from derive.language.array_functions import ARRAY_FUNCTIONS
from derive.language.expression import Access, Condition, Expression
from kernels.schedule.integers import indices, replaced_in


@dataclass(frozen=True)
class Factors:
    """number · Π brackets of conditions · Π others."""

    number: Fraction
    conditions: tuple[Condition, ...]
    others: tuple[Expression, ...]

    @property
    def body(self) -> Expression:
        """number · Π others."""
        return scaled(self.number, self.others[0] if len(self.others) == 1 else ast.Product(self.others))


def factors(value: Expression) -> Factors:
    """What a product of scalars is made of; signs, conditions and products inside are taken apart."""
    match value:
        case ast.Number(value=number):
            return Factors(number, (), ())
        case ast.Negative(operand=operand):
            inner = factors(operand)
            return replace(inner, number=-inner.number)
        case ast.Guard(conditions=conditions, body=body):
            inner = factors(body)
            return replace(inner, conditions=conditions + inner.conditions)
        case ast.Quotient(numerator=numerator) if (above := factors(numerator)).conditions:
            rest = replace(above, conditions=()).body
            return Factors(Fraction(1), above.conditions, (replace(value, numerator=rest),))
        case ast.Product(factors=parts):
            whole = Factors(Fraction(1), (), ())
            for one in map(factors, parts):
                whole = Factors(whole.number * one.number, whole.conditions + one.conditions, whole.others + one.others)
            return whole
        case _:
            return Factors(Fraction(1), (), (value,))


@dataclass(frozen=True)
class Term:
    """number · Π brackets of conditions · body, one addend of a formula."""

    number: Fraction
    conditions: tuple[Condition, ...]
    body: Expression


def addends(value: Expression, outer: Term) -> Iterable[Term]:
    """The terms that add up to ``value``; an addition without sums and conditions stays in one piece."""
    match value:
        case ast.Add(terms=parts) if any(has_sum(part) or isinstance(part, ast.Guard) for part in parts):
            for part in parts:
                yield from addends(part, outer)
        case ast.Negative() | ast.Guard() | ast.Product():
            found = factors(value)
            inner = replace(outer, number=outer.number * found.number, conditions=outer.conditions + found.conditions)
            if len(found.others) == 1:
                yield from addends(found.others[0], inner)
            else:
                yield replace(inner, body=ast.Product(found.others) if found.others else ast.ONE)
        case _:
            yield replace(outer, body=value)


def scaled(number: Fraction, body: Expression) -> Expression:
    """number · body, as people write it."""
    match number, body:
        case Fraction(numerator=0), _:
            return ast.ZERO
        case Fraction(numerator=1, denominator=1), _:
            return body
        case Fraction(numerator=-1, denominator=1), _:
            return ast.Negative(body)
        case _, ast.Product(factors=parts):
            return ast.Product((ast.Number(number), *parts))
        case _:
            return ast.Product((ast.Number(number), body))


def is_sum(value: Expression) -> bool:
    """True of a sum, also behind a sign, a number or a condition."""
    others = factors(value).others
    return len(others) == 1 and isinstance(others[0], ast.Sum)


def has_sum(value: Expression) -> bool:
    """True if there is a sum anywhere in ``value``."""
    return any(isinstance(node, ast.Sum) for node in ast.walk(value))


WHOLE_ARRAY_CALLS = frozenset(ARRAY_FUNCTIONS) - {"sum", "trace"}
"""Functions computed on whole arrays: in entries they overflow, or have no formula. The others are written out."""


def is_whole(value: Expression) -> TypeGuard[ast.Call | ast.LogSumExp]:
    """True of what is computed at once from whole arrays."""
    return isinstance(value, ast.LogSumExp) or (isinstance(value, ast.Call) and value.function in WHOLE_ARRAY_CALLS)


def is_plain(value: Expression) -> bool:
    """True of an access whose subscripts are different indices."""
    return (
        isinstance(value, Access)
        and all(isinstance(place, sp.Symbol) for place in value.subscripts)
        and len(set(value.subscripts)) == len(value.subscripts)
    )


def free_indices(value: Expression) -> set[sp.Symbol]:
    """The indices in ``value`` that no sum in it binds."""
    return indices(*free_symbols(value))


def superscript_indices(value: Expression) -> set[sp.Symbol]:
    """The indices that stand in a superscript, or in an end of a sum, somewhere in ``value``."""
    found: set[sp.Symbol] = set()
    for node in ast.walk(value):
        match node:
            case Access(superscripts=superscripts):
                found |= indices(*superscripts)
            case ast.Sum(lower=lower, upper=upper):
                found |= indices(lower, upper)
            case ast.Maximum(ranges=ranges):
                found |= indices(*(end for item in ranges for end in (item.lower, item.upper)))
            case _:
                pass
    return found


def canonical(value: Expression, order: Sequence[sp.Symbol]) -> Expression:
    """``value`` with its indices named by their position: formulas that differ in the names of indices become equal."""
    value = replaced_in(value, {symbol: ast.index(f"_free{n}") for n, symbol in enumerate(order)})
    numbers = count()

    def rename(node: Expression) -> Expression:
        if isinstance(node, ast.Sum):
            fresh = ast.index(f"_bound{next(numbers)}")
            node = replace(node, index=fresh, body=replaced_in(node.body, {node.index: fresh}))
        return ast.map_children(rename, node)

    return rename(value)

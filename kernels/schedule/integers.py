"""Integers in sizes and indices: what is in them, and replacing what is in them. The border to SymPy's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import cast

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Condition, Expression, Integer, is_size
from derive.language.system import Range

Change = Mapping[sp.Symbol, Integer]


def integer(value: object) -> Integer:
    """``value`` as a SymPy integer expression, terms collected."""
    return cast("Integer", sp.expand(sp.sympify(value)))


def symbols(*values: object) -> set[sp.Symbol]:
    """The sizes and indices in the values."""
    return {cast("sp.Symbol", symbol) for value in values for symbol in cast("Integer", sp.sympify(value)).free_symbols}


def indices(*values: object) -> set[sp.Symbol]:
    """The indices in the values; sizes are the symbols known not to be negative."""
    return {symbol for symbol in symbols(*values) if not is_size(symbol)}


def replaced(value: Integer, change: Change) -> Integer:
    """``value`` with symbols replaced."""
    return cast("Integer", sp.sympify(value).xreplace(dict(change)))


def undivided(value: Integer) -> Integer:
    """``value`` without a division that comes out even, by s + 1 too: ((s + 1) n − p)/(s + 1) + p/(s + 1) is n."""
    found = integer(value)
    compound = any(power.exp.is_negative and power.base.is_Add for power in found.atoms(sp.Pow))
    return integer(sp.cancel(sp.together(found))) if compound else found


def undivided_condition(condition: Condition) -> Condition:
    """The condition without such divisions."""
    return type(condition)(*(undivided(getattr(condition, item.name)) for item in fields(condition)))


def extent(item: Range) -> Integer:
    """How many values the index of ``item`` takes."""
    return integer(item.upper - item.lower + 1)


def replaced_range(item: Range, change: Change) -> Range:
    """The range with symbols in its ends replaced."""
    return Range(item.index, replaced(item.lower, change), replaced(item.upper, change))


def replaced_in(expression: Expression, change: Change) -> Expression:
    """``expression`` with indices replaced."""
    return ast.substitute_indices(expression, dict(change))


def replaced_access(access: Access, change: Change) -> Access:
    """``access`` at other indices."""
    return cast("Access", replaced_in(access, change))


def replaced_conditions(conditions: Iterable[Condition], change: Change) -> tuple[Condition, ...]:
    """The conditions at other indices."""
    return cast("ast.Guard", replaced_in(ast.Guard(tuple(conditions), ast.ONE), change)).conditions


def condition_indices(condition: Condition) -> set[sp.Symbol]:
    """The indices that decide ``condition``."""
    match condition:
        case ast.Within(value=value, lower=lower, upper=upper):
            return indices(value, lower, upper)
        case ast.Divides(divisor=divisor, value=value):
            return indices(divisor, value)

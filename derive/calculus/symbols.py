"""What SymPy leaves untyped, with its type: integers and expressions go through these functions at our border."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import sympy as sp


def replaced(value: sp.Basic | int, values: Mapping[sp.Symbol, sp.Expr]) -> sp.Expr:
    """``value`` with symbols replaced all at once, nothing evaluated (unlike ``subs``)."""
    return cast(sp.Expr, sp.sympify(value).xreplace(dict(values)))


def arguments(value: sp.Basic) -> tuple[sp.Expr, ...]:
    """The operands of a SymPy expression."""
    return cast("tuple[sp.Expr, ...]", value.args)


def symbols_in(*values: sp.Basic | int) -> frozenset[sp.Symbol]:
    """The symbols that stand free in any of the values."""
    return frozenset(cast("set[sp.Symbol]", {symbol for value in values for symbol in sp.sympify(value).free_symbols}))


def coefficient_of(symbol: sp.Symbol, value: sp.Expr) -> sp.Expr:
    """The factor of ``symbol`` in an expanded affine expression."""
    return cast(sp.Expr, value.coeff(symbol, 1))


def limits_of(total: sp.Sum) -> list[tuple[sp.Symbol, sp.Expr, sp.Expr]]:
    """(index, lower, upper) for each index of a sum."""
    return [(index, sp.sympify(lower), sp.sympify(upper)) for index, lower, upper in total.limits]


def function_of(value: sp.Basic) -> tuple[str, int] | None:
    """The name and the order of derivative of an elementwise function of ours; None for anything else."""
    name = getattr(value.func, "function_name", None)
    return None if name is None else (name, getattr(value.func, "order", 0))

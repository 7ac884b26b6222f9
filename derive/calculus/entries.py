"""The entries of arrays inside SymPy expressions, and products of entries that have a name, such as a softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import sympy as sp

from derive.calculus.contract import Term
from derive.calculus.symbols import arguments, function_of, limits_of, replaced
from derive.calculus.whole_entries import WholeEntry
from derive.language.expression import Access, Call, Expression, Identity, Integer, Product, Slice, Transpose
from derive.language.system import Scope


@dataclass(frozen=True)
class Entry:
    """One array entry taken apart: the array, its superscripts and its subscripts."""

    name: str
    superscripts: tuple[Integer, ...]
    subscripts: tuple[Integer, ...]


def entry_of(indexed: sp.Indexed, scope: Scope) -> Entry:
    """What an Indexed of ours stands for."""
    base, *positions = arguments(indexed)
    name = str(base)
    declaration = scope[name]
    count = len(declaration.superscripts)
    indices = tuple(positions)
    return Entry(name, indices[:count], indices[count:] if declaration.shape else ())


def entries(expression: sp.Expr, scope: Scope) -> list[Entry]:
    """Every array entry that the expression reads."""
    return [entry_of(atom, scope) for atom in expression.atoms(sp.Indexed)]


def whole_call(value: WholeEntry, scope: Scope) -> tuple[Expression, tuple[Integer, ...]]:
    """The function of whole arrays of which this is an entry, and where the entry stands.

    What is left to an array with one entry 1 is a column of the identity times a row of it.
    """
    given: list[Expression] = [Access(*_name_and_times(array, scope)) for array in value.given]
    if not value.is_directional:
        return Call(value.function, tuple(given)), value.indices
    shape = scope[str(value.given[0].base)].shape
    *at, row, column = value.indices
    sides = [
        Slice(Identity(extent), ((sp.Integer(0), extent - 1), place))
        for extent, place in zip(shape, (row, column), strict=True)
    ]
    single = Product((sides[0], Transpose(sides[1])))
    return Call(value.function, (*given, single)), tuple(at)


def _name_and_times(array: sp.Indexed, scope: Scope) -> tuple[str, tuple[Integer, ...]]:
    found = entry_of(array, scope)
    return found.name, found.superscripts


def whole_entries(expression: sp.Expr) -> list[WholeEntry]:
    """Every entry of a function of whole arrays in the expression."""
    return sorted(expression.atoms(WholeEntry), key=str)


def is_exponential(expression: sp.Basic) -> bool:
    """The expression is exp of something."""
    return function_of(expression) == ("exp", 0)


# Functions of whole arrays, recognised by their index form ------------------------------------------------------------

softmax_entry = sp.Function("softmax_entry")
"""softmax_entry(s_i): the entry at i of the softmax of the vector with entries s_i."""


def recognised(term: Term) -> Term:
    """The term with every product of factors that has a name replaced by it."""
    factors = list(term.factors)
    while True:
        found = next((new for pattern in RECOGNISED.values() if (new := pattern(factors)) is not None), None)
        if found is None:
            return Term(tuple(factors), term.bounds, term.conditions)
        factors = found


def _softmax(factors: list[sp.Expr]) -> list[sp.Expr] | None:
    """exp(s_i) / Σ_j exp(s_j) is softmax(s)_i; of a square exp(s_i)², one factor is used."""
    for total in factors:
        base, power = total.as_base_exp()
        if not (isinstance(base, sp.Sum) and power.is_negative and len(base.limits) == 1):
            continue
        for weight in factors:
            exponential, times = weight.as_base_exp()
            if times not in (1, 2) or not _differ_in_one_index(base, exponential):
                continue
            rest = [factor for factor in factors if factor is not total and factor is not weight]
            rest += [exponential] if times == 2 else []
            rest.append(softmax_entry(*arguments(exponential)))
            return [*rest, base ** (power + 1)] if power != -1 else rest
    return None


def _differ_in_one_index(total: sp.Sum, other: sp.Expr) -> bool:
    """Both are exponentials, and the summand is the other with the bound index in place of one of its indices."""
    if not (is_exponential(total.function) and is_exponential(other)):
        return False
    ((bound, _, _),) = limits_of(total)
    positions = {position for entry in other.atoms(sp.Indexed) for position in arguments(entry)[1:]}
    return any(replaced(total.function, {bound: position}) == other for position in positions)


unit_entry = sp.Function("unit_entry")
"""unit_entry(x_i): the entry at i of the array with entries x_i over its norm."""


def _unit(factors: list[sp.Expr]) -> list[sp.Expr] | None:
    """x_i / (Σ_j x_j²)^{1/2} is unit(x)_i; of a higher odd power of the root, each x_i takes one."""
    for total in factors:
        base, power = total.as_base_exp()
        if not (is_sum_of_squares(base) and power.is_negative and (2 * power).is_odd):
            continue
        rest, found = [factor for factor in factors if factor is not total], []
        for entry in list(rest):
            if power + sp.Rational(len(found), 2) < 0 and _is_entry_of(entry, cast(sp.Sum, base)):
                rest.remove(entry)
                found.append(unit_entry(entry))
        if found:
            left = base ** (power + sp.Rational(len(found), 2))
            return [*rest, *found, *([] if left == 1 else [left])]
    return None


def is_sum_of_squares(expression: sp.Basic) -> bool:
    """The expression is Σ x² over one index or several."""
    inner = expression
    while isinstance(inner, sp.Sum):
        inner = inner.function
    return inner is not expression and isinstance(inner, sp.Pow) and inner.exp == 2


def _is_entry_of(entry: sp.Expr, squares: sp.Sum) -> bool:
    """The factor is what is squared in the sum, at other indices."""
    inner = cast(Any, squares)
    bounds: list[sp.Symbol] = []
    while isinstance(inner, sp.Sum):
        bounds += [bound for bound, _, _ in limits_of(inner)]
        inner = inner.function
    squared = arguments(inner)[0]
    if not (isinstance(entry, sp.Indexed) and isinstance(squared, sp.Indexed) and entry.base == squared.base):
        return False
    pairs = zip(squared.indices, entry.indices, strict=True)
    at = cast("dict[sp.Symbol, Integer]", {theirs: own for theirs, own in pairs if theirs in bounds})
    return len(at) == len(bounds) and replaced(squared, at) == entry


RECOGNISED: dict[str, Callable[[list[sp.Expr]], list[sp.Expr] | None]] = {"softmax": _softmax, "unit": _unit}
"""Patterns among the factors of a term that have a name; each returns the factors with the named one, or None."""

"""The entries of arrays inside SymPy expressions, and products of entries that have a name, such as a softmax."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import sympy as sp

from derive.calculus.contract import Term
from derive.calculus.symbols import arguments, function_of, limits_of, replaced
from derive.language.expression import Integer
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


RECOGNISED: dict[str, Callable[[list[sp.Expr]], list[sp.Expr] | None]] = {"softmax": _softmax}
"""Patterns among the factors of a term that have a name; each returns the factors with the named one, or None."""

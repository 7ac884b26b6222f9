"""Sizes that follow from others: their values, and what is wrong where those contradict what is known."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp

from derive.evaluate.integers import EvaluationError, integer
from derive.language.printer import count_source, integer_source
from derive.language.system import Program


def completed(program: Program, sizes: Mapping[str, int]) -> dict[str, int]:
    """``sizes`` with every size that follows from them; EvaluationError where it is none or is not what was given."""
    known = dict(sizes)
    for symbol, formula in program.derived:
        if missing := [name for name in names_in(formula) if name not in known]:
            raise EvaluationError(f"no value for the size {', '.join(missing)}, of which {symbol} is made")
        found = integer(formula, known)
        if found < 1:
            raise EvaluationError(too_small(program, symbol, known))
        if known.setdefault(symbol.name, found) != found:
            raise EvaluationError(f"{symbol} = {known[symbol.name]}, but {follows(program, symbol, known)}")
    return known


def names_in(formula: sp.Expr) -> list[str]:
    """The sizes that a formula is made of, sorted."""
    return sorted(str(symbol) for symbol in formula.free_symbols)


def follows(program: Program, symbol: sp.Symbol, sizes: Mapping[str, int]) -> str:
    """``O = 3, the number of i with s*i <= H - 1, since H = 6, s = 2``."""
    formula = dict(program.derived)[symbol]
    return f"{symbol} = {max(integer(formula, sizes), 0)}, {_definition(program, symbol)}{_since(formula, sizes)}"


def too_small(program: Program, symbol: sp.Symbol, sizes: Mapping[str, int]) -> str:
    """``O = 0: no i with s*i + R - 1 <= H - 1, since H = 2, R = 5, s = 1``; what a size must not be."""
    formula = dict(program.derived)[symbol]
    count = next((count_source(entry) for entry in program.counts if entry.name == symbol.name), "")
    if count:
        return f"{symbol} = 0: no {count.removeprefix('number of ')}{_since(formula, sizes)}"
    found = integer(formula, sizes)
    return f"{symbol} = {found}, but must be at least 1: {_definition(program, symbol)}{_since(formula, sizes)}"


def _definition(program: Program, symbol: sp.Symbol) -> str:
    count = next((entry for entry in program.counts if entry.name == symbol.name), None)
    return f"the {count_source(count)}" if count else f"it is {integer_source(dict(program.derived)[symbol])}"


def _since(formula: sp.Expr, sizes: Mapping[str, int]) -> str:
    listed = ", ".join(f"{name} = {sizes[name]}" for name in names_in(formula))
    return f", since {listed}" if listed else ""

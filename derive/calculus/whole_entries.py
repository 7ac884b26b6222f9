"""Entries of functions of whole arrays as SymPy sees them, for functions that have no formula in entries.

SymPy's ``diff`` asks the row of the table for the partial derivative, and carries the rest along as it does any factor.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any, cast

import sympy as sp
from sympy.core.symbol import Str

from derive.calculus.symbols import arguments
from derive.language.array_functions import ARRAY_FUNCTIONS, Entry
from derive.language.errors import DefinitionError
from derive.language.expression import Access, Integer
from derive.language.functions import symbolic
from derive.language.system import Scope


class NoDerivative(DefinitionError):
    """A derivative that the language has no name for."""


@cache
def axis(number: int) -> sp.Symbol:
    """What stands for an axis of an argument that is read as a whole."""
    return sp.Symbol(f"axis {number}", integer=True)


class WholeEntry(sp.Expr):
    """The entry at ``indices`` of a row of ARRAY_FUNCTIONS; its arguments are arrays at axes.

    With one argument less than the row takes, the last is the array with 1 at the last of the indices, else 0.
    """

    def __new__(cls, function: str, given: Sequence[sp.Expr], indices: Sequence[Integer]) -> WholeEntry:
        name = function if isinstance(function, Str) else Str(function)
        return cast(WholeEntry, sp.Expr.__new__(cls, name, sp.Tuple(*given), sp.Tuple(*indices)))

    @property
    def function(self) -> str:
        """The row's name."""
        return str(self.args[0])

    @property
    def given(self) -> tuple[sp.Indexed, ...]:
        """The arguments, arrays at axes."""
        return cast("tuple[sp.Indexed, ...]", arguments(self.args[1]))

    @property
    def indices(self) -> tuple[Integer, ...]:
        """Where the entry stands."""
        return arguments(self.args[2])

    @property
    def is_directional(self) -> bool:
        """The last argument is left to the last of the indices."""
        return len(self.given) < len(ARRAY_FUNCTIONS[self.function].takes)

    def _eval_is_commutative(self) -> bool:
        return True

    def _eval_derivative(self, s: Any) -> sp.Expr:
        row = ARRAY_FUNCTIONS[self.function]
        found: list[sp.Expr] = []
        for number, array in enumerate(self.given):
            if not isinstance(s, sp.Indexed) or s.base != array.base:
                continue
            count = sum(str(position).startswith("axis ") for position in array.indices)
            split = len(s.indices) - count
            partial = row.partials[number]
            if self.is_directional or partial is None:
                name = self.function
                repair = "The language has no name for it; ask for first derivatives."
                raise NoDerivative(f"The derivative of {name} with respect to its matrix is not known.", None, repair)
            pairs = zip(array.indices[:split], s.indices[:split], strict=True)
            same_time = [sp.KroneckerDelta(a, b) for a, b in pairs]
            place = cast("tuple[Integer, ...]", s.indices[split:])
            found.append(sp.Mul(partial(self._rows, self.indices, place), *same_time))
        return sp.Add(*found)

    def _rows(self, function: str, *numbers: int) -> Entry:
        given = tuple(self.given[number] for number in numbers)
        return lambda *indices: WholeEntry(function, given, indices)


class SoftMaximum(sp.Expr):
    """log Σ exp(body) over one index, whose value has a name: its derivative is Σ exp(body - value) ∂body."""

    def __new__(cls, value: sp.Expr, body: sp.Expr, bound: sp.Expr, lower: sp.Expr, upper: sp.Expr) -> SoftMaximum:
        return cast(SoftMaximum, sp.Expr.__new__(cls, value, body, bound, sp.sympify(lower), sp.sympify(upper)))

    def _eval_is_commutative(self) -> bool:
        return True

    def _eval_derivative(self, s: Any) -> sp.Expr:
        value, body, bound, lower, upper = arguments(self)
        change = cast(sp.Expr, body.diff(s))
        if change == 0:
            return sp.Integer(0)
        return cast(sp.Expr, sp.Sum(symbolic("exp")(body - value) * change, (bound, lower, upper)))


def template(access: Access, scope: Scope) -> sp.Indexed:
    """A whole array as an argument: its superscripts, and an axis for each subscript."""
    axes = tuple(axis(number) for number, _ in enumerate(scope[access.name].shape))
    return cast(sp.Indexed, sp.Indexed(access.name, *access.superscripts, *axes))

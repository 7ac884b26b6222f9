"""Scalar SymPy expressions read as expressions of the language, on whole arrays or on their entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, cast

import sympy as sp

from derive.calculus.contract import Term, expanded
from derive.calculus.entries import (
    entries,
    entry_of,
    is_exponential,
    is_sum_of_squares,
    softmax_entry,
    unit_entry,
    whole_call,
)  # fmt: skip
from derive.calculus.factor_order import entry_order, slopes_first
from derive.calculus.index_notation import divides, within
from derive.calculus.network import NotAMatrix
from derive.calculus.symbols import arguments, function_of, limits_of
from derive.calculus.tidy import tidy
from derive.calculus.whole_entries import SoftMaximum, WholeEntry
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.shapes import shape_of
from derive.language.system import Scope

Axes = tuple[sp.Symbol, ...]
Lift = Callable[[Term, Mapping[sp.Symbol, Integer], Scope], Expression]
"""A term with its free subscripts and their extents as a matrix expression; NotAMatrix where there is none."""


@dataclass(frozen=True)
class Elementwise:
    """How an expression is read: as an array with ``axes``; each index in ``tensor`` runs over an axis of an array."""

    axes: Axes
    tensor: frozenset[sp.Symbol]
    extents: Mapping[sp.Symbol, Integer]
    scope: Scope
    lift: Lift | None = None
    """How a sum is read; without it, sums stay sums over indices, even where they have a matrix form."""
    order: tuple[str, ...] = ()
    """Arrays in the order in which an author writes them."""

    def expression(self, value: sp.Expr) -> Expression:
        """``value`` in the language; NotAMatrix where its axes do not line up."""
        match value:
            case sp.Indexed():
                found = entry_of(value, self.scope)
                return self._part(Access(found.name, found.superscripts), found.subscripts)
            case WholeEntry():
                return self._part(*whole_call(value, self.scope))
            case SoftMaximum():
                _, body, bound, lower, upper = arguments(value)
                return ast.LogSumExp(cast(sp.Symbol, bound), lower, upper, self.expression(body))
            case sp.Rational():
                return ast.Number(Fraction(int(value.p), int(value.q)))
            case sp.Function() if value.func in (within, divides) and not self.axes:
                return ast.Guard((_condition(value),), ast.ONE)
            case _ if not value.has(sp.Indexed, sp.KroneckerDelta):
                return ast.SizeValue(value)
            case sp.Add():
                return ast.Add(tuple(self.expression(term) for term in self._in_author_order(arguments(value))))
            case sp.Mul():
                return self.product(arguments(value))
            case sp.Pow():
                base, exponent = arguments(value)
                if is_sum_of_squares(base) and (2 * exponent).is_odd and not exponent.is_negative:
                    length = self._norm(cast(sp.Sum, base))
                    return length if 2 * exponent == 1 else ast.Power(length, self.expression(2 * exponent))
                if exponent.is_negative:
                    return ast.Quotient(ast.ONE, self.expression(base**-exponent))
                return ast.Power(self.expression(base), self.expression(exponent))
            case sp.Sum():
                return self._sum(value)
            case sp.KroneckerDelta() if self.axes and set(value.args) == set(self.axes):
                return ast.Filled(1, ())
            case sp.KroneckerDelta():
                return ast.Guard((_condition(value),), ast.ONE)
            case sp.Function():
                return self._function(value)
            case _:
                raise NotAMatrix

    def product(self, factors: Sequence[sp.Expr]) -> Expression:
        """Numbers first, then scalars, then arrays multiplied entry by entry; negative powers below a fraction bar."""
        brackets = [f for f in factors if isinstance(f, sp.KroneckerDelta) or f.func in (within, divides)]
        if brackets and not self.axes:
            rest = [factor for factor in factors if factor not in brackets]
            return ast.Guard(tuple(_condition(bracket) for bracket in brackets), self.product(rest))
        above, below = [], []
        for factor in factors:
            base, power = factor.as_base_exp()
            if power.is_negative and not base.is_Rational:
                below.append(base**-power)
            else:
                above.append(factor)
        top = self._times(above)
        return ast.Quotient(top, self._times(below)) if below else top

    def _times(self, factors: Sequence[sp.Expr]) -> Expression:
        numbers = [factor for factor in factors if factor.is_Rational]
        others = [factor for factor in factors if not factor.is_Rational]
        scalars = [self.expression(factor) for factor in others if not factor.free_symbols & self.tensor]
        arrays = [self.expression(factor) for factor in others if factor.free_symbols & self.tensor]
        arrays.sort(key=slopes_first)
        coefficient = sp.Mul(*numbers)
        parts: list[Expression] = [] if coefficient == 1 else [self.expression(coefficient)]
        parts += sorted(scalars, key=slopes_first if self.lift is not None else entry_order(scalars, self.order))
        parts += arrays if len(arrays) <= 1 else [ast.Hadamard(tuple(arrays))]
        return parts[0] if len(parts) == 1 else ast.Product(tuple(parts)) if parts else ast.ONE

    def _in_author_order(self, terms: Sequence[sp.Expr]) -> list[sp.Expr]:
        order = {name: number for number, name in enumerate(self.scope)}

        def position(term: sp.Expr) -> tuple[bool, int, str]:
            places = [order[entry.name] for entry in entries(term, self.scope)]
            return bool(term.could_extract_minus_sign()), min(places, default=-1), str(term)

        return sorted(terms, key=position)

    def _part(self, array: Expression, positions: tuple[Integer, ...]) -> Expression:
        """The array, or that part of it over which its indices run: x[n..n + m - 1] for x[n + k]."""
        if not positions:
            return array
        if not any(position.free_symbols & self.tensor for position in positions):
            is_access = isinstance(array, Access)
            return replace(array, subscripts=positions) if is_access else ast.Slice(array, positions)
        shape = shape_of(array, self.scope)
        places = [self._place(position, extent) for position, extent in zip(positions, shape, strict=True)]
        axes = tuple(symbol for symbol, _, _ in places if symbol is not None)
        if not all(whole for _, _, whole in places):
            array = ast.Slice(array, tuple(place for _, place, _ in places))
        if axes == self.axes:
            return array
        if len(set(axes)) == 2 and axes == self.axes[::-1]:
            return ast.Transpose(array)
        raise NotAMatrix

    def _place(self, position: Integer, extent: Integer) -> tuple[sp.Symbol | None, Any, bool]:
        """The index that runs over an axis, the part of the axis, and whether that is all of it."""
        running = position.free_symbols & self.tensor
        if not running:
            return None, position, False
        symbol = min(running, key=str)
        start = sp.expand(position - symbol)
        if len(running) > 1 or start.has(symbol) or not isinstance(symbol, sp.Symbol):
            raise NotAMatrix
        own = self.extents.get(symbol, extent)
        return symbol, (start, start + own - 1), start == 0 and sp.expand(own - extent) == 0

    def _norm(self, squares: sp.Sum) -> Expression:
        """The root of a sum of squares; NotAMatrix where it leaves out a part of the array."""
        inner = cast(Any, squares)
        bounds: list[tuple[sp.Symbol, Integer]] = []
        while isinstance(inner, sp.Sum):
            for bound, lower, upper in limits_of(inner):
                if lower != 0:
                    raise NotAMatrix
                bounds.append((bound, sp.expand(upper + 1)))
            inner = inner.function
        axes = tuple(bound for bound, _ in bounds)
        held = replace(self, axes=axes, tensor=self.tensor | set(axes), extents={**self.extents, **dict(bounds)})
        return ast.Call("norm", (held.expression(arguments(inner)[0]),))

    def _sum(self, value: sp.Sum) -> Expression:
        terms = expanded(value)
        if self.lift is None:
            parts = [in_indices(term, self.scope, self.order) for term in terms]
        else:
            parts = self._lifted(terms, tuple(axis for axis in self.axes if value.has(axis)), self.lift)
        return parts[0] if len(parts) == 1 else ast.Add(tuple(parts))

    def _lifted(self, terms: Sequence[Term], axes: Axes, lift: Lift) -> list[Expression]:
        """Each term as an array with all axes, or as a number."""
        if axes not in ((), self.axes):
            raise NotAMatrix
        try:
            return [lift(term, {axis: self.extents[axis] for axis in axes}, self.scope) for term in terms]
        except NotAMatrix:
            if axes:
                raise
            return [in_indices(term, self.scope, self.order) for term in terms]

    def _function(self, value: sp.Function) -> Expression:
        (argument,) = arguments(value)
        if value.func in (softmax_entry, unit_entry):
            is_entry = isinstance(argument, sp.Indexed)
            if len(self.axes) != (len(entry_of(argument, self.scope).subscripts) if is_entry else 1):
                raise NotAMatrix
            return ast.Call(str(value.func).removesuffix("_entry"), (self.expression(argument),))
        known = ("log", 0) if value.func == sp.log else function_of(value)  # what SymPy makes of a variable exponent
        if known is None:
            raise NotAMatrix
        name, order = known
        if name == "log" and isinstance(argument, sp.Sum) and is_exponential(argument.function):
            limits = limits_of(argument)
            if len(limits) == 1 and limits[0][1] == 0:
                ((bound, _, upper),) = limits
                extents = {**self.extents, bound: sp.expand(upper + 1)}
                inner = replace(self, axes=(bound,), tensor=self.tensor | {bound}, extents=extents)
                return ast.Call("logsumexp", (inner.expression(*arguments(argument.function)),))
        return ast.Apply(name, self.expression(argument), order)


def in_indices(term: Term, scope: Scope, order: tuple[str, ...] = ()) -> Expression:
    """The term as a scalar expression in entries: Σ_k Σ_a w[k,c,a] … with its conditions.

    Where positions are affine, factors stand in the ``order`` in which the author wrote the arrays.
    """
    body: Expression = Elementwise((), frozenset(), {}, scope, order=order).product(term.factors)
    if term.conditions:
        body = ast.Guard(term.conditions, body)
    for bound in reversed(term.bounds):
        body = ast.Sum(bound.index, bound.lower, bound.upper, body)
    return tidy(body, scope)


def _condition(bracket: sp.Expr) -> ast.Condition:
    """The condition that a delta or another bracket is 1."""
    if bracket.func == within:
        return ast.Within(*arguments(bracket))
    if bracket.func == divides:
        return ast.Divides(*arguments(bracket))
    first, second = arguments(bracket)
    return ast.Within(first, second, second)

"""Scalar SymPy expressions read as expressions of the language, on whole arrays or on their entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import sympy as sp

from derive.calculus.contract import Term, expanded
from derive.calculus.entries import Entry, entries, entry_of, is_exponential, softmax_entry
from derive.calculus.factor_order import by_subscripts, slopes_first
from derive.calculus.network import NotAMatrix
from derive.calculus.symbols import arguments, function_of, limits_of
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
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

    def expression(self, value: sp.Expr) -> Expression:
        """``value`` in the language; NotAMatrix where its axes do not line up."""
        match value:
            case sp.Indexed():
                return self._indexed(entry_of(value, self.scope))
            case sp.Rational():
                return ast.Number(Fraction(int(value.p), int(value.q)))
            case _ if not value.has(sp.Indexed, sp.KroneckerDelta):
                return ast.SizeValue(value)
            case sp.Add():
                return ast.Add(tuple(self.expression(term) for term in self._in_author_order(arguments(value))))
            case sp.Mul():
                return self.product(arguments(value))
            case sp.Pow():
                base, exponent = arguments(value)
                if exponent.is_negative:
                    return ast.Quotient(ast.ONE, self.expression(base**-exponent))
                return ast.Power(self.expression(base), self.expression(exponent))
            case sp.Sum():
                return self._sum(value)
            case sp.KroneckerDelta() if self.axes and set(value.args) == set(self.axes):
                return ast.Filled(1, ())
            case sp.KroneckerDelta():
                return ast.Guard((_equal(value),), ast.ONE)
            case sp.Function():
                return self._function(value)
            case _:
                raise NotAMatrix

    def product(self, factors: Sequence[sp.Expr]) -> Expression:
        """Numbers first, then scalars, then arrays multiplied entry by entry; negative powers below a fraction bar."""
        deltas = [factor for factor in factors if isinstance(factor, sp.KroneckerDelta)]
        if deltas and not self.axes:
            rest = [factor for factor in factors if factor not in deltas]
            return ast.Guard(tuple(_equal(delta) for delta in deltas), self.product(rest))
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
        parts += sorted(scalars, key=by_subscripts if self.lift is None else slopes_first)
        parts += arrays if len(arrays) <= 1 else [ast.Hadamard(tuple(arrays))]
        return parts[0] if len(parts) == 1 else ast.Product(tuple(parts)) if parts else ast.ONE

    def _in_author_order(self, terms: Sequence[sp.Expr]) -> list[sp.Expr]:
        order = {name: number for number, name in enumerate(self.scope)}

        def position(term: sp.Expr) -> tuple[bool, int, str]:
            places = [order[entry.name] for entry in entries(term, self.scope)]
            return bool(term.could_extract_minus_sign()), min(places, default=-1), str(term)

        return sorted(terms, key=position)

    def _indexed(self, item: Entry) -> Expression:
        whole = tuple(position for position in item.subscripts if position in self.tensor)
        if not whole:
            return Access(item.name, item.superscripts, item.subscripts)
        if whole == item.subscripts and whole == self.axes:
            return Access(item.name, item.superscripts)
        if whole == item.subscripts and len(set(whole)) == 2 and whole == self.axes[::-1]:
            return ast.Transpose(Access(item.name, item.superscripts))
        raise NotAMatrix

    def _sum(self, value: sp.Sum) -> Expression:
        terms = expanded(value)
        if self.lift is None:
            parts = [in_indices(term, self.scope) for term in terms]
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
            return [in_indices(term, self.scope) for term in terms]

    def _function(self, value: sp.Function) -> Expression:
        (argument,) = arguments(value)
        if value.func == softmax_entry:
            if len(self.axes) != 1:
                raise NotAMatrix
            return ast.Call("softmax", (self.expression(argument),))
        known = function_of(value)
        if known is None:
            raise NotAMatrix
        name, order = known
        if name == "log" and isinstance(argument, sp.Sum) and is_exponential(argument.function):
            limits = limits_of(argument)
            if len(limits) == 1:
                ((bound, _, upper),) = limits
                extents = {**self.extents, bound: sp.expand(upper + 1)}
                inner = replace(self, axes=(bound,), tensor=self.tensor | {bound}, extents=extents)
                return ast.Call("logsumexp", (inner.expression(*arguments(argument.function)),))
        return ast.Apply(name, self.expression(argument), order)


def in_indices(term: Term, scope: Scope) -> Expression:
    """The term as a scalar expression in entries: Σ_k Σ_a w[k,c,a] … with its conditions."""
    body: Expression = Elementwise((), frozenset(), {}, scope).product(term.factors)
    if term.conditions:
        body = ast.Guard(term.conditions, body)
    for bound in reversed(term.bounds):
        body = ast.Sum(bound.index, bound.lower, bound.upper, body)
    return tidy(body, scope)


def _equal(delta: sp.Expr) -> ast.Within:
    """The condition that a delta is 1."""
    first, second = arguments(delta)
    return ast.Within(first, second, second)

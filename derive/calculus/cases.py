"""An adjoint equation with conditions on its time index, as people write it: one line, or a line for each stretch.

``[t = T] v + [t < T] Uᵀ δ^{t+1}`` is two lines; ``[t < T] Uᵀ δ^{t+1} + Vᵀ e^t`` is one, with δ^{T+1} = 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import sympy as sp

from derive.calculus.symbols import replaced, symbols_in
from derive.calculus.tidy import tidy, zero_like
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, Within
from derive.language.system import Equation, Scope

LARGE = 1000
"""Stretches are put in the order they have for long sequences; the equation with its conditions holds for all."""


@dataclass(frozen=True)
class Case:
    """``target = value`` for lower ≤ index ≤ upper; at a single index it stands in the target and the value already."""

    target: Access
    value: Expression
    index: sp.Symbol | None
    lower: Integer
    upper: Integer

    @property
    def is_point(self) -> bool:
        """The case is about one value of the index."""
        return self.lower == self.upper

    @property
    def at(self) -> dict[sp.Symbol, Integer]:
        """The value of the index where the case has only one."""
        return {self.index: self.lower} if self.index is not None and self.is_point else {}

    @property
    def index_expression(self) -> Expression:
        """The index as a formula."""
        assert self.index is not None
        return ast.SizeValue(self.index)


@dataclass(frozen=True)
class Cases:
    """All stretches, the latest first, and the adjoints that count as zero beyond the end."""

    cases: tuple[Case, ...]
    zero_beyond: tuple[Access, ...]

    def together(self) -> Expression:
        """The stretches as one expression, each where the index lies in it; beyond them the accesses count as zero."""
        guarded = [
            case.value if case.index is None else ast.Guard((Within(case.index, case.lower, case.upper),), case.value)
            for case in self.cases
        ]
        return guarded[0] if len(guarded) == 1 else ast.Add(tuple(guarded))


def cases(equation: Equation, scope: Scope) -> Cases:
    """The stretches of ``equation`` over its first range."""
    if not equation.ranges or not equation.target.superscripts:
        return Cases((Case(equation.target, equation.value, None, sp.Integer(0), sp.Integer(0)),), ())
    span = equation.ranges[0]
    terms = equation.value.terms if isinstance(equation.value, ast.Add) else (equation.value,)
    guarded = [_Guarded.read(term, span.index, scope) for term in terms]
    cuts = {span.lower, sp.expand(span.upper + 1)}
    for item in guarded:
        if item.interval is not None and not item.zero_outside:
            cuts |= {item.interval.lower, sp.expand(item.interval.upper + 1)}
    ordered = sorted(cuts, key=_when_long)
    stretches = [
        (lower, sp.expand(after - 1)) for lower, after in pairwise(ordered) if _when_long(lower) < _when_long(after)
    ]
    found: list[Case] = []
    beyond: dict[Access, None] = {}
    for lower, upper in reversed(stretches):
        point = lower == upper
        alive = [item for item in guarded if item.is_alive(lower, upper)]
        for item in alive:
            if item.interval is not None and not item.holds_on(lower, upper):
                beyond |= dict.fromkeys(item.first_beyond(span.index))
        body = tidy(ast.Add(tuple(item.body for item in alive)), scope) if alive else zero_like(equation.value, scope)
        body = tidy(_settled(body, span.index, lower, upper, scope), scope)
        at: dict[sp.Symbol, Integer] = {span.index: upper} if point else {}
        target = ast.substitute_indices(equation.target, at)
        assert isinstance(target, Access)
        found.append(Case(target, ast.substitute_indices(body, at), span.index, lower, upper))
    return Cases(tuple(found), tuple(beyond))


def _settled(body: Expression, index: sp.Symbol, lower: Integer, upper: Integer, scope: Scope) -> Expression:
    """``body`` without the conditions on the index that hold on the whole stretch, nor what holds nowhere on it."""
    inner = ast.map_children(lambda child: _settled(child, index, lower, upper, scope), body)
    if not isinstance(inner, ast.Guard) or isinstance(inner.body, Access):
        return inner
    mine = [c for c in inner.conditions if isinstance(c, Within) and c.value == index]
    if any(_when_long(c.upper) < _when_long(lower) or _when_long(upper) < _when_long(c.lower) for c in mine):
        return zero_like(inner.body, scope)
    held = [c for c in mine if not ((lower - c.lower).is_nonnegative and (c.upper - upper).is_nonnegative)]
    kept = tuple(c for c in inner.conditions if c not in mine or c in held)
    return ast.Guard(kept, inner.body) if kept else inner.body


def _when_long(value: Integer) -> sp.Expr:
    """The value where every size is large; sizes are told apart so that the order is the same each time."""
    names = sorted(symbols_in(value), key=str)
    return replaced(value, {symbol: sp.Integer(LARGE + 7 * number) for number, symbol in enumerate(names)})


@dataclass(frozen=True)
class _Guarded:
    """One term with the interval of the time index in which it counts, if its guard says one."""

    interval: Within | None
    body: Expression
    zero_outside: bool
    accesses: tuple[Access, ...] = ()

    @staticmethod
    def read(term: Expression, index: sp.Symbol, scope: Scope) -> _Guarded:
        if not isinstance(term, ast.Guard):
            return _Guarded(None, term, False)
        mine = [c for c in term.conditions if isinstance(c, Within) and c.value == index]
        others = tuple(c for c in term.conditions if c not in mine)
        if len(mine) != 1:
            return _Guarded(None, term, False)
        body = ast.Guard(others, term.body) if others else term.body
        beyond = tuple(_zero_beyond(body, mine[0], index, scope))
        safe = bool(beyond) and not list(_unsafe(body, mine[0], index, scope))
        return _Guarded(mine[0], body, safe, beyond)

    def is_alive(self, lower: Integer, upper: Integer) -> bool:
        if self.interval is None:
            return True
        return bool(
            _when_long(self.interval.lower) <= _when_long(upper)
            and _when_long(lower) <= _when_long(self.interval.upper)
        )

    def holds_on(self, lower: Integer, upper: Integer) -> bool:
        assert self.interval is not None
        return bool(
            _when_long(self.interval.lower) <= _when_long(lower)
            and _when_long(upper) <= _when_long(self.interval.upper)
        )

    def first_beyond(self, index: sp.Symbol) -> Iterable[Access]:
        """The accesses just beyond the interval, δ^{T+1}."""
        assert self.interval is not None
        for access in self.accesses:
            moved = ast.substitute_indices(access, {index: sp.expand(self.interval.upper + 1)})
            assert isinstance(moved, Access)
            yield moved


def _zero_beyond(body: Expression, interval: Within, index: sp.Symbol, scope: Scope) -> Iterable[Access]:
    """Factors that are zero by declaration wherever the interval does not hold: the guard says nothing new."""
    for node in _factors(body):
        if not isinstance(node, Access) or not scope[node.name].zero_outside or not node.superscripts:
            continue
        (bounds,) = scope[node.name].superscripts[:1]
        position = node.superscripts[0]
        last = sp.expand(replaced(position, {index: interval.upper}) - bounds.upper)
        if position.has(index) and last == 0:
            yield node


def _unsafe(body: Expression, interval: Within, index: sp.Symbol, scope: Scope) -> Iterable[Access]:
    """Other accesses that would be read outside their range if the guard were dropped."""
    for node in ast.walk(body):
        if isinstance(node, Access) and node.superscripts and not scope[node.name].zero_outside:
            shift = sp.expand(node.superscripts[0] - index)
            if node.superscripts[0].has(index) and _when_long(shift) > 0:
                yield node


def _factors(body: Expression) -> Iterable[Expression]:
    match body:
        case ast.Product(factors=factors) | ast.Hadamard(factors=factors):
            for factor in factors:
                yield from _factors(factor)
        case ast.Negative(operand=operand) | ast.Transpose(operand=operand):
            yield from _factors(operand)
        case ast.Diagonal(vector=vector):
            yield from _factors(vector)
        case _:
            yield body

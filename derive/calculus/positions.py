"""The positions of several indices at which arrays are read, each solved for the index of an output."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from derive.calculus.adjoint import Adjoint, Contribution
from derive.calculus.affine import denominator_of
from derive.calculus.symbols import coefficient_of, symbols_in
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Divides, Expression, Integer, Within
from derive.language.system import Equation, Range


@dataclass(frozen=True)
class Position:
    """``position = letter``, solved for ``index``: it is ``solution``, a whole number where ``divisor`` divides."""

    position: Integer
    letter: sp.Symbol
    index: sp.Symbol
    solution: Integer
    divisor: Integer

    @property
    def read(self) -> tuple[Divides | Within, ...]:
        """The condition that the entry is read."""
        scale = denominator_of(self.position)
        whole = () if scale == 1 else (Divides(scale, sp.expand(self.position * scale)),)
        return (*whole, Within(self.position, self.letter, self.letter))

    @property
    def solved(self) -> tuple[Divides | Within, ...]:
        """The same, said about the index."""
        value = sp.expand(self.solution * self.divisor)
        divides = () if self.divisor == 1 else (Divides(self.divisor, value),)
        return (*divides, Within(self.index, self.solution, self.solution))


def positions_of(contribution: Contribution, found: Adjoint, walk: Walk) -> Iterator[Position]:
    """The positions at which a stage reads the array, solved for the stage's own index where it has one."""
    if contribution.scattered is None:
        return
    target = target_of(contribution, walk)
    own = [] if target is None else [s for s in symbols_in(*target.subscripts) if not ast.is_size(s)]
    for condition in conditions_in(contribution.scattered):
        if isinstance(condition, Within) and condition.lower == condition.upper:
            letter, position = condition.lower, sp.expand(condition.value)
            inner = [s for s in symbols_in(position) if not ast.is_size(s) and s not in own]
            candidates = sorted(set(own) & symbols_in(position), key=str) or sorted(inner, key=str)
            solved = [p for s in candidates if isinstance(letter, sp.Symbol) and (p := _solved(position, letter, s))]
            yield from sorted(solved, key=lambda p: p.divisor != 1)[:1]


def _solved(position: Integer, letter: sp.Symbol, index: sp.Symbol) -> Position | None:
    scale = denominator_of(position)
    whole = sp.expand(position * scale)
    coefficient = coefficient_of(index, whole)
    rest = sp.expand(whole - coefficient * index)
    if rest.has(index) or not (coefficient.is_positive or coefficient.is_negative):
        return None
    return Position(position, letter, index, sp.expand((scale * letter - rest) / coefficient), abs(coefficient))


def conditions_in(value: Expression) -> Iterator[ast.Condition]:
    """Every condition inside an expression."""
    for node in ast.walk(value):
        if isinstance(node, ast.Guard):
            yield from node.conditions


def sums_in(value: Expression) -> Iterator[Range]:
    """The range of every sum inside an expression."""
    for node in ast.walk(value):
        if isinstance(node, ast.Sum):
            yield Range(node.index, node.lower, node.upper)


def accesses_in(value: Expression) -> Iterator[Access]:
    """Every array that an expression reads."""
    return (node for node in ast.walk(value) if isinstance(node, Access))


def equation_of(contribution: Contribution, walk: Walk) -> Equation | None:
    """The forward equation of the stage; None for a start."""
    return next((e for e in walk.forward.equations if e.target.name == contribution.stage.name), None)


def target_of(contribution: Contribution, walk: Walk) -> Access | None:
    """What the stage writes, with the indices that its equation uses."""
    equation = equation_of(contribution, walk)
    return None if equation is None else equation.target


def is_adjoint(name: str, walk: Walk) -> bool:
    """The array is what flows back to another one."""
    return name in walk.names.values()

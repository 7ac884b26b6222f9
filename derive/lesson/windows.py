"""Windows, found by structure: arrays read at positions made of an index of the output and one that runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sympy as sp

from derive.calculus.affine import denominator_of
from derive.calculus.symbols import coefficient_of, symbols_in
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer
from derive.language.system import Equation, Program, Range


@dataclass(frozen=True)
class WindowAxis:
    """``position`` on the axis ``place``: ``moves`` is the index of the output, ``runs`` the one within the window."""

    place: int
    position: Integer
    moves: sp.Symbol
    runs: Range

    @property
    def strides(self) -> set[str]:
        """The sizes that say how far the window moves from one output to the next."""
        scale = denominator_of(self.position)
        return _sizes(scale, coefficient_of(self.moves, sp.expand(self.position * scale)))

    @property
    def extents(self) -> set[str]:
        """The sizes that say how long the window is."""
        return _sizes(sp.expand(self.runs.upper - self.runs.lower))

    @property
    def margins(self) -> set[str]:
        """The sizes that say where the first window begins."""
        scale = denominator_of(self.position)
        whole = sp.expand(self.position * scale)
        rest = whole - sum(coefficient_of(index, whole) * index for index in (self.moves, self.runs.index))
        return _sizes(sp.expand(rest)) - self.extents - _sizes(coefficient_of(self.runs.index, whole)) - self.strides


@dataclass(frozen=True)
class Windowed:
    """An equation that reads ``array`` through a window; ``weights`` are the arrays that it is multiplied with."""

    equation: Equation
    array: str
    axes: tuple[WindowAxis, ...]
    weights: tuple[str, ...]

    @property
    def has_maximum(self) -> bool:
        """Whether the largest entry of the window is taken."""
        return any(isinstance(node, ast.Maximum) for node in ast.walk(self.equation.value))


def windowed(program: Program) -> list[Windowed]:
    """The equations of a program that read an array through a window, in its order."""
    return [found for equation in program.equations for found in [window_of(equation, program)] if found]


def window_of(equation: Equation, program: Program) -> Windowed | None:
    """The window of an equation, the first where it has several."""
    choices = {item.name for item in program.declarations if item.choice}
    bound = {span.index: span for span in _bound(equation.value)}
    own = {place for place in equation.target.subscripts if isinstance(place, sp.Symbol)}
    accesses = [n for n in ast.walk(equation.value) if isinstance(n, Access) and n.name not in choices]
    for access in accesses:
        axes = tuple(_axes(access, own, bound))
        if axes:
            runs = {axis.runs.index for axis in axes}
            weights = dict.fromkeys(
                other.name for other in accesses if other.name != access.name and runs & symbols_in(*other.subscripts)
            )
            return Windowed(equation, access.name, axes, tuple(weights))
    return None


def _axes(access: Access, own: set[sp.Symbol], bound: dict[sp.Symbol, Range]) -> Iterator[WindowAxis]:
    for place, position in enumerate(access.subscripts):
        inside = symbols_in(position)
        moves, runs = sorted(inside & own, key=str), sorted(inside & bound.keys(), key=str)
        if len(moves) == len(runs) == 1:
            yield WindowAxis(place, position, moves[0], bound[runs[0]])


def _bound(value: Expression) -> Iterator[Range]:
    for node in ast.walk(value):
        if isinstance(node, ast.Sum):
            yield Range(node.index, node.lower, node.upper)
        elif isinstance(node, ast.Maximum):
            yield from node.ranges


def _sizes(*values: Integer) -> set[str]:
    return {symbol.name for symbol in symbols_in(*values) if ast.is_size(symbol)}

"""The choice of a maximum as an array: ``y[i] = max over a of x[i, a]`` is Σ_a argmax_y[i, a] x[i, a].

Where the choice is held constant, as it is all around a point without a tie, that sum says what the maximum changes by.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, replace

import sympy as sp

from derive.calculus.symbols import symbols_in
from derive.language import expression as ast
from derive.language.bounds import extremes
from derive.language.errors import RangeError
from derive.language.expression import Access, Expression, Integer, Maximum, Range, Share
from derive.language.printer import range_source
from derive.language.system import Declaration, Equation, Program

LETTERS = "kjinmlpq"


def with_choices(program: Program) -> Program:
    """``program`` with an array for the choice of each equation that is a maximum, entry by entry."""
    named = {declaration.name: declaration for declaration in program.declarations}
    declarations: list[Declaration] = list(program.declarations)
    equations: list[Equation] = []
    for given in program.equations:
        if not isinstance(given.value, Maximum) or given.value.choice is not None:
            equations.append(given)
            continue
        taken = named.keys() | {size.name for size in program.sizes}
        equation, choice, declared = _chosen(_entrywise(given, named, taken), named)
        named[declared.name] = declared
        declarations.append(declared)
        equations += [equation, choice]
    if len(equations) == len(program.equations):
        return program
    return replace(program, declarations=tuple(declarations), equations=tuple(equations))


def _entrywise(equation: Equation, scope: Mapping[str, Declaration], taken: Container[str]) -> Equation:
    """The equation for one entry, where it is one for a whole array."""
    target, value = equation.target, equation.value
    shape = scope[target.name].shape
    if not shape or target.subscripts:
        return equation
    assert isinstance(value, Maximum)
    used = {item.index.name for item in (*equation.ranges, *value.ranges)}
    free = [letter for letter in (*LETTERS, *(f"i{number}" for number in range(1, 100))) if letter not in used]
    letters = [ast.index(letter) for letter in free if letter not in taken][: len(shape)]
    if isinstance(value.body, Access) and not value.body.subscripts and scope[value.body.name].shape:
        value = replace(value, body=replace(value.body, subscripts=tuple(letters)))
    axes = tuple(Range(letter, sp.Integer(0), extent - 1) for letter, extent in zip(letters, shape, strict=True))
    return Equation(replace(target, subscripts=tuple(letters)), value, (*equation.ranges, *axes))


def _chosen(equation: Equation, scope: Mapping[str, Declaration]) -> tuple[Equation, Equation, Declaration]:
    """The equation with its choice named, the equation of the choice, and its declaration."""
    target, maximum = equation.target, equation.value
    assert isinstance(maximum, Maximum)
    own = scope[target.name]
    name = f"argmax_{target.name}"
    while name in scope:
        name += "_"
    window = boxes(maximum, equation.ranges)
    inside = tuple(sp.expand(item.index - item.lower) for item in window)
    extents = tuple(sp.expand(item.upper - item.lower + 1) for item in window)
    declared = Declaration(
        name, "defined", (*own.shape, *extents), own.superscripts, zero_outside=True, choice=len(window)
    )
    letters = tuple(item.index for item in window)
    at = tuple(sp.expand(item.index + item.lower) for item in window)
    steps = tuple(Range(item.index, sp.Integer(0), extent - 1) for item, extent in zip(window, extents, strict=True))
    choice = Equation(
        replace(target, name=name, subscripts=(*target.subscripts, *letters)),
        Share(maximum, at),
        (*equation.ranges, *steps),
    )
    read = replace(target, name=name, subscripts=(*target.subscripts, *inside))
    return replace(equation, value=replace(maximum, choice=read)), choice, declared


def boxes(maximum: Maximum, around: tuple[Range, ...]) -> tuple[Range, ...]:
    """The ranges of a maximum, widened to the same ends whatever the indices around are."""
    bounds = {item.index: (item.lower, item.upper) for item in around}
    found: list[Range] = []
    for item in maximum.ranges:
        lower, upper = _end(item.lower, bounds, 0), _end(item.upper, bounds, 1)
        if lower is None or upper is None:
            message = f"How far {range_source(item)} reaches does not follow from the ranges of other indices."
            raise RangeError(message, maximum.span, "Let it end at a number made of sizes, and say the rest by 'with'.")
        bounds[item.index] = lower, upper
        found.append(Range(item.index, lower, upper))
    return tuple(found)


def _end(value: Integer, bounds: Mapping[sp.Symbol, tuple[Integer, Integer]], side: int) -> Integer | None:
    """The least (side 0) or greatest ``value`` within ``bounds``."""
    if not symbols_in(value) & bounds.keys():
        return value
    if isinstance(value, sp.Min | sp.Max):
        ends = [_end(part, bounds, side) for part in value.args if isinstance(part, sp.Expr)]
        return None if None in ends else value.func(*ends)
    ends = extremes(value, dict(bounds))
    return None if ends is None else ends[side]


# What it reads like ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """The choice array of a maximum: where the maximum stands, and the least value of each index of its window."""

    equation: Equation
    lower: tuple[Integer, ...]

    @property
    def maximum(self) -> Maximum:
        """The maximum."""
        value = self.equation.value
        assert isinstance(value, Maximum)
        return value


def choices(program: Program) -> dict[str, Choice]:
    """The choice arrays of a program by name."""
    found: dict[str, Choice] = {}
    for equation in program.equations:
        value = equation.value
        if isinstance(value, Maximum) and value.choice is not None:
            window = value.choice.subscripts[len(value.choice.subscripts) - len(value.ranges) :]
            lower = (item.index - place for item, place in zip(value.ranges, window, strict=True))
            found[value.choice.name] = Choice(equation, tuple(sp.expand(end) for end in lower))
    return found


def as_sum(maximum: Maximum) -> Expression:
    """Σ choice · body, which the maximum is; where there are ties, only if their shares add up to 1."""
    assert maximum.choice is not None
    value: Expression = ast.Product((maximum.choice, maximum.body))
    if maximum.conditions:
        value = ast.Guard(maximum.conditions, value)
    for item in reversed(maximum.ranges):
        value = ast.Sum(item.index, item.lower, item.upper, value)
    return value


def is_choice(equation: Equation) -> bool:
    """The equation makes a choice, which is held constant."""
    return isinstance(equation.value, Share)

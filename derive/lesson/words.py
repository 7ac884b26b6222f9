"""Sentences and formulas of a derivation as the inlines and displays of a handout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from derive.calculus.symbols import symbols_in
from derive.handout.blocks import Inline, Inlines
from derive.handout.formula import Aligned, Formula, Operator, Row, Space, Words, row
from derive.language.expression import OrderedProduct
from derive.language.system import Equation, Program, Range
from derive.notation import Names, formula, ranges_formula, unrolled_product
from derive.trace import Line, Sentence


def inlines(sentence: Sentence, names: Names) -> Inlines:
    """Words and formulas as inlines."""
    return tuple(part if isinstance(part, str) else formula(part, names) for part in sentence)


def display(lines: Sequence[Line], names: Names) -> Formula:
    """The lines of a step, aligned at their relation; a condition stands behind its line."""
    written = [_sides(line, names) for line in lines]
    if len(written) == 1:
        left, right = written[0]
        return row(left, right)
    return Aligned(tuple(written))


def _sides(line: Line, names: Names) -> tuple[Formula, Formula]:
    left, *others = line.sides
    right: list[Formula] = []
    for side in others:
        right += [Operator("="), formula(side, names)]
        if isinstance(side, OrderedProduct) and len(line.sides) == 2:
            right += [Operator("="), unrolled_product(side, names)]
    return formula(left, names), Row((*right, *_condition(line.where, names)))


def _condition(where: Sentence, names: Names) -> tuple[Formula, ...]:
    if not where:
        return ()
    first = where[0]
    pieces: list[Formula] = [Space("quad")] if isinstance(first, str) and not first.startswith(",") else []
    pieces += [Words(part) if isinstance(part, str) else formula(part, names) for part in where]
    return tuple(pieces)


def equations_display(equations: Iterable[Equation], names: Names) -> Formula:
    """Equations one below the other, each with its range."""
    lines = []
    for equation in equations:
        ranges = [Space("quad"), Words("for "), ranges_formula(equation.ranges)] if equation.ranges else []
        right = Row((Operator("="), formula(equation.value, names, equation.ranges), *ranges))
        lines.append((formula(equation.target, names), right))
    return Aligned(tuple(lines))


def listed(items: Sequence[Inline | Inlines]) -> Inlines:
    """a, b and c."""
    found: list[Inline] = []
    for number, item in enumerate(items):
        if number:
            found.append(" and " if number == len(items) - 1 else ", ")
        found += item if isinstance(item, tuple) else (item,)
    return tuple(found)


def time_sizes(program: Program) -> set[str]:
    """The sizes that count time steps: those in the range of a superscript."""
    ranges: list[Range] = [r for d in program.declarations for r in d.superscripts]
    return {symbol.name for r in ranges for symbol in symbols_in(r.lower, r.upper)}

"""Sentences and formulas of a derivation as the inlines and displays of a handout."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from derive.calculus.symbols import symbols_in
from derive.handout.blocks import Inline, Inlines
from derive.handout.formula import Aligned, Formula, Operator, Row, Space, Words, row
from derive.language.expression import ONE, Guard, OrderedProduct
from derive.language.system import Equation, Program, Range, System
from derive.notation import Names, formula, integer_formula, plain_name, ranges_formula, unrolled_product
from derive.parameters import Amount, parameters
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
    first = formula(left, names)
    if isinstance(left, Guard) and left.body == ONE:  # a condition and others that say the same
        return Row(()), Row((first, *right, *_condition(line.where, names)))
    return first, Row((*right, *_condition(line.where, names)))


def _condition(where: Sentence, names: Names) -> tuple[Formula, ...]:
    if not where:
        return ()
    first = where[0]
    pieces: list[Formula] = [Space("quad")] if isinstance(first, str) and not first.startswith(",") else []
    pieces += [Words(part) if isinstance(part, str) else formula(part, names) for part in where]
    return tuple(pieces)


def equations_display(equations: Iterable[Equation], names: Names) -> Formula:
    """Equations one below the other, each with its range; several ranges are too long to stand there."""
    lines = []
    for equation in equations:
        ranges = [Space("quad"), Words("for "), ranges_formula(equation.ranges)] if equation.ranges else []
        right = [Operator("="), formula(equation.value, names, equation.ranges)]
        lines.append((formula(equation.target, names), Row((*right, *(ranges if len(equation.ranges) == 1 else [])))))
    return Aligned(tuple(lines))


def listed(items: Sequence[Inline | Inlines]) -> Inlines:
    """a, b and c."""
    found: list[Inline] = []
    for number, item in enumerate(items):
        if number:
            found.append(" and " if number == len(items) - 1 else ", ")
        found += item if isinstance(item, tuple) else (item,)
    return tuple(found)


def learnt_words(system: System) -> Inlines:
    """How many numbers are learnt, as a sentence; nothing where nothing is."""
    found = parameters(system)
    if found.all.formula == 0:
        return ()

    def counted(amount: Amount) -> Inlines:
        value = "" if amount.value is None or not amount.formula.free_symbols else f" = {amount.value:,}"
        return (integer_formula(amount.formula), value)

    weights = found.weights.formula not in (0, found.all.formula)
    rest = (
        (" numbers, ", *counted(found.weights), " of them weights, in arrays with two axes or more")
        if weights
        else (" numbers",)
    )
    sizes = [(plain_name(name), f" = {value:,}") for name, value in found.sizes]
    where = (", where ", *listed(sizes)) if sizes else ()
    return ("It learns ", *counted(found.all), *rest, *where, ".")


def time_sizes(program: Program) -> set[str]:
    """The sizes that count time steps: those in the range of a superscript."""
    ranges: list[Range] = [r for d in program.declarations for r in d.superscripts]
    return {symbol.name for r in ranges for symbol in symbols_in(r.lower, r.upper)}

"""Whole statements as formulas: equations, declarations, shapes and ranges; and both ways of printing them."""

from __future__ import annotations

from collections.abc import Iterable

from derive.handout import latex as latex_printer
from derive.handout import plain as plain_printer
from derive.handout.formula import Blackboard, Formula, Operator, Row, Space, Words, row, sup
from derive.language.expression import Access, Expression
from derive.language.system import Declaration, Equation, Program, Range, Shape, Start, System
from derive.notation.expressions import choice_equation, formula
from derive.notation.integers import integer_formula
from derive.notation.names import Names


def names_of(system: System) -> Names:
    """How ``system`` writes names: its loss is ℓ, and its time index stands where the convention ``time`` says."""
    subscript = dict(system.conventions).get("time") == "subscript"
    return Names(loss=system.loss, time="subscript" if subscript else "superscript")


def equation_formula(equation: Equation, names: Names | None = None, *, with_ranges: bool = False) -> Formula:
    """target = value, and where asked for the range over which it holds: z^t = W x^t + U h^{t−1} for t = 1, …, T."""
    left = formula(equation.target, names)
    right = formula(equation.value, names, equation.ranges)
    around = equation.ranges
    if (choice := choice_equation(equation, names or Names())) is not None:
        left, right, around = choice
    ranges = [Space("quad"), Words("for "), ranges_formula(around)] if with_ranges and around else []
    return row(left, "=", right, *ranges)


def ranges_formula(ranges: Iterable[Range]) -> Formula:
    """t = 1, …, T."""
    pieces: list[Formula] = []
    for item in ranges:
        pieces += [Operator(","), Space("thick")] if pieces else []
        pieces += [integer_formula(item.index), Operator("="), integer_formula(item.lower)]
        if item.lower != item.upper:
            pieces += [Operator(","), Operator("dots"), Operator(","), integer_formula(item.upper)]
    return Row(tuple(pieces))


def shape_formula(shape: Shape) -> Formula:
    """ℝ, ℝ^n, ℝ^{n×d}."""
    pieces = [piece for extent in shape for piece in (Operator("times"), integer_formula(extent))][1:]
    return sup(Blackboard("R"), Row(tuple(pieces))) if pieces else Blackboard("R")


def definition(declaration: Declaration, names: Names | None = None) -> Formula:
    """x^t ∈ ℝ^d for t = 1, …, T."""
    access = Access(declaration.name, tuple(item.index for item in declaration.superscripts))
    ranges = [Space("quad"), Words("for "), ranges_formula(declaration.superscripts)] if access.superscripts else []
    return row(formula(access, names), "in", shape_formula(declaration.shape), *ranges)


def start_formula(start: Start, program: Program, names: Names | None = None) -> Formula:
    """h^0 = 0; where the caller must give it, h^0 ∈ ℝ^n."""
    left = formula(start.access, names)
    if start.value is None:
        return row(left, "in", shape_formula(program.declaration(start.access.name).shape))
    return row(left, "=", formula(start.value, names))


def _formula(statement: Expression | Equation, names: Names | None) -> Formula:
    return equation_formula(statement, names) if isinstance(statement, Equation) else formula(statement, names)


def latex(statement: Expression | Equation, names: Names | None = None) -> str:
    """An expression or an equation as LaTeX."""
    return latex_printer.latex(_formula(statement, names))


def text(statement: Expression | Equation, names: Names | None = None) -> str:
    """An expression or an equation as one line of Unicode text."""
    return plain_printer.plain(_formula(statement, names))

"""Equations with numbers put in for some of their sizes, written as one would write them for these alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from derive.calculus.implied import readable
from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, substitute_indices
from derive.language.system import Equation, Program, Range
from derive.worked.singletons import without_singletons


def with_sizes(equation: Equation, program: Program, known: Mapping[sp.Symbol, Integer]) -> Equation:
    """The equation at those sizes, without indices that have one value and axes of length 1."""

    def integer(value: Integer) -> Integer:
        found = value.xreplace(dict(known))
        assert isinstance(found, sp.Expr)
        return found

    declarations = tuple(replace(item, shape=tuple(map(integer, item.shape))) for item in program.declarations)
    target = substitute_indices(equation.target, dict(known))
    assert isinstance(target, Access)
    ranges = tuple(Range(span.index, integer(span.lower), integer(span.upper)) for span in equation.ranges)
    numeric = Equation(target, substitute_indices(equation.value, dict(known)), ranges)
    whole = {item.name: item for item in declarations}
    long = {name: replace(item, shape=tuple(e for e in item.shape if e != 1)) for name, item in whole.items()}
    reduced = without_singletons(readable(numeric, whole), replace(program, declarations=declarations))
    return replace(reduced, value=_without_divisor_1(readable(reduced, long).value))


def _without_divisor_1(value: Expression) -> Expression:
    """Without the condition that 1 divides something."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if not isinstance(inner, ast.Guard):
            return inner
        kept = tuple(c for c in inner.conditions if not (isinstance(c, ast.Divides) and c.divisor == 1))
        return replace(inner, conditions=kept) if kept else inner.body

    return visit(value)

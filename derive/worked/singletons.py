"""Equations without the axes that have one position: a grid is one sample with one channel, which nobody writes."""

from __future__ import annotations

from dataclasses import replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Integer, substitute_indices
from derive.language.system import Equation, Program, Range


def without_singletons(equation: Equation, program: Program) -> Equation:
    """The equation with indices of one value put in, and no subscript on an axis of extent 1."""
    shapes = {item.name: item.shape for item in program.declarations}
    fixed: dict[sp.Symbol, Integer] = {span.index: span.lower for span in equation.ranges if _is_single(span)}

    def visit(node: Expression) -> Expression:
        if isinstance(node, ast.Sum) and _is_single(Range(node.index, node.lower, node.upper)):
            return visit(substitute_indices(node.body, {node.index: node.lower}))
        if isinstance(node, Access) and node.subscripts:
            kept = [place for place, extent in zip(node.subscripts, shapes[node.name], strict=True) if extent != 1]
            return replace(node, subscripts=tuple(kept))
        return ast.map_children(visit, node)

    target = visit(substitute_indices(equation.target, fixed))
    assert isinstance(target, Access)
    ranges = tuple(span for span in equation.ranges if not _is_single(span))
    return Equation(target, visit(substitute_indices(equation.value, fixed)), ranges)


def as_written(equation: Equation, left_out: str) -> Equation:
    """The equation as people write it: no term that is an array ``left_out`` alone, no condition to stay inside."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if isinstance(inner, ast.Guard) and all(isinstance(one, ast.Within) for one in inner.conditions):
            return inner.body
        if isinstance(inner, ast.Add):
            kept = tuple(term for term in inner.terms if not (isinstance(term, Access) and term.name == left_out))
            return kept[0] if len(kept) == 1 else replace(inner, terms=kept)
        return inner

    return replace(equation, value=visit(equation.value))


def _is_single(span: Range) -> bool:
    return span.lower == span.upper

"""Equations as people read them where a convention says what lies outside an array: without conditions that say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import sympy as sp

from derive.language import expression as ast
from derive.language.expression import Access, Expression, Within
from derive.language.system import Declaration, Equation, System
from derive.trace import Line, Sentence, Step

Shapes = Mapping[str, Declaration]


def is_told(system: System) -> bool:
    """Whether a convention says what a position outside an array is, so that equations need not."""
    return dict(system.conventions).get("outside") in ("zero", "skipped")


def as_read(expression: Expression, shapes: Shapes) -> Expression:
    """The expression without the conditions that a position lies inside its array."""

    def visit(node: Expression) -> Expression:
        inner = ast.map_children(visit, node)
        if isinstance(inner, ast.Maximum):
            left = tuple(condition for condition in inner.conditions if not _is_implied(condition, inner.body, shapes))
            return replace(inner, conditions=left)
        if not isinstance(inner, ast.Guard):
            return inner
        kept = tuple(condition for condition in inner.conditions if not _is_implied(condition, inner.body, shapes))
        return replace(inner, conditions=kept) if kept else inner.body

    return visit(expression)


def equation_as_read(equation: Equation, shapes: Shapes) -> Equation:
    """The same for an equation."""
    return replace(equation, value=as_read(equation.value, shapes))


def step_as_read(step: Step, shapes: Shapes) -> Step:
    """The same for what a step displays and says."""

    def sentence(words: Sentence) -> Sentence:
        return tuple(part if isinstance(part, str) else as_read(part, shapes) for part in words)

    lines = tuple(Line(tuple(as_read(side, shapes) for side in line.sides), line.where) for line in step.lines)
    return replace(step, title=sentence(step.title), reason=sentence(step.reason), lines=lines)


def _is_implied(condition: ast.Condition, body: Expression, shapes: Shapes) -> bool:
    """Whether the body is zero wherever the condition fails, since it has a factor that is read outside its array."""
    match body:
        case Access(name=name, subscripts=subscripts) if isinstance(condition, Within) and name in shapes:
            return any(
                condition.lower == 0
                and sp.expand(place - condition.value) == 0
                and sp.expand(extent - 1 - condition.upper) == 0
                for place, extent in zip(subscripts, shapes[name].shape, strict=False)
            )
        case ast.Product(factors=factors) | ast.Hadamard(factors=factors):
            return any(_is_implied(condition, factor, shapes) for factor in factors)
        case ast.Negative(operand=inner) | ast.Quotient(numerator=inner) | ast.Guard(body=inner):
            return _is_implied(condition, inner, shapes)
        case _:
            return False

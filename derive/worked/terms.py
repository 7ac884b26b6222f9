"""Windows read off index notation: the terms of a sum, or the candidates of a maximum, at given numbers.

Any equation whose value is a sum or a maximum of an array at affine positions can be read, a model's as well as a
gradient's: the window of an output is the list of its terms, and so is what an input receives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from derive.calculus.stages import matched
from derive.evaluate import EvaluationError, Scope, holds, inside, integer, value
from derive.evaluate.positions import matched as matching
from derive.language import expression as ast
from derive.language.expression import Access, Expression, substitute_indices
from derive.language.system import Equation, Program, Range
from derive.worked.numerals import Number

Position = tuple[int, ...]


@dataclass(frozen=True)
class Term:
    """One term: the values of the bound indices, where each array is read, and what the term is worth.

    ``takes_part`` is false for a candidate that a maximum leaves out, ``is_open`` where a condition makes the term
    zero. A position may lie outside its array.
    """

    at: Position
    reads: Mapping[str, Position]
    value: Number
    takes_part: bool = True
    is_open: bool = True


def reduction(expression: Expression, array: str) -> Expression | None:
    """The outermost sum or maximum in which ``array`` is read."""
    for node in ast.walk(expression):
        if isinstance(node, ast.Sum | ast.Maximum) and reads(node, array):
            return node
    return None


def reads(expression: Expression, array: str) -> bool:
    """Whether the expression has an access to the array."""
    return any(isinstance(node, Access) and node.name == array for node in ast.walk(expression))


def terms(expression: Expression, scope: Scope, array: str) -> list[Term]:
    """The terms of the sum or maximum over ``array``; an expression that is neither is one term."""
    node = reduction(expression, array)
    return list(_terms(node if node is not None else expression, scope, ()))


def _terms(node: Expression, scope: Scope, at: Position) -> Iterator[Term]:
    match node:
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            for step in _steps(Range(bound, lower, upper), scope):
                yield from _terms(body, inside(scope, bound, step), (*at, step))
        case ast.Maximum(ranges=ranges, body=body, conditions=conditions):
            for place, here in _places(ranges, scope):
                takes_part = all(holds(condition, here.integers) for condition in conditions)
                worth = value(body, here) if takes_part else value(ast.ZERO, here)
                yield Term((*at, *place), _reads(body, here), worth, takes_part, is_open(body, here))
        case _:
            if all(holds(condition, scope.integers) for condition in _divisibilities(node)):
                yield Term(at, _reads(node, scope), value(node, scope), True, is_open(node, scope))


def _places(ranges: Sequence[Range], scope: Scope) -> Iterator[tuple[Position, Scope]]:
    if not ranges:
        yield (), scope
        return
    for step in _steps(ranges[0], scope):
        for place, here in _places(ranges[1:], inside(scope, ranges[0].index, step)):
            yield (step, *place), here


def _steps(span: Range, scope: Scope) -> range:
    return range(integer(span.lower, scope.integers), integer(span.upper, scope.integers) + 1)


def _divisibilities(node: Expression) -> Iterator[ast.Condition]:
    """Conditions without which a position is no whole number, so that there is no term at all."""
    for inner in ast.walk(node):
        if isinstance(inner, ast.Guard):
            yield from (condition for condition in inner.conditions if isinstance(condition, ast.Divides))


def _reads(node: Expression, scope: Scope) -> dict[str, Position]:
    """Where each array is read; one that is read twice, at its first place."""
    found: dict[str, Position] = {}
    for access in ast.walk(node):
        if isinstance(access, Access) and access.name not in found:
            try:
                found[access.name] = tuple(integer(place, scope.integers) for place in access.subscripts)
            except EvaluationError:
                continue
    return found


def is_open(expression: Expression, scope: Scope) -> bool:
    """Whether no condition in the expression fails."""
    guards = [node for node in ast.walk(expression) if isinstance(node, ast.Guard)]
    return all(holds(condition, scope.integers) for guard in guards for condition in guard.conditions)


def placed(scope: Scope, equation: Equation, position: Position) -> Scope:
    """The scope at one entry of the array that the equation defines."""
    bound = matching(equation.target.subscripts, position, equation.ranges, scope.integers)
    if bound is None:
        raise EvaluationError(f"the equation of {equation.target.name} says nothing of {list(position)}")
    return replace(scope, integers=bound)


def expanded(equation: Equation, program: Program, array: str) -> Equation:
    """The equation with the arrays between it and ``array`` put in, as far as they are defined by entry."""
    equations = {equation.target.name: equation for equation in program.equations}

    def between(one: str) -> bool:
        """Whether the array is made of ``array``, directly or not."""
        made_of = {node.name for node in ast.walk(equations[one].value) if isinstance(node, Access)}
        return array in made_of or any(between(other) for other in made_of & equations.keys() - {one})

    def visit(node: Expression) -> Expression:
        if isinstance(node, Access) and node.name in equations and node.subscripts and between(node.name):
            inner = equations[node.name]
            if inner.target.subscripts:
                return visit(substitute_indices(inner.value, dict(matched(inner.target, node))))
        return ast.map_children(visit, node)

    return replace(equation, value=visit(equation.value))

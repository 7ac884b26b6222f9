"""Unnamed adjoints replaced by what they are, so that few names are left to remember; long shared ones stay.

``put_in`` knows a table of adjoints and nothing else of a walk.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.shared_parts import gathered
from derive.calculus.stages import free_indices, matched
from derive.calculus.step_names import is_long
from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope


def is_constant(found: Adjoint) -> bool:
    """The adjoint is a number, as that of each loss in a sum of losses: it is put in wherever it stands."""
    return not any(isinstance(node, Access | ast.Guard) for node in ast.walk(found.equation.value))


def is_named(found: Adjoint) -> bool:
    """The adjoint is a δ, which keeps its name in formulas; the others are written ∂ℓ/∂h and put in."""
    return found.equation.target.name.startswith("delta_")


def shared_names(adjoints: Sequence[Adjoint], gradients: Collection[Adjoint], scope: Scope) -> frozenset[str]:
    """The unnamed adjoints that stay in formulas: long ones, of arrays without time, that one equation reads twice."""
    values = [found.equation.value for found in (*adjoints, *gradients)]
    read = [node.name for value in values for node in ast.walk(value) if isinstance(node, Access)]
    names: set[str] = set()
    for found in adjoints:  # from the loss on: what an adjoint is made from is decided before it
        name = found.equation.target.name
        is_bare = found.has_matrix_form and not found.array.superscripts
        if is_named(found) or is_constant(found) or not is_bare or read.count(name) < 2:
            continue
        value = put_in(found.equation.value, adjoints, scope, names)
        if not is_long(value, scope) and not any(isinstance(node, ast.Sum) for node in ast.walk(value)):
            continue
        if any(_count(put_in(one, adjoints, scope, {*names, name}), name) > 1 for one in values):
            names.add(name)
    return frozenset(names)


def _count(expression: Expression, name: str) -> int:
    return sum(isinstance(node, Access) and node.name == name for node in ast.walk(expression))


def put_in(expression: Expression, adjoints: Sequence[Adjoint], scope: Scope, kept: Collection[str]) -> Expression:
    """``expression`` with the unnamed adjoints replaced by what they are, those in ``kept`` excepted."""
    table = {a.equation.target.name: a.equation for a in adjoints if not is_named(a) and a.has_matrix_form}

    def visit(node: Expression) -> Expression:
        if isinstance(node, ast.Transpose) and isinstance(node.operand, Access):
            return _turned(visit(node.operand), scope)
        if not isinstance(node, Access) or node.name not in table or node.name in kept or node.subscripts:
            return ast.map_children(visit, node)
        equation = table[node.name]
        return visit(_decided(ast.substitute_indices(equation.value, matched(equation.target, node))))

    found = gathered(tidy(visit(expression), scope), scope)
    return apart(found, frozenset(symbol.name for symbol in free_indices(found)))


def _turned(matrix: Expression, scope: Scope) -> Expression:
    """The transpose of what was put in, a product factor by factor."""
    match matrix:
        case ast.Negative(operand=operand):
            return ast.Negative(_turned(operand, scope))
        case ast.Product(factors=factors) if all(len(shape_of(factor, scope)) == 2 for factor in factors):
            return ast.Product(tuple(ast.Transpose(factor) for factor in reversed(factors)))
        case _:
            return ast.Transpose(matrix)


def apart(expression: Expression, around: frozenset[str] = frozenset()) -> Expression:
    """``expression`` with no sum inside another over the same letter."""
    if not isinstance(expression, ast.Sum):
        return ast.map_children(lambda child: apart(child, around), expression)
    used = around | {symbol.name for symbol in free_indices(expression)}
    if expression.index.name in around:
        letters = (*"sukjrqlmpi", *(f"{expression.index.name}{n}" for n in range(1, 100)))
        fresh = ast.index(next(letter for letter in letters if letter not in used))
        body = ast.substitute_indices(expression.body, {expression.index: fresh})
        expression = ast.Sum(fresh, expression.lower, expression.upper, body)
    inner = around | {expression.index.name}
    return ast.Sum(expression.index, expression.lower, expression.upper, apart(expression.body, inner))


def _decided(expression: Expression) -> Expression:
    """Conditions between sizes that always hold, dropped: [T ≤ T ≤ T]."""
    inner = ast.map_children(_decided, expression)
    if not isinstance(inner, ast.Guard):
        return inner
    open_ends = tuple(condition for condition in inner.conditions if not _always(condition))
    if any(_never(condition) for condition in open_ends):
        return ast.ZERO if not isinstance(inner.body, Access) else inner
    return ast.Guard(open_ends, inner.body) if open_ends else inner.body


def _slacks(condition: ast.Within) -> tuple[sp.Expr, sp.Expr]:
    return sp.expand(condition.value - condition.lower), sp.expand(condition.upper - condition.value)


def _always(condition: ast.Condition) -> bool:
    return isinstance(condition, ast.Within) and all(slack.is_nonnegative for slack in _slacks(condition))


def _never(condition: ast.Condition) -> bool:
    return isinstance(condition, ast.Within) and any(slack.is_negative for slack in _slacks(condition))

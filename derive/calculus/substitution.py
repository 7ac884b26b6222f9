"""One equation put into another: unnamed adjoints replaced by what they are, so that few names are left to remember."""

from __future__ import annotations

from collections.abc import Iterable

import sympy as sp

from derive.calculus.adjoint import Adjoint
from derive.calculus.stages import matched
from derive.calculus.tidy import tidy
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression


def is_constant(found: Adjoint) -> bool:
    """The adjoint is a number, as that of each loss in a sum of losses: it is put in wherever it stands."""
    return not any(isinstance(node, Access | ast.Guard) for node in ast.walk(found.equation.value))


def is_named(found: Adjoint) -> bool:
    """The adjoint is a δ, which keeps its name in formulas; the others are written ∂ℓ/∂h and put in."""
    return found.equation.target.name.startswith("delta_")


def inlined(expression: Expression, walk: Walk, kept: Iterable[str] = ()) -> Expression:
    """``expression`` with the unnamed adjoints (∂ℓ/∂h) replaced by what they are; δ's keep their names."""
    stay = set(kept)
    table = {a.equation.target.name: a.equation for a in walk.adjoints if not is_named(a) and a.has_matrix_form}

    def visit(node: Expression) -> Expression:
        if not isinstance(node, Access) or node.name not in table or node.name in stay or node.subscripts:
            return ast.map_children(visit, node)
        equation = table[node.name]
        return visit(_decided(ast.substitute_indices(equation.value, matched(equation.target, node))))

    return tidy(visit(expression), walk.scope)


def put(expression: Expression, old: Expression, new: Expression) -> Expression:
    """``expression`` with ``new`` wherever ``old`` stands."""
    if expression == old:
        return new
    return ast.map_children(lambda child: put(child, old, new), expression)


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

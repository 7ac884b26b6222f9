"""A gradient in closed form: every name that the derivation gave put back, in the form of a textbook."""

from __future__ import annotations

from derive.calculus.stages import matched
from derive.calculus.textbook import textbook
from derive.calculus.walk import Walk
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.system import Equation


def closed_gradient(walk: Walk, key: str) -> Equation:
    """∂loss/∂key in terms of the arrays that are given and learnt; in entries where there is no matrix form."""
    found = walk.gradients[key].equation
    slopes = next(e for e in walk.program.equations if e.target.name == found.target.name)
    return Equation(found.target, textbook(closed(slopes.value, walk), walk.scope), found.ranges)


def closed(expression: Expression, walk: Walk) -> Expression:
    """``expression`` with every defined array and adjoint replaced by what it is."""
    table = {e.target.name: e for e in walk.program.equations}

    def visit(node: Expression) -> Expression:
        if not isinstance(node, Access) or node.name not in table:
            return ast.map_children(visit, node)
        equation = table[node.name]
        if equation.target.subscripts and not node.subscripts:
            return node
        value = visit(ast.substitute_indices(equation.value, matched(equation.target, _alike(node, equation))))
        is_entry = node.subscripts and not equation.target.subscripts
        return ast.Slice(value, node.subscripts) if is_entry else value

    return visit(expression)


def _alike(node: Access, equation: Equation) -> Access:
    """The access without subscripts where the equation is one of whole arrays."""
    return node if equation.target.subscripts else Access(node.name, node.superscripts)

"""What follows from how a matrix is made: S − S' is skew, and its exponential and Cayley transform are orthogonal."""

from __future__ import annotations

from collections.abc import Mapping

from derive.calculus.textbook import textbook
from derive.calculus.tidy import split_coefficient, tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Program, Scope

Values = Mapping[str, Expression]
"""What each array is that a program computes once, by name."""


def values_of(program: Program) -> Values:
    """The right sides of equations of whole arrays that do not change in time."""
    plain = (e for e in program.equations if not e.target.superscripts and not e.target.subscripts)
    return {equation.target.name: equation.value for equation in plain}


def is_skew(expression: Expression, values: Values, scope: Scope) -> bool:
    """The matrix is plainly the negative of its transpose."""
    match expression:
        case Access(name=name, superscripts=(), subscripts=()) if name in values:
            return is_skew(values[name], values, scope)
        case ast.Negative(operand=operand) | ast.Transpose(operand=operand):
            return is_skew(operand, values, scope)
        case ast.Quotient(numerator=above, denominator=below) if not shape_of(below, scope):
            return is_skew(above, values, scope)
        case _:
            if len(shape_of(expression, scope)) != 2:
                return False
            body = split_coefficient(expression)[1]
            if body != expression and shape_of(body, scope):
                return is_skew(body, values, scope)
            turned, negated = (textbook(e, scope) for e in (ast.Transpose(expression), ast.Negative(expression)))
            return turned == negated or (
                isinstance(expression, ast.Add) and all(is_skew(term, values, scope) for term in expression.terms)
            )


def is_orthogonal(expression: Expression, values: Values, scope: Scope) -> bool:
    """The matrix is plainly orthogonal, whatever the parameters are."""
    match expression:
        case Access(name=name, superscripts=(), subscripts=()) if name in values:
            return is_orthogonal(values[name], values, scope)
        case Access(name=name):
            return scope[name].structure == "orthogonal"
        case ast.Identity() | ast.Call(function="permutation"):
            return True
        case ast.Negative(operand=operand) | ast.Transpose(operand=operand):
            return is_orthogonal(operand, values, scope)
        case ast.Call(function="inv", arguments=(matrix,)):
            return is_orthogonal(matrix, values, scope)
        case ast.Call(function="expm", arguments=(matrix,)):
            return is_skew(matrix, values, scope)
        case ast.Call(function="solve", arguments=(left, right)):
            return _is_cayley(left, right, values, scope)
        case ast.Product(factors=(ast.Call(function="inv", arguments=(left,)), right)):
            return _is_cayley(left, right, values, scope)
        case ast.Product(factors=(right, ast.Call(function="inv", arguments=(left,)))):
            return _is_cayley(left, right, values, scope)
        case ast.Product(factors=factors):
            return all(is_orthogonal(factor, values, scope) for factor in factors)
        case _:
            return False


def _is_cayley(inverted: Expression, other: Expression, values: Values, scope: Scope) -> bool:
    """(c I + A)⁻¹ (c I − A) with A skew: then other' = inverted, and both commute."""
    inverted, other = (_made(part, values) for part in (inverted, other))
    total = split_coefficient(tidy(ast.Add((inverted, other)), scope))[1]
    difference = tidy(ast.Add((inverted, ast.Negative(other))), scope)
    return isinstance(total, ast.Identity) and is_skew(difference, values, scope)


def _made(expression: Expression, values: Values) -> Expression:
    is_sum = isinstance(expression, Access) and isinstance(values.get(expression.name), ast.Add)
    return values[expression.name] if is_sum and isinstance(expression, Access) else expression

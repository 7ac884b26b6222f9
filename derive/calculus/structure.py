"""What follows from how a matrix is made: S − S' is skew, and its exponential and Cayley transform are orthogonal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction

from derive.calculus.textbook import is_symmetric
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
    if len(shape_of(expression, scope)) != 2:
        return False
    here = _collected(expression, values, scope, turned=False)
    there = _collected(expression, values, scope, turned=True)
    return here == {body: -coefficient for body, coefficient in there.items()}


_Body = tuple[tuple[str, ...], Expression, bool]
"""The numbers in front of a matrix by their text, the matrix, and whether it is transposed."""


def _collected(expression: Expression, values: Values, scope: Scope, turned: bool) -> dict[_Body, Fraction]:
    """The matrices of a sum, each with its number; those that add up to nothing left out."""
    found: dict[_Body, Fraction] = {}
    for coefficient, body in _linear(expression, values, scope, turned):
        found[body] = found.get(body, Fraction(0)) + coefficient
    return {body: coefficient for body, coefficient in found.items() if coefficient}


def _linear(node: Expression, values: Values, scope: Scope, turned: bool) -> Iterator[tuple[Fraction, _Body]]:
    match node:
        case Access(name=name, superscripts=(), subscripts=()) if name in values:
            yield from _linear(values[name], values, scope, turned)
        case ast.Add(terms=terms):
            for term in terms:
                yield from _linear(term, values, scope, turned)
        case ast.Negative(operand=operand):
            for coefficient, body in _linear(operand, values, scope, turned):
                yield -coefficient, body
        case ast.Transpose(operand=operand):
            yield from _linear(operand, values, scope, not turned)
        case ast.Quotient(numerator=above, denominator=ast.Number(value=below)) if below:
            for coefficient, body in _linear(above, values, scope, turned):
                yield coefficient / below, body
        case ast.Product(factors=factors) if sum(bool(shape_of(factor, scope)) for factor in factors) == 1:
            number, rest = split_coefficient(node)
            parts = rest.factors if isinstance(rest, ast.Product) else (rest,)
            texts = tuple(sorted(repr(part) for part in parts if not shape_of(part, scope)))
            (matrix,) = (part for part in parts if shape_of(part, scope))
            for coefficient, (others, body, is_turned) in _linear(matrix, values, scope, turned):
                yield number * coefficient, (tuple(sorted((*texts, *others))), body, is_turned)
        case _:
            yield Fraction(1), ((), node, turned and not is_symmetric(node, scope))


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

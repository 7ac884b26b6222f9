"""The matrix of a linear map, from an expression that is linear in a vector: M from M v."""

from __future__ import annotations

from derive.calculus.network import NotAMatrix
from derive.calculus.stages import mentions
from derive.calculus.textbook import textbook
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope


def matrix_of(expression: Expression, vector: str, scope: Scope) -> Expression:
    """The matrix M with M v = ``expression`` for the array v called ``vector``; NotAMatrix where we find none.

    Of a number that is linear in v it is a row.
    """
    if not mentions(expression, vector):
        raise NotAMatrix
    return textbook(_matrix(expression, vector, scope), scope)


def _matrix(node: Expression, vector: str, scope: Scope) -> Expression:
    shape = shape_of(node, scope)
    match node:
        case Access(name=name, subscripts=()) if name == vector:
            return ast.Identity(shape[0]) if shape else ast.ONE
        case ast.Add(terms=terms):
            return ast.Add(tuple(_matrix(term, vector, scope) for term in terms))
        case ast.Negative(operand=operand):
            return ast.Negative(_matrix(operand, vector, scope))
        case ast.Quotient(numerator=above, denominator=below) if not mentions(below, vector):
            inner = _matrix(above, vector, scope)
            if not shape_of(below, scope):
                return ast.Quotient(inner, below)
            return ast.Product((ast.Diagonal(ast.Quotient(ast.ONE, below)), inner))
        case ast.Product(factors=factors):
            return _of_product(factors, vector, scope)
        case ast.Hadamard(factors=factors):
            (linear,) = _only(factors, vector)
            others = tuple(factor for factor in factors if factor is not linear)
            beside = others[0] if len(others) == 1 else ast.Hadamard(others)
            if not shape_of(beside, scope):
                return ast.Product((beside, _matrix(linear, vector, scope)))
            return ast.Product((ast.Diagonal(beside), _matrix(linear, vector, scope)))
        case ast.Inner(left=left, right=right) if len(shape_of(left, scope)) == 1:
            (linear,) = _only((left, right), vector)
            other = right if linear is left else left
            return ast.Product((ast.Transpose(other), _matrix(linear, vector, scope)))
        case ast.Call(function="sum", arguments=(argument,)) if len(shape_of(argument, scope)) == 1:
            ones = ast.Filled(1, shape_of(argument, scope))
            return ast.Product((ast.Transpose(ones), _matrix(argument, vector, scope)))
        case _:
            raise NotAMatrix


def _only(parts: tuple[Expression, ...], vector: str) -> tuple[Expression]:
    """The one part that mentions the vector."""
    found = [part for part in parts if mentions(part, vector)]
    if len(found) != 1:
        raise NotAMatrix
    return (found[0],)


def _of_product(factors: tuple[Expression, ...], vector: str, scope: Scope) -> Expression:
    """c A v is c A; (v' w) b, a number times a vector, is b w'."""
    (linear,) = _only(factors, vector)
    place = factors.index(linear)
    before, after = factors[:place], factors[place + 1 :]
    arrays_after = [factor for factor in after if shape_of(factor, scope)]
    shape = shape_of(linear, scope)
    if not shape:  # a number that is linear in v scales what stands beside it
        row = _matrix(linear, vector, scope)
        scalars = tuple(f for f in (*before, *after) if not shape_of(f, scope))
        arrays = tuple(f for f in (*before, *after) if shape_of(f, scope))
        return ast.Product((*scalars, *arrays, row))
    if not arrays_after:
        return ast.Product((*before, *after, _matrix(linear, vector, scope)))
    if len(shape) == 2 and shape[0] == 1:  # v' A b: the number is b' A' v
        turned = ast.Product(tuple(ast.Transpose(factor) for factor in reversed(arrays_after)))
        head = tuple(f for f in before if shape_of(f, scope))
        scalars = tuple(f for f in (*before, *after) if not shape_of(f, scope))
        if shape_of(ast.Product((linear, *arrays_after)), scope):
            raise NotAMatrix
        match linear:
            case ast.Transpose(operand=operand):
                return ast.Product((*scalars, *head, turned, _matrix(operand, vector, scope)))
            case _:
                raise NotAMatrix
    raise NotAMatrix

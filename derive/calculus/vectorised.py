"""The derivative by the vector that stacks a matrix, read off a differential: vec(L dW r) = (rᵀ ⊗ L) vec(dW)."""

from __future__ import annotations

from derive.calculus.tidy import tidy
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope


def vectorised(expression: Expression, name: str, scope: Scope) -> Expression | None:
    """The matrix M with expression = M vec(d_name), where the expression is linear in ``d_name``.

    Terms without ``d_name`` count as zero. None where ``d_name`` stands transposed or elementwise.
    """
    change = f"d_{name}"
    match expression:
        case ast.Add(terms=terms):
            parts = [_of_term(term, change, scope) for term in terms if _mentions(term, change)]
        case _:
            parts = [_of_term(expression, change, scope)]
    if any(part is None for part in parts) or not parts:
        return None
    known = [part for part in parts if part is not None]
    return known[0] if len(known) == 1 else ast.Add(tuple(known))


def _mentions(expression: Expression, name: str) -> bool:
    return any(isinstance(node, ast.Access) and node.name == name for node in ast.walk(expression))


def _of_term(term: Expression, change: str, scope: Scope) -> Expression | None:
    match term:
        case ast.Access(name=name) if name == change:
            shape = scope[change].shape
            return ast.Identity(shape[0]) if len(shape) == 1 else ast.ONE if not shape else None
        case ast.Negative(operand=operand):
            inner = _of_term(operand, change, scope)
            return None if inner is None else ast.Negative(inner)
        case ast.Sum(index=bound, lower=lower, upper=upper, body=body):
            inner = _of_term(body, change, scope)
            return None if inner is None else ast.Sum(bound, lower, upper, inner)
        case ast.Add():
            return vectorised(term, change.removeprefix("d_"), scope)
        case ast.Product(factors=factors):
            return _of_product(factors, change, scope)
        case _:
            return None


def _of_product(factors: tuple[Expression, ...], change: str, scope: Scope) -> Expression | None:
    places = [n for n, factor in enumerate(factors) if _mentions(factor, change)]
    if len(places) != 1:
        return None
    (place,) = places
    left, middle, right = factors[:place], factors[place], factors[place + 1 :]
    if not isinstance(middle, ast.Access):
        inner = None if right else _of_term(middle, change, scope)
        return None if inner is None else tidy(ast.Product((*left, inner)), scope)
    if len(scope[change].shape) < 2:
        return tidy(ast.Product(left), scope) if left and not right else None
    if not right:
        return None
    vector = right[0] if len(right) == 1 else ast.Product(right)
    matrices = [factor for factor in left if shape_of(factor, scope)]
    scalars = [factor for factor in left if not shape_of(factor, scope)]
    beside: Expression = ast.Identity(scope[change].shape[0])
    if matrices:
        beside = matrices[0] if len(matrices) == 1 else ast.Product(tuple(matrices))
    body: Expression = ast.Kronecker(tidy(ast.Transpose(vector), scope), beside)
    return ast.Product((*scalars, body)) if scalars else body

"""Formulas as a careful author leaves them: no factor 1, no double transpose, signs in front, no term written twice.

``tidy`` never changes a value; every rule below is an identity of linear algebra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

from derive.language import expression as ast
from derive.language.expression import ONE, ZERO, Expression, Number
from derive.language.shapes import shape_of
from derive.language.system import Scope


def tidy(expression: Expression, scope: Scope) -> Expression:
    """The same value, written without what a reader would strike out."""
    inner = ast.map_children(lambda child: tidy(child, scope), expression)
    rule = _RULES.get(type(inner))
    tidied = inner if rule is None else rule(inner, scope)
    return inner if tidied == inner else tidy(tidied, scope)


def is_zero(expression: Expression) -> bool:
    """The expression is plainly zero: the number 0 or an array filled with 0."""
    return expression == ZERO or (isinstance(expression, ast.Filled) and expression.value == 0)


def zero_like(expression: Expression, scope: Scope) -> Expression:
    """Zero of the shape of ``expression``."""
    shape = shape_of(expression, scope)
    return ast.Filled(0, shape) if shape else ZERO


def scaled(coefficient: Fraction, body: Expression) -> Expression:
    """coefficient · body with the sign outside and no factor 1."""
    if body == ONE:
        magnitude: Expression = Number(abs(coefficient))
    elif abs(coefficient) == 1:
        magnitude = body
    else:
        factors = body.factors if isinstance(body, ast.Product) else (body,)
        magnitude = ast.Product((Number(abs(coefficient)), *factors))
    return ast.Negative(magnitude) if coefficient < 0 else magnitude


def split_coefficient(expression: Expression) -> tuple[Fraction, Expression]:
    """The rational number in front, and the rest."""
    match expression:
        case Number(value=value):
            return value, ONE
        case ast.Negative(operand=operand):
            coefficient, body = split_coefficient(operand)
            return -coefficient, body
        case ast.Product(factors=factors):
            coefficient, rest = Fraction(1), []
            for factor in factors:
                part, body = (
                    split_coefficient(factor) if isinstance(factor, Number | ast.Negative) else (Fraction(1), factor)
                )
                coefficient *= part
                rest += [] if body == ONE else [body]
            return coefficient, ONE if not rest else rest[0] if len(rest) == 1 else ast.Product(tuple(rest))
        case _:
            return Fraction(1), expression


def _add(node: ast.Add, scope: Scope) -> Expression:
    collected: dict[Expression, Fraction] = {}
    for term in _flattened(node.terms, ast.Add, "terms"):
        coefficient, body = (Fraction(0), term) if is_zero(term) else split_coefficient(term)
        collected[body] = collected.get(body, Fraction(0)) + coefficient
    terms = [_scaled_sum(coefficient, body) for body, coefficient in collected.items() if coefficient]
    if terms and isinstance(terms[0], ast.Negative):
        terms.sort(key=lambda term: isinstance(term, ast.Negative))
    if not terms:
        return zero_like(node, scope)
    return terms[0] if len(terms) == 1 else ast.Add(tuple(terms))


def _scaled_sum(coefficient: Fraction, body: Expression) -> Expression:
    """c Σ a/2 is c/2 Σ a, a number inside joined with one in front."""
    if not isinstance(body, ast.Sum) or abs(coefficient) == 1:
        return scaled(coefficient, body)
    inner, rest = split_coefficient(body.body)
    return scaled(coefficient * inner, replace(body, body=rest))


def _flattened(parts: Iterable[Expression], kind: type, name: str) -> list[Expression]:
    flat: list[Expression] = []
    for part in parts:
        flat += getattr(part, name) if isinstance(part, kind) else [part]
    return flat


def _product(node: ast.Product, scope: Scope) -> Expression:
    factors: list[Expression] = []
    for factor in node.factors:
        # A product that is a scalar, a' b, is one factor: taken apart it would meet its neighbours.
        factors += factor.factors if isinstance(factor, ast.Product) and shape_of(factor, scope) else (factor,)
    if any(is_zero(factor) for factor in factors):
        return zero_like(node, scope)
    visible: list[Expression] = [factor for factor in factors if not isinstance(factor, ast.Identity)]
    if len(visible) < len(factors) and not any(shape_of(factor, scope) for factor in visible):
        visible.append(next(factor for factor in factors if isinstance(factor, ast.Identity)))
    scalars: list[Expression] = []
    arrays: list[Expression] = []
    for factor in visible:
        if shape_of(factor, scope):
            arrays.append(factor)
        elif isinstance(factor, ast.Product) and not _is_row_times_column(factor, scope):
            scalars += factor.factors
        else:
            scalars.append(factor)
    negative = sum(isinstance(factor, ast.Negative) for factor in (*scalars, *arrays)) % 2
    plain = [factor.operand if isinstance(factor, ast.Negative) else factor for factor in (*scalars, *arrays)]
    coefficient, body = split_coefficient(ast.Product(tuple(plain)))
    return scaled(-coefficient if negative else coefficient, body)


def _is_row_times_column(node: ast.Product, scope: Scope) -> bool:
    return any(shape_of(factor, scope) for factor in node.factors)


def _hadamard(node: ast.Hadamard, scope: Scope) -> Expression:
    factors = _flattened(node.factors, ast.Hadamard, "factors")
    if any(is_zero(factor) for factor in factors):
        return zero_like(node, scope)
    scalars: list[Expression] = []
    arrays: list[Expression] = []
    for factor in factors:
        if factor == ONE or (isinstance(factor, ast.Filled) and factor.value == 1):
            continue
        match factor:
            case ast.Negative(operand=operand):
                scalars.append(ast.Negative(ONE))
                arrays.append(operand)
            case ast.Product(factors=parts) if any(not shape_of(part, scope) for part in parts) and shape_of(
                factor, scope
            ):
                scalars += [part for part in parts if not shape_of(part, scope)]
                rest = tuple(part for part in parts if shape_of(part, scope))
                arrays.append(rest[0] if len(rest) == 1 else ast.Product(rest))
            case _ if not shape_of(factor, scope):
                scalars.append(factor)
            case _:
                arrays.append(factor)
    if not arrays:
        ones = [factor for factor in factors if shape_of(factor, scope)][:1]
        return _product(ast.Product((*scalars, *ones)), scope) if scalars else ones[0] if ones else ONE
    body = arrays[0] if len(arrays) == 1 else ast.Hadamard(tuple(arrays))
    return _product(ast.Product((*scalars, body)), scope) if scalars else body


def _negative(node: ast.Negative, scope: Scope) -> Expression:
    match node.operand:
        case operand if is_zero(operand):
            return operand
        case ast.Add(terms=(first, ast.Negative(operand=second))) if not isinstance(first, ast.Negative):
            return ast.Add((second, ast.Negative(first)))
        case operand:
            coefficient, body = split_coefficient(operand)
            return scaled(-coefficient, body)


def _transpose(node: ast.Transpose, scope: Scope) -> Expression:
    match node.operand:
        case ast.Transpose(operand=operand):
            return operand
        case ast.Diagonal() | ast.Identity() as symmetric:
            return symmetric
        case ast.Negative(operand=operand):
            return ast.Negative(_transpose(ast.Transpose(operand), scope))
        case ast.Filled(value=value, shape=(rows, columns)):
            return ast.Filled(value, (columns, rows))
        case operand:
            return node if shape_of(operand, scope) else operand


def _quotient(node: ast.Quotient, scope: Scope) -> Expression:
    if is_zero(node.numerator):
        return zero_like(node, scope)
    match node.numerator, node.denominator:
        case _, Number(value=value) if value == 1:
            return node.numerator
        case Number(value=above), Number(value=below) if below:
            return Number(above / below)
        case ast.Negative(operand=operand), below:
            return ast.Negative(ast.Quotient(operand, below))
        case _:
            return node


def _power(node: ast.Power, scope: Scope) -> Expression:
    return node.base if node.exponent == ONE else node


def _guard(node: ast.Guard, scope: Scope) -> Expression:
    if is_zero(node.body):
        return node.body
    if isinstance(node.body, ast.Guard):
        return ast.Guard((*node.conditions, *node.body.conditions), node.body.body)
    return node if node.conditions else node.body


def _inner(node: ast.Inner, scope: Scope) -> Expression:
    if is_zero(node.left) or is_zero(node.right):
        return ZERO
    if not shape_of(node.left, scope):
        return _product(ast.Product((node.left, node.right)), scope)
    for one, other in ((node.left, node.right), (node.right, node.left)):
        if isinstance(one, ast.Filled) and one.value == 1:
            return ast.Call("sum", (other,))
    return node


def _sum(node: ast.Sum, scope: Scope) -> Expression:
    if is_zero(node.body):
        return node.body
    if node.lower == node.upper:
        return ast.substitute_indices(node.body, {node.index: node.lower})
    coefficient, body = split_coefficient(node.body)
    if coefficient < 0:
        return ast.Negative(ast.Sum(node.index, node.lower, node.upper, scaled(-coefficient, body)))
    return node


def _call(node: ast.Call, scope: Scope) -> Expression:
    """The change of e^X in the direction of the identity, which commutes with X, is e^X; Σ X² of a matrix is ‖X‖²."""
    match node:
        case ast.Call(function="sum", arguments=(ast.Power(base=base, exponent=exponent),)):
            is_square = exponent == Number(Fraction(2)) and len(shape_of(base, scope)) == 2
            return ast.Power(ast.Call("norm", (base,)), exponent) if is_square else node
        case ast.Call(function="trace" | "sum", arguments=(ast.Negative(operand=operand),)):
            return ast.Negative(ast.Call(node.function, (operand,)))
        case ast.Call(function="dexpm", arguments=(matrix, ast.Identity())):
            return ast.Call("expm", (matrix,))
        case _:
            return node


def _diagonal(node: ast.Diagonal, scope: Scope) -> Expression:
    match node.vector:
        case ast.Filled(value=1, shape=(extent,)):
            return ast.Identity(extent)
        case _:
            return node


_RULES: dict[type, Callable[..., Expression]] = {
    ast.Call: _call,
    ast.Diagonal: _diagonal,
    ast.Add: _add,
    ast.Product: _product,
    ast.Hadamard: _hadamard,
    ast.Negative: _negative,
    ast.Transpose: _transpose,
    ast.Quotient: _quotient,
    ast.Power: _power,
    ast.Guard: _guard,
    ast.Inner: _inner,
    ast.Sum: _sum,
}

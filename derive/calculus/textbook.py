"""Matrix formulas as textbooks print them: transposes on letters, inverses cancelled, symmetry used, factors in common.

``textbook`` never changes a value; every rule below is an identity of linear algebra. It is for formulas that are read:
the programs that are run keep the forms in which a product is taken vector by vector.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import sympy as sp

from derive.calculus.common_factors import with_common_part
from derive.calculus.tidy import split_coefficient, tidy
from derive.language import expression as ast
from derive.language.expression import Access, Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope

MOST_ROUNDS = 20
"""Every rule makes a formula shorter or moves a transpose inwards; what is not done by then stays as it is."""


def textbook(expression: Expression, scope: Scope) -> Expression:
    """The same value in the form of a textbook."""
    for _ in range(MOST_ROUNDS):
        rewritten = _rewritten(expression, scope)
        if rewritten == expression:
            break
        expression = rewritten
    return expression


def transposed(expression: Expression, scope: Scope) -> Expression:
    """The transpose in the form of a textbook."""
    return textbook(ast.Transpose(expression), scope)


def _rewritten(expression: Expression, scope: Scope) -> Expression:
    inner = ast.map_children(lambda child: _rewritten(child, scope), expression)
    rule = _RULES.get(type(inner))
    return tidy(inner if rule is None else rule(inner, scope), scope)


def _is_matrix(expression: Expression, scope: Scope) -> bool:
    return len(shape_of(expression, scope)) == 2


# Symmetry -------------------------------------------------------------------------------------------------------------


def is_symmetric(expression: Expression, scope: Scope) -> bool:
    """The matrix plainly equals its transpose."""
    match expression:
        case ast.Diagonal() | ast.Identity():
            return True
        case Access(name=name, subscripts=()):
            return scope[name].structure in ("symmetric", "diagonal")
        case ast.Negative(operand=operand) | ast.Transpose(operand=operand):
            return _is_matrix(operand, scope) and is_symmetric(operand, scope)
        case ast.Call(function="inv" | "expm", arguments=(matrix,)):
            return is_symmetric(matrix, scope)
        case ast.Quotient(numerator=above, denominator=below):
            return not shape_of(below, scope) and _is_matrix(above, scope) and is_symmetric(above, scope)
        case ast.Hadamard(factors=parts):
            return all(_is_matrix(part, scope) and is_symmetric(part, scope) for part in parts)
        case ast.Product() | ast.Add():
            return _is_matrix(expression, scope) and _key(_turned(expression, scope)) == _key(expression)
        case _:
            return False


def _key(expression: Expression) -> object:
    """Equal for sums of the same terms in any order."""
    if isinstance(expression, ast.Add):
        return frozenset(repr(term) for term in expression.terms)
    return repr(expression)


# Transposes and inverses ----------------------------------------------------------------------------------------------


def _transpose(node: ast.Transpose, scope: Scope) -> Expression:
    operand = node.operand
    return operand if _is_matrix(operand, scope) and is_symmetric(operand, scope) else _turned(operand, scope)


def _turned(operand: Expression, scope: Scope) -> Expression:
    """The transpose, inside sums and products as far as it goes."""
    match operand:
        case ast.Transpose(operand=inner):
            return inner
        case ast.Add(terms=terms) if all(shape_of(term, scope) for term in terms):
            turned = tuple(_transpose(ast.Transpose(term), scope) for term in terms)
            each = [split_coefficient(term)[1] for term in turned]
            if all(isinstance(body, ast.Transpose) for body in each):
                return ast.Transpose(operand)  # (X - M)' is shorter than X' - M'
            return ast.Add(turned)
        case ast.Negative(operand=inner):
            return ast.Negative(_transpose(ast.Transpose(inner), scope))
        case ast.Quotient(numerator=above, denominator=below) if not shape_of(below, scope):
            return ast.Quotient(_transpose(ast.Transpose(above), scope), below)
        case ast.Hadamard(factors=factors) if _is_matrix(operand, scope):
            return ast.Hadamard(tuple(_transpose(ast.Transpose(factor), scope) for factor in factors))
        case ast.Product(factors=factors):
            scalars = [factor for factor in factors if not shape_of(factor, scope)]
            arrays = [factor for factor in factors if shape_of(factor, scope)]
            turned = [_transpose(ast.Transpose(factor), scope) for factor in reversed(arrays)]
            return ast.Product((*scalars, *turned))
        case ast.Call(function="expm", arguments=(argument,)):
            return ast.Call("expm", (_transpose(ast.Transpose(argument), scope),))
        case _:
            return ast.Transpose(operand)


def _call(node: ast.Call, scope: Scope) -> Expression:
    rule = _CALLS.get(node.function)
    return node if rule is None else rule(node, scope)


def _inverse(node: ast.Call, scope: Scope) -> Expression:
    match node.arguments[0]:
        case ast.Transpose(operand=operand):
            return ast.Transpose(ast.Call("inv", (operand,)))
        case ast.Call(function="inv", arguments=(operand,)):
            return operand
        case ast.Identity() as identity:
            return identity
        case ast.Diagonal(vector=vector):
            return ast.Diagonal(ast.Quotient(ast.ONE, vector))
        case ast.Negative(operand=operand):
            return ast.Negative(ast.Call("inv", (operand,)))
        case ast.Call(function="expm", arguments=(operand,)):
            return ast.Call("expm", (ast.Negative(operand),))
        case Access(name=name) as access if scope[name].structure == "orthogonal":
            return ast.Transpose(access)
        case _:
            return node


def _of_transposed(node: ast.Call, scope: Scope) -> Expression:
    """Functions that a matrix shares with its transpose."""
    (argument,) = node.arguments
    return ast.Call(node.function, (argument.operand,)) if isinstance(argument, ast.Transpose) else node


def _solution(node: ast.Call, scope: Scope) -> Expression:
    matrix, right = node.arguments
    return ast.Product((_inverse(ast.Call("inv", (matrix,)), scope), right))


def _sum_of_squares(node: ast.Call, scope: Scope) -> Expression:
    """Σ x² is x' x of a vector, ‖X‖² of a matrix."""
    match node.arguments[0]:
        case ast.Power(base=base, exponent=ast.Number(value=value)) if value == 2:
            if len(shape_of(base, scope)) == 1:
                return ast.Product((ast.Transpose(base), base))
            return ast.Power(ast.Call("norm", (base,)), ast.Number(value))
        case _:
            return node


_CALLS: dict[str, Callable[[ast.Call, Scope], Expression]] = {
    "inv": _inverse,
    "solve": _solution,
    "det": _of_transposed,
    "logdet": _of_transposed,
    "trace": _of_transposed,
    "sum": _sum_of_squares,
    "unit": lambda node, scope: ast.Quotient(node.arguments[0], ast.Call("norm", node.arguments)),
}


# Products and sums ----------------------------------------------------------------------------------------------------


def _product(node: ast.Product, scope: Scope) -> Expression:
    for place, factor in enumerate(node.factors):
        if isinstance(factor, ast.Quotient) and not shape_of(factor.denominator, scope):
            rest = [*node.factors[:place], *node.factors[place + 1 :]]
            above = [] if factor.numerator == ast.ONE else [factor.numerator]
            if above and shape_of(above[0], scope):
                rest = [*node.factors[:place], *above, *node.factors[place + 1 :]]
                above = []
            return ast.Quotient(_product(ast.Product((*above, *rest)), scope), factor.denominator)
    scalars = [factor for factor in node.factors if not shape_of(factor, scope)]
    scalars.sort(key=_simple_first)
    arrays: list[Expression] = []
    for factor in node.factors:
        if shape_of(factor, scope):
            arrays += factor.factors if isinstance(factor, ast.Product) and _is_chain(factor, scope) else (factor,)
    arrays = _without_inverses(arrays, scope)
    if not arrays and any(shape_of(factor, scope) for factor in node.factors):
        arrays = [ast.Identity(shape_of(node, scope)[0])]
    factors = (*scalars, *arrays)
    return factors[0] if len(factors) == 1 else ast.Product(factors)


def _simple_first(scalar: Expression) -> int:
    match scalar:
        case ast.Number() | ast.SizeValue():
            return 0
        case Access():
            return 1
        case _:
            return 2


def _is_chain(product: ast.Product, scope: Scope) -> bool:
    return all(shape_of(factor, scope) for factor in product.factors)


def _without_inverses(arrays: list[Expression], scope: Scope) -> list[Expression]:
    """The factors without pairs X^-1 X; of an orthogonal matrix, X' X."""
    for place, factor in enumerate(arrays):
        for length in range(1, len(arrays) - 1 + 1):
            for start in (place + 1, place - length):
                if start < 0 or start + length > len(arrays):
                    continue
                others = arrays[start : start + length]
                if _is_inverse(factor, others, scope):
                    first, last = min(place, start), max(place + 1, start + length)
                    return _without_inverses([*arrays[:first], *arrays[last:]], scope)
    return arrays


def _is_inverse(factor: Expression, others: Sequence[Expression], scope: Scope) -> bool:
    """``factor`` is the inverse of the product of ``others``."""
    match factor:
        case ast.Transpose(operand=ast.Call(function="inv", arguments=(matrix,))):
            inverted = _transpose(ast.Transpose(matrix), scope)
        case ast.Call(function="inv", arguments=(matrix,)):
            inverted = matrix
        case ast.Transpose(operand=Access(name=name) as access) if scope[name].structure == "orthogonal":
            inverted = access
        case _:
            return False
    own = inverted.factors if isinstance(inverted, ast.Product) else (inverted,)
    return tuple(own) == tuple(others)


def _inner(node: ast.Inner, scope: Scope) -> Expression:
    """⟨a, b⟩ of vectors is a' b."""
    if len(shape_of(node.left, scope)) != 1:
        return node
    return _product(ast.Product((_transpose(ast.Transpose(node.left), scope), node.right)), scope)


def _add(node: ast.Add, scope: Scope) -> Expression:
    return with_common_part(node, scope, lambda total: _rewritten(total, scope))


def _factors(expression: Expression) -> list[Expression]:
    return [*expression.factors] if isinstance(expression, ast.Product) else [expression]


def _quotient(node: ast.Quotient, scope: Scope) -> Expression:
    """A scalar above and below the line goes."""
    above = _factors(node.numerator)
    below = _factors(node.denominator)
    if shape_of(node.denominator, scope):
        return node
    if isinstance(node.numerator, ast.Quotient) and not shape_of(node.numerator.denominator, scope):
        inner = node.numerator
        return ast.Quotient(inner.numerator, ast.Product((inner.denominator, node.denominator)))
    for factor in list(below):
        if factor in above and not isinstance(factor, ast.Number) and not shape_of(factor, scope):
            above.remove(factor)
            below.remove(factor)
    top = ast.Product(tuple(above)) if len(above) > 1 else above[0] if above else ast.ONE
    bottom = ast.Product(tuple(below)) if len(below) > 1 else below[0] if below else ast.ONE
    return ast.Quotient(top, bottom) if bottom != ast.ONE else top


def _slice(node: ast.Slice, scope: Scope) -> Expression:
    """A part of a scaled array is the scaled part."""
    match node.operand:
        case ast.Product(factors=(first, *rest)) if not shape_of(first, scope):
            inner = rest[0] if len(rest) == 1 else ast.Product(tuple(rest))
            return ast.Product((first, ast.Slice(inner, node.places)))
        case ast.Negative(operand=operand):
            return ast.Negative(ast.Slice(operand, node.places))
        case ast.Block(rows=rows) if all(len(row) == 1 for row in rows):
            return _of_stack([row[0] for row in rows], node, scope)
        case _:
            return node


def _of_stack(parts: Sequence[Expression], node: ast.Slice, scope: Scope) -> Expression:
    """The part of arrays one below the other that is one of them."""
    above: ast.Integer = sp.Integer(0)
    for part in parts:
        shape = shape_of(part, scope)
        places: list[tuple[ast.Integer, ast.Integer]] = [(sp.Integer(0), extent - 1) for extent in shape]
        if places:
            places[0] = (above, above + shape[0] - 1)
        if len(places) == len(node.places) and all(map(_same_place, places, node.places)):
            return part
        above = above + (shape[0] if shape else 1)
    return node


def _same_place(wanted: tuple[ast.Integer, ast.Integer], place: object) -> bool:
    return isinstance(place, tuple) and all(sp.expand(a - b) == 0 for a, b in zip(wanted, place, strict=True))


_RULES: dict[type, Callable[..., Expression]] = {
    ast.Transpose: _transpose,
    ast.Call: _call,
    ast.Product: _product,
    ast.Inner: _inner,
    ast.Add: _add,
    ast.Quotient: _quotient,
    ast.Slice: _slice,
}

"""What all terms of a sum share entry by entry, taken out: h ⊙ δ − c ⊙ δ is (h − c) ⊙ δ.

Likewise diag(a) − diag(b) is diag(a − b).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from derive.calculus.common_factors import with_common_part
from derive.calculus.tidy import scaled, split_coefficient, tidy
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.shapes import shape_of
from derive.language.system import Scope

Rule = Callable[[ast.Add, Scope], Expression]


def gathered(expression: Expression, scope: Scope) -> Expression:
    """The same value, in every sum the factors that all its terms share taken out: those that commute, and inverses."""
    return _everywhere(expression, scope, (_one_diagonal, _entrywise, _inverse_at_one_end))


def gathered_matrices(expression: Expression, scope: Scope) -> Expression:
    """The same for sums of matrix products too, shared at one end: U diag(h) J + U diag(r) is U (diag(h) J + …)."""
    return _everywhere(expression, scope, (_one_diagonal, _entrywise, _at_one_end))


def _everywhere(expression: Expression, scope: Scope, rules: Sequence[Rule]) -> Expression:
    inner = ast.map_children(lambda child: _everywhere(child, scope, rules), expression)
    result = inner
    for rule in rules:
        if isinstance(result, ast.Add):
            result = rule(result, scope)
    return expression if result == expression else tidy(result, scope)


def _one_diagonal(node: ast.Add, scope: Scope) -> Expression:
    """diag(a) − diag(b) + C is diag(a − b) + C, at the place of the first; an identity is diag(1)."""
    parts = [split_coefficient(term) for term in node.terms]
    vectors = [(coefficient, body.vector) for coefficient, body in parts if isinstance(body, ast.Diagonal)]
    if len(vectors) < 2:
        return node
    total = ast.Diagonal(ast.Add(tuple(scaled(coefficient, vector) for coefficient, vector in vectors)))
    terms: list[Expression] = []
    for term, (_, body) in zip(node.terms, parts, strict=True):
        if not isinstance(body, ast.Diagonal):
            terms.append(term)
        elif total not in terms:
            terms.append(total)
    return tidy(terms[0] if len(terms) == 1 else ast.Add(tuple(terms)), scope)


def _entrywise(node: ast.Add, scope: Scope) -> Expression:
    """a ⊙ c + b ⊙ c is (a + b) ⊙ c, and the same for products of numbers."""
    parts = [split_coefficient(term) for term in node.terms]
    kind = ast.Hadamard if shape_of(node, scope) else ast.Product
    if not all(isinstance(body, kind) for _, body in parts):
        return node
    factors = [_factors(body) for _, body in parts]
    if kind is ast.Product and any(shape_of(factor, scope) for each in factors for factor in each):
        return node
    shared = [factor for factor in factors[0] if all(factor in other for other in factors[1:])]
    if not shared or any(len(each) <= len(shared) for each in factors):
        return node
    rests = [[factor for factor in each if factor not in shared] for each in factors]
    if any(len(rest) + len(shared) != len(each) or not rest for rest, each in zip(rests, factors, strict=True)):
        return node  # a factor stands there twice
    terms = [scaled(c, _made(rest, kind)) for (c, _), rest in zip(parts, rests, strict=True)]
    total = ast.Add(tuple(terms))
    leads = kind is ast.Product or factors[0][0] in shared
    return kind((*shared, total) if leads else (total, *shared))


def _factors(body: Expression) -> tuple[Expression, ...]:
    assert isinstance(body, ast.Hadamard | ast.Product)
    return body.factors


def _made(rest: Sequence[Expression], kind: type) -> Expression:
    return rest[0] if len(rest) == 1 else kind(tuple(rest))


def _inverse_at_one_end(node: ast.Add, scope: Scope) -> Expression:
    """X⁻¹ a + X⁻¹ b is X⁻¹ (a + b), and the same behind the terms: an inverse is long to write and long to compute."""
    first = [_ends(split_coefficient(term)[1]) for term in node.terms]
    if not any(all(ends[place] == first[0][place] for ends in first) and _inverts(first[0][place]) for place in (0, 1)):
        return node
    return with_common_part(node, scope, lambda total: total)


def _ends(body: Expression) -> tuple[Expression, Expression]:
    factors = body.factors if isinstance(body, ast.Product) else (body,)
    return factors[0], factors[-1]


def _inverts(factor: Expression) -> bool:
    match factor:
        case ast.Transpose(operand=operand):
            return _inverts(operand)
        case ast.Call(function="inv"):
            return True
        case _:
            return False


def _at_one_end(node: ast.Add, scope: Scope) -> Expression:
    if len(shape_of(node, scope)) != 2 or any(split_coefficient(term)[0] != Fraction(1) for term in node.terms):
        return node
    return with_common_part(node, scope, lambda total: total)

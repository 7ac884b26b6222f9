"""Matrices that the model has a name for, under that name: P Z⁻ᵀ − P A' Z⁻ᵀ is P U' where U = Z⁻¹ (I − A).

A backward equation differentiates each factor of U = Z⁻¹ (I − A) and so repeats the others; what stands there together
is U again, or its transpose.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from derive.calculus.tidy import scaled, split_coefficient, tidy
from derive.language import expression as ast
from derive.language.expression import Expression
from derive.language.shapes import shape_of
from derive.language.system import Program, Scope

Chain = tuple[Expression, ...]
"""The factors of a product of arrays, none of them a product."""

MOST_TERMS = 8
"""A sum with more terms is left as it is; so is a value that has more when its brackets are multiplied out."""


@dataclass(frozen=True)
class _Known:
    """A matrix, or its transpose, and the terms that add up to it."""

    name: Expression
    terms: tuple[tuple[Fraction, Chain], ...]


def with_known_products(expression: Expression, program: Program, scope: Scope) -> Expression:
    """``expression`` with the matrices that ``program`` computes once and for all under their names."""
    known = tuple(_known(program, scope))
    return _everywhere(expression, known, scope) if known else expression


def _everywhere(expression: Expression, known: Sequence[_Known], scope: Scope) -> Expression:
    inner = ast.map_children(lambda child: _everywhere(child, known, scope), expression)
    if not isinstance(inner, ast.Add | ast.Product) or len(shape_of(inner, scope)) != 2:
        return inner
    terms = inner.terms if isinstance(inner, ast.Add) else (inner,)
    before = parts = [_chain(term) for term in terms]
    while (found := _once(parts, known)) is not None:
        used, replacement = found
        place = min(parts.index(part) for part in used)
        parts = [part for part in parts if part not in used]
        parts.insert(min(place, len(parts)), replacement)
    if parts == before:
        return inner
    made = [scaled(part[0], part[1][0] if len(part[1]) == 1 else ast.Product(part[1])) for part in parts]
    return tidy(made[0] if len(made) == 1 else ast.Add(tuple(made)), scope)


def _known(program: Program, scope: Scope) -> Iterator[_Known]:
    """Matrices that do not change in time and are products with an inverse among their factors."""
    for equation in program.equations:
        target, value = equation.target, equation.value
        is_plain = not target.superscripts and not target.subscripts and len(scope[target.name].shape) == 2
        if not is_plain or not any(_is_inverse(node) for node in ast.walk(value)):
            continue
        terms = _multiplied_out(value, scope)
        if terms is None or all(len(chain) < 2 for _, chain in terms):
            continue
        yield _Known(target, terms)
        yield _Known(ast.Transpose(target), tuple((c, _turned(chain, scope)) for c, chain in terms))


def _is_inverse(node: Expression) -> bool:
    return isinstance(node, ast.Call) and node.function in ("inv", "solve")


def _multiplied_out(value: Expression, scope: Scope) -> tuple[tuple[Fraction, Chain], ...] | None:
    """The terms of a sum of products of arrays, without brackets; None where there are other things in it."""
    coefficient, body = split_coefficient(value)
    match body:
        case ast.Add(terms=terms):
            parts = [_multiplied_out(term, scope) for term in terms]
            if any(part is None for part in parts):
                return None
            found = [term for part in parts if part is not None for term in part]
        case ast.Product(factors=factors):
            each = [_multiplied_out(factor, scope) for factor in factors if not isinstance(factor, ast.Identity)]
            if any(part is None for part in each):
                return None
            choices = list(product(*(part for part in each if part is not None)))[: MOST_TERMS + 1]
            found = [_joined(choice) for choice in choices]
        case ast.Call(function="solve", arguments=(matrix, right)):
            return _multiplied_out(ast.Product((ast.Call("inv", (matrix,)), right)), scope)
        case ast.Identity():
            found = [(Fraction(1), ())]
        case _ if len(shape_of(body, scope)) == 2:
            found = [(Fraction(1), (body,))]
        case _:
            return None
    return None if len(found) > MOST_TERMS else tuple((coefficient * c, chain) for c, chain in found)


def _joined(terms: Sequence[tuple[Fraction, Chain]]) -> tuple[Fraction, Chain]:
    coefficient, chain = Fraction(1), Chain()
    for own, factors in terms:
        coefficient, chain = coefficient * own, (*chain, *factors)
    return coefficient, chain


def _turned(chain: Chain, scope: Scope) -> Chain:
    return tuple(tidy(ast.Transpose(factor), scope) for factor in reversed(chain))


def _chain(term: Expression) -> tuple[Fraction, Chain]:
    coefficient, body = split_coefficient(term)
    return coefficient, body.factors if isinstance(body, ast.Product) else (body,)


def _once(
    parts: Sequence[tuple[Fraction, Chain]], known: Sequence[_Known]
) -> tuple[list[tuple[Fraction, Chain]], tuple[Fraction, Chain]] | None:
    """The terms that are P · (one of the matrices) · Q together, and what they are."""
    if len(parts) > MOST_TERMS:
        return None
    for matrix in known:
        (own, pattern), *others = sorted(matrix.terms, key=lambda term: -len(term[1]))
        for coefficient, chain in parts:
            for start in range(len(chain) - len(pattern) + 1):
                if chain[start : start + len(pattern)] != pattern:
                    continue
                before, after = chain[:start], chain[start + len(pattern) :]
                ratio = coefficient / own
                wanted = [(ratio * c, (*before, *inner, *after)) for c, inner in others]
                if all(term in parts for term in wanted):
                    return [(coefficient, chain), *wanted], (ratio, (*before, matrix.name, *after))
    return None
